//! `wait` as pipelines run it.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ConfigMap, Node, ServiceAccount};
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, Role, RoleBinding};
use kube::api::{DeleteParams, ListParams, PostParams};
use kube::{Api, Client};
use serde_json::{Value, json};

use super::trial;
use crate::controller::Controller;
use crate::proxy::Proxy;
use crate::trial::{Trial, eventually};

fn command(trial: &Trial, kubeconfig: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kube-prepull"));
    command.args(["wait", "--namespace", &trial.namespace, "--kubeconfig"]).arg(kubeconfig).args(arguments);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn begin(trial: &Trial, arguments: &[&str]) -> Child {
    command(trial, &trial.kubeconfig, arguments).spawn().unwrap()
}

/// Does not keep the test's own thread, on which a proxy may run.
async fn ended(child: Child) -> (Option<i32>, String) {
    let Output { status, stdout, stderr } =
        tokio::task::spawn_blocking(|| child.wait_with_output()).await.unwrap().unwrap();
    (status.code(), String::from_utf8([stdout, stderr].concat()).unwrap())
}

pub async fn wait(trial: &Trial, arguments: &[&str]) -> (Option<i32>, String) {
    ended(begin(trial, arguments)).await
}

/// A file of the test's own.
fn file(trial: &Trial, text: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("{}.yaml", trial.namespace));
    fs::write(&path, text).unwrap();
    path
}

#[tokio::test]
async fn it_ends_when_exactly_what_the_file_says_is_accepted_and_warm() {
    let trial = trial("waitfile").await;
    let _controller = Controller::start(&trial).await;
    trial.write_list("tools", "images: [nginx:1.27]").await;
    assert_eq!(wait(&trial, &["tools"]).await.0, Some(0), "what is in the cluster");
    let path = file(&trial, "images: [nginx:1.28, redis:7]");
    let file = path.to_str().unwrap();
    let waiting = begin(&trial, &["tools", "--file", file]);
    // What stands in the cluster is warm, and is not what is waited for.
    assert_eq!(wait(&trial, &["tools", "--file", file, "--timeout", "3s"]).await.0, Some(1));
    trial.write_list("tools", "images: [nginx:1.28, redis:7]").await;
    let (code, said) = ended(waiting).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains(&format!("{}/tools is accepted and warm: 2 of 2 images", trial.namespace)), "{said}");
    fs::remove_file(path).unwrap();
}

/// The trial's kubeconfig, as users have it who have set their namespace in it.
fn with_namespace(trial: &Trial) -> PathBuf {
    let mut kubeconfig: Value = serde_yaml::from_str(&fs::read_to_string(&trial.kubeconfig).unwrap()).unwrap();
    kubeconfig["contexts"][0]["context"]["namespace"] = json!(trial.namespace);
    let path = std::env::temp_dir().join(format!("{}.kubeconfig", trial.namespace));
    fs::write(&path, kubeconfig.to_string()).unwrap();
    path
}

#[tokio::test]
async fn a_file_that_names_no_namespace_is_of_the_one_that_the_kubeconfig_names() {
    let trial = trial("waitwhere").await;
    let _controller = Controller::start(&trial).await;
    trial.write_list("tools", "images: [nginx:1.27]").await;
    let (list, kubeconfig) = (file(&trial, "images: [nginx:1.27]"), with_namespace(&trial));
    let mut command = Command::new(env!("CARGO_BIN_EXE_kube-prepull"));
    command.args(["wait", "tools", "--file"]).arg(&list).arg("--kubeconfig").arg(&kubeconfig);
    let waiting = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let (code, said) = ended(waiting).await;
    assert!(code == Some(0) && said.contains(&format!("{}/tools is accepted and warm", trial.namespace)), "{said}");
    for path in [list, kubeconfig] {
        fs::remove_file(path).unwrap();
    }
}

