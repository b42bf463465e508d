//! `status` as users run it.

use std::io::{BufRead, BufReader};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use super::trial;
use crate::controller::Controller;
use crate::trial::{Trial, eventually};

fn command(trial: &Trial, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kube-prepull"));
    command.arg("status").arg("--kubeconfig").arg(&trial.kubeconfig).args(arguments);
    command
}

fn status(trial: &Trial, arguments: &[&str]) -> Output {
    command(trial, &["--namespace", &trial.namespace]).args(arguments).output().unwrap()
}

fn text(output: &[u8]) -> String {
    String::from_utf8(output.to_vec()).unwrap()
}

async fn all_warm(trial: &Trial) {
    eventually("all to be warm", async || (status(trial, &[]).status.code() == Some(0)).then_some(())).await;
}

const TWO_GROUPS: &str = "images: [nginx:1.27, ghcr.io/acme/app:7]\n\
    groups: [{name: gpu, images: [{name: cuda, image: 'nvcr.io/nvidia/cuda:12.6'}], nodeSelector: {gpu: 'none'}}]\n";

#[tokio::test]
async fn the_report_is_for_people_and_for_programs_and_of_all_or_of_a_part() {
    let trial = trial("statusforms").await;
    let _controller = Controller::start(&trial).await;
    trial.write_list("tools", TWO_GROUPS).await;
    trial.validated("tools", "accepted").await;
    // The group without nodes has nothing that could be cold.
    eventually("both groups to have a DaemonSet", async || (trial.daemon_sets().await.len() == 2).then_some(())).await;
    all_warm(&trial).await;

    let table = text(&status(&trial, &[]).stdout);
    assert!(!table.contains('\u{1b}') && !table.contains('█'), "colours and bars are for terminals: {table}");
    for words in [
        "accepted",
        "nginx:1.27",
        "group gpu: rollout tools-gpu-",
        "refresh: every 1h (OnChange), next in ",
        "no matching nodes",
    ] {
        assert!(table.contains(words), "{words} is missing: {table}");
    }
    let json: Value = serde_json::from_slice(&status(&trial, &["-o", "json"]).stdout).unwrap();
    let yaml = text(&status(&trial, &["-o", "yaml"]).stdout);
    assert!(yaml.contains("\n- namespace: ") && yaml.contains("reference: nginx:1.27"), "{yaml}");
    let nodes = json["lists"][0]["groups"][0]["images"][0]["nodes"]["total"].as_u64().unwrap();
    assert_eq!(json["requests"]["perNode"]["cpuMillis"], 2, "1m for each of two containers: {json}");
    assert_eq!(json["requests"]["total"]["cpuMillis"].as_u64().unwrap(), 2 * nodes);

    let of_image: Value = serde_json::from_slice(&status(&trial, &["-o", "json", "--image", "acme"]).stdout).unwrap();
    let images = of_image["lists"][0]["groups"].as_array().unwrap();
    assert_eq!((images.len(), &images[0]["images"][0]["reference"]), (1, &Value::from("ghcr.io/acme/app:7")));
    assert_eq!(images[0]["images"].as_array().unwrap().len(), 1);
    let node = test_node(&trial).await;
    let of_node: Value = serde_json::from_slice(&status(&trial, &["-o", "json", "--node", &node]).stdout).unwrap();
    assert_eq!(of_node["lists"][0]["groups"][0]["images"][0]["nodes"]["total"], 1);
    for (arguments, words) in
        [(["--image", "redis"], "has an image like redis"), (["--node", "nowhere"], "there is no node nowhere")]
    {
        let refused = status(&trial, &arguments);
        assert_eq!(refused.status.code(), Some(1));
        assert!(text(&refused.stderr).contains(words), "{}", text(&refused.stderr));
    }
}

async fn test_node(trial: &Trial) -> String {
    let pods = trial.pods().await;
    pods.iter().find_map(|pod| pod.spec.as_ref()?.node_name.clone()).unwrap()
}

#[tokio::test]
async fn all_namespaces_are_distinguished() {
    let (one, other) = (trial("statusone").await, trial("statusother").await);
    for trial in [&one, &other] {
        trial.write_list("tools", "images: [nginx:1.27]").await;
    }
    let _controller = Controller::start(&one).await;
    one.validated("tools", "accepted").await;
    all_warm(&one).await;
    let output = command(&one, &["-A", "-o", "json"]).output().unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let of = |trial: &Trial| {
        let lists = report["lists"].as_array().unwrap().iter();
        let mut lists = lists.filter(|list| list["namespace"] == trial.namespace.as_str());
        (lists.next().unwrap()["state"].clone(), lists.count())
    };
    assert_eq!((of(&one), of(&other)), (("accepted".into(), 0), ("notValidated".into(), 0)));
    assert_eq!(report["namespace"], "");
}

#[tokio::test]
async fn watching_reports_what_changes_until_it_is_interrupted() {
    let trial = trial("statuswatch").await;
    let _controller = Controller::start(&trial).await;
    trial.write_list("tools", "images: [nginx:1.27]").await;
    trial.validated("tools", "accepted").await;
    all_warm(&trial).await;
    let mut watching = command(&trial, &["--namespace", &trial.namespace, "--watch", "-o", "json"]);
    let mut watching = watching.stdout(Stdio::piped()).spawn().unwrap();
    let mut reports = BufReader::new(watching.stdout.take().unwrap()).lines();
    let mut next = || serde_json::from_str::<Value>(&reports.next().unwrap().unwrap()).unwrap();
    assert_eq!(next()["lists"][0]["groups"][0]["images"][0]["reference"], "nginx:1.27");
    trial.write_list("tools", "images: [nginx:1.28]").await;
    // What changes in between depends on how fast everybody is.
    let followed = (0..50).map(|_| next()).find(|report| {
        let image = &report["lists"][0]["groups"][0]["images"][0];
        report["warm"] == true && image["reference"] == "nginx:1.28"
    });
    assert!(followed.is_some());
    let pid = watching.id().to_string();
    assert!(Command::new("kill").args(["-s", "INT", &pid]).status().unwrap().success());
    assert_eq!(watching.wait().unwrap().code(), Some(0));
}