#[tokio::test]
async fn a_rejected_list_and_one_that_is_edited_meanwhile_end_it_at_once() {
    let trial = trial("waitbad").await;
    let _controller = Controller::start(&trial).await;
    trial.write_list("tools", "images: [nginx:1.27]").await;
    assert_eq!(wait(&trial, &["tools", "--accepted"]).await.0, Some(0));
    trial.write_list("tools", "images: [Bad]").await;
    for arguments in [&["tools"][..], &["tools", "--accepted"]] {
        let (code, said) = wait(&trial, arguments).await;
        assert!(code == Some(1) && said.contains("is rejected") && said.contains("\"Bad\" is not an image"), "{said}");
    }
    trial.write_list("tools", "images: [nginx:1.28]").await;
    let mut waiting = begin(&trial, &["tools", "--nodes", "10000"]);
    let mut progress = BufReader::new(waiting.stderr.take().unwrap()).lines().map(Result::unwrap);
    assert!(progress.any(|line| line.contains("on enough nodes")), "it waits for the nodes");
    trial.write_list("tools", "images: [nginx:1.29]").await;
    let said: String = progress.collect();
    assert!(said.contains("was edited while waiting"), "{said}");
    assert_eq!(waiting.wait().unwrap().code(), Some(1));
    let (code, said) = wait(&trial, &["nothing"]).await;
    assert!(code == Some(1) && said.contains("there is no ConfigMap nothing"), "{said}");
}

#[tokio::test]
async fn the_images_and_nodes_that_are_asked_for_are_enough() {
    let trial = trial("waitpart").await;
    let _controller = Controller::start(&trial).await;
    let list = "images: [nginx:1.27]\ngroups: [{name: other, images: ['redis:7'], nodeSelector: {none: such}}]";
    trial.write_list("tools", list).await;
    assert_eq!(wait(&trial, &["tools", "--image", "docker.io/library/nginx:1.27", "--nodes", "1"]).await.0, Some(0));
    assert_eq!(wait(&trial, &["tools", "--nodes", "50%"]).await.0, Some(0), "no node matches the other group");
    let (code, said) = wait(&trial, &["tools", "--image", "nginx:1.28"]).await;
    assert!(code == Some(2) && said.contains("nginx:1.28 is not on the list, which has nginx:1.27, redis:7"), "{said}");
    let digest = format!("nginx:1.27@sha256:{}", "0".repeat(64));
    let mut waiting = begin(&trial, &["tools", "--image", &digest]);
    let mut progress = BufReader::new(waiting.stderr.take().unwrap()).lines().map(Result::unwrap);
    assert!(progress.any(|line| line.contains("0 of ")), "it waits for the digest");
    waiting.kill().unwrap();
    waiting.wait().unwrap();
    let (code, said) = wait(&trial, &["tools", "--nodes", "10000", "--timeout", "4s"]).await;
    assert!(code == Some(1) && said.contains("timed out"), "{said}");
}

#[tokio::test]
async fn wrong_usage_is_distinguished() {
    let trial = trial("waitusage").await;
    for (arguments, words) in [
        (&[][..], "specify a list"),
        (&["tools", "--nodes", "many"], "90%"),
        (&["tools", "--file", "/nowhere"], "/nowhere"),
        (&["tools", "--image", "Bad"], "not an image reference"),
    ] {
        let (code, said) = wait(&trial, arguments).await;
        assert!(code == Some(2) && said.contains(words), "{said}");
    }
}

/// Everything that the hook for Helm brings along, in the namespace of the test.
fn hook(trial: &Trial) -> Vec<Value> {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("config/wait-hook.yaml")).unwrap();
    let text = text.replace("namespace: kube-prepull", &format!("namespace: {}", trial.namespace));
    let mut objects: Vec<Value> = serde_yaml::from_multiple(&text).unwrap();
    for object in &mut objects {
        // What belongs to the whole cluster has a name of the test's own.
        if object["kind"].as_str().unwrap().starts_with("Cluster") {
            object["metadata"]["name"] = json!(trial.namespace);
            if object["kind"] == "ClusterRoleBinding" {
                object["roleRef"]["name"] = json!(trial.namespace);
            }
        }
    }
    objects
}

async fn create_hook(trial: &Trial, objects: &[Value]) {
    let whole = PostParams::default();
    for object in objects {
        let object = object.clone();
        match object["kind"].as_str().unwrap() {
            "ConfigMap" => trial.create::<ConfigMap>(object).await,
            "ServiceAccount" => trial.create::<ServiceAccount>(object).await,
            "Role" => trial.create::<Role>(object).await,
            "RoleBinding" => trial.create::<RoleBinding>(object).await,
            // Pod Security "restricted" holds in the namespace.
            "Job" => trial.create::<Job>(object).await,
            "ClusterRole" => {
                let role: ClusterRole = serde_json::from_value(object).unwrap();
                Api::all(trial.client.clone()).create(&whole, &role).await.unwrap();
            }
            "ClusterRoleBinding" => {
                let binding: ClusterRoleBinding = serde_json::from_value(object).unwrap();
                Api::all(trial.client.clone()).create(&whole, &binding).await.unwrap();
            }
            other => panic!("{other}"),
        }
    }
}

/// Waits until a client may list nodes, or may not, and lists likewise: the API server learns of rights after a moment.
async fn may_list_nodes_and_lists(client: &Client, trial: &Trial, nodes: bool, lists: bool) {
    let of_nodes = Api::<Node>::all(client.clone());
    let of_lists = Api::<ConfigMap>::namespaced(client.clone(), &trial.namespace);
    let few = ListParams::default().limit(1);
    eventually(&format!("the right to nodes: {nodes}, and to lists: {lists}"), async || {
        let found = (of_nodes.list(&few).await.is_ok(), of_lists.list(&few).await.is_ok());
        (found == (nodes, lists)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn the_hook_for_helm_has_the_rights_and_arguments_that_it_needs() {
    let trial = trial("waithook").await;
    let _controller = Controller::start(&trial).await;
    let objects = hook(&trial);
    create_hook(&trial, &objects).await;
    let user = format!("system:serviceaccount:{}:wait-for-images", trial.namespace);
    let client = trial.client_as(&user).await;
    may_list_nodes_and_lists(&client, &trial, true, true).await;
    let proxy = Proxy::start(client.clone()).await;
    let folder = std::env::temp_dir().join(format!("{}-list", trial.namespace));
    fs::create_dir(&folder).unwrap();
    let list = objects.iter().find(|object| object["kind"] == "ConfigMap").unwrap();
    fs::write(folder.join("images.yaml"), list["data"]["images.yaml"].as_str().unwrap()).unwrap();
    let job = objects.iter().find(|object| object["kind"] == "Job").unwrap();
    let arguments = job["spec"]["template"]["spec"]["containers"][0]["args"].as_array().unwrap().iter();
    let arguments = arguments.map(|it| it.as_str().unwrap().replace("/list", folder.to_str().unwrap()));
    let arguments: Vec<String> = arguments.collect();
    assert_eq!(arguments[0], "wait");
    let rest: Vec<&str> = arguments[1..].iter().map(String::as_str).collect();
    let (code, said) = ended(command(&trial, &proxy.kubeconfig, &rest).spawn().unwrap()).await;
    assert_eq!(code, Some(0), "{said}");

    let deletion = DeleteParams::default();
    Api::<ClusterRoleBinding>::all(trial.client.clone()).delete(&trial.namespace, &deletion).await.unwrap();
    Api::<ClusterRole>::all(trial.client.clone()).delete(&trial.namespace, &deletion).await.unwrap();
    may_list_nodes_and_lists(&client, &trial, false, true).await;
    let (code, said) = ended(command(&trial, &proxy.kubeconfig, &rest).spawn().unwrap()).await;
    assert_eq!(code, Some(0), "without the right to list nodes: {said}");
    trial.api::<Role>().delete("wait-for-images", &deletion).await.unwrap();
    may_list_nodes_and_lists(&client, &trial, false, false).await;
    let (code, said) = ended(command(&trial, &proxy.kubeconfig, &rest).spawn().unwrap()).await;
    assert!(code == Some(1) && said.contains("grant this user the right"), "{said}");
    fs::remove_dir_all(folder).unwrap();
}
