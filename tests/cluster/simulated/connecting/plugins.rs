//! Credential plugins: shell scripts that print real credentials.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use k8s_openapi::api::authentication::v1::TokenRequest;
use k8s_openapi::api::core::v1::{ConfigMap, ServiceAccount};
use k8s_openapi::api::rbac::v1::RoleBinding;
use kube::api::{DeleteParams, PostParams};
use kube::config::Kubeconfig;
use serde_json::{Value, json};
use test_bed::tunnels::{Protocol, Tunnels};

use super::Access;
use crate::controller::Controller;
use crate::simulated::trial;
use crate::trial::{Trial, eventually, may_list, within};

const V1: &str = "client.authentication.k8s.io/v1";
const V1BETA1: &str = "client.authentication.k8s.io/v1beta1";
const USERS: [&str; 2] = ["me", "successor"];

/// A folder with a plugin, what it prints and has printed last, how often it has run, and what it has learned.
struct Plugin(PathBuf);

impl Plugin {
    fn printing(trial: &Trial, name: &str, printed: &Value) -> Self {
        let plugin = Self(std::env::temp_dir().join(format!("{}-{name}", trial.namespace)));
        fs::create_dir_all(&plugin.0).unwrap();
        plugin.print(printed);
        plugin.script("tee last <printed");
        plugin
    }

    fn script(&self, last: &str) {
        let folder = self.0.display();
        let text = format!(
            "#!/bin/sh\ncd {folder}\necho run >>runs\necho \"$KUBERNETES_EXEC_INFO\" >information\n\
             echo \"logging in as $WHO at $1\" >&2\n{last}\n"
        );
        let (written, plugin) = (self.0.join("written"), self.0.join("plugin"));
        fs::write(&written, text).unwrap();
        // A program cannot be run while anybody may still write to it. Were this process to write it, children of other tests could
        // hold the open file for a moment longer.
        let copied = Command::new("cp").args([&written, &plugin]).status().unwrap();
        assert!(copied.success(), "{copied}");
        fs::set_permissions(plugin, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// Replaces what it prints, in one step.
    fn print(&self, printed: &Value) {
        fs::write(self.0.join("new"), printed.to_string()).unwrap();
        fs::rename(self.0.join("new"), self.0.join("printed")).unwrap();
    }

    fn runs(&self) -> usize {
        fs::read_to_string(self.0.join("runs")).unwrap_or_default().lines().count()
    }

    async fn prints_this(&self, printed: &Value) {
        self.print(printed);
        self.has_printed(printed).await;
    }

    async fn has_printed(&self, printed: &Value) {
        let printed = printed.to_string();
        let is_last = || fs::read_to_string(self.0.join("last")).is_ok_and(|last| last == printed);
        within(Duration::from_secs(180), "the plugin to run again", async || is_last().then_some(())).await;
    }

    fn user(&self, version: &str) -> Value {
        json!({"exec": {
            "apiVersion": version,
            "command": self.0.join("plugin"),
            "args": ["the office"],
            "env": [{"name": "WHO", "value": "me"}],
            "interactiveMode": "IfAvailable",
            "provideClusterInfo": true,
        }})
    }
}

impl Drop for Plugin {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

fn credential(version: &str, status: &Value) -> Value {
    json!({"apiVersion": version, "kind": "ExecCredential", "status": status})
}

/// A new token of this account, which is made if it is missing, and may do everything in the namespace if it is one of [`USERS`].
async fn token(trial: &Trial, user: &str) -> String {
    let accounts = trial.api::<ServiceAccount>();
    if accounts.get_opt(user).await.unwrap().is_none() {
        trial.create::<ServiceAccount>(json!({"metadata": {"name": user}})).await;
    }
    let request: TokenRequest =
        serde_json::from_value(json!({"spec": {"audiences": [], "expirationSeconds": 3600}})).unwrap();
    let token = accounts.create_token_request(user, &PostParams::default(), &request).await.unwrap();
    token.status.unwrap().token
}

async fn grant(trial: &Trial) {
    let subject = |user: &&str| json!({"kind": "ServiceAccount", "name": user, "namespace": trial.namespace});
    trial
        .create::<RoleBinding>(json!({
            "metadata": {"name": "users"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "admin"},
            "subjects": USERS.iter().map(subject).collect::<Vec<_>>(),
        }))
        .await;
    // Both users have the same.
    let client = trial.client_as(&format!("system:serviceaccount:{}:{}", trial.namespace, USERS[0])).await;
    may_list::<ConfigMap>(&client, &trial.namespace).await;
    trial.write_list("tools", "images: [nginx:1.27]").await;
}

#[tokio::test]
async fn tokens_and_certificates_of_plugins_are_used_and_each_command_runs_the_plugin_once() {
    let trial = trial("plugins").await;
    grant(&trial).await;
    let token = token(&trial, "me").await;
    let cluster = Kubeconfig::read_from(&trial.kubeconfig).unwrap();
    let admin = cluster.auth_infos[0].auth_info.clone().unwrap();
    let pem = |data: Option<&str>, file: &Option<String>| match data {
        Some(data) => String::from_utf8(STANDARD.decode(data).unwrap()).unwrap(),
        None => fs::read_to_string(file.as_ref().unwrap()).unwrap(),
    };
    let certificate = pem(admin.client_certificate_data.as_deref(), &admin.client_certificate);
    let key = pem(None, &admin.client_key);
    for (version, status) in [
        (V1, json!({"token": token})),
        (V1BETA1, json!({"token": token, "expirationTimestamp": "2099-01-01T00:00:00Z"})),
        (V1, json!({"clientCertificateData": certificate, "clientKeyData": key})),
    ] {
        let plugin = Plugin::printing(&trial, "login", &credential(version, &status));
        let access = Access::of(&trial, "login").with_user(plugin.user(version));
        for (runs, command) in [&["refresh", "tools"][..], &["status", "-o", "json"]].into_iter().enumerate() {
            let (code, output) = access.run(&trial, command, &[]).await;
            assert!(code == Some(0) || output.contains("\"lists\""), "{command:?}: {output}");
            assert!(output.contains("logging in as me at the office\n"), "{output}");
            assert!(!output.contains(&token), "{output}");
            assert_eq!(plugin.runs(), runs + 1);
        }
        let information: Value =
            serde_json::from_str(&fs::read_to_string(plugin.0.join("information")).unwrap()).unwrap();
        assert_eq!((&information["apiVersion"], &information["spec"]["interactive"]), (&json!(version), &json!(false)));
        assert_eq!(information["spec"]["cluster"]["server"], access.config["clusters"][0]["cluster"]["server"]);
        assert!(information["spec"]["cluster"]["certificate-authority-data"].is_string(), "{information}");
    }
}

#[tokio::test]
async fn a_long_wait_behind_a_proxy_renews_credentials_that_expire_and_that_are_no_longer_accepted() {
    let trial = trial("renewals").await;
    grant(&trial).await;
    let expiring = |token: &str, seconds: i64| {
        let expires = Timestamp::from_second(Timestamp::now().as_second() + seconds).unwrap();
        credential(V1, &json!({"token": token, "expirationTimestamp": expires.to_string()}))
    };
    let plugin = Plugin::printing(&trial, "login", &expiring(&token(&trial, "me").await, 12));
    let proxy = Tunnels::start(Protocol::Connect, Access::of(&trial, "direct").server, None).unwrap();
    let access = Access::behind_proxy(&trial, "renewals").with_user(plugin.user(V1));
    let mut command = access.command(&trial, &["wait", "tools", "--timeout", "5m"]);
    command.env("HTTPS_PROXY", format!("http://{}", proxy.address()));
    let mut waiting = command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).spawn().unwrap();
    eventually("the plugin to run again", async || (plugin.runs() > 1).then_some(())).await;

    // The next one has no end, but its account goes, and with it its tokens.
    plugin.prints_this(&credential(V1, &json!({"token": token(&trial, "me").await}))).await;
    let successor = credential(V1, &json!({"token": token(&trial, "successor").await}));
    plugin.print(&successor);
    trial.api::<ServiceAccount>().delete("me", &DeleteParams::default()).await.unwrap();
    plugin.has_printed(&successor).await;

    let _controller = Controller::start(&trial).await;
    let status = within(Duration::from_secs(180), "the wait to end", async || waiting.try_wait().unwrap()).await;
    assert!(status.success(), "{status}");
}

#[tokio::test]
async fn a_plugin_that_fails_is_reported_with_its_own_words_and_who_needs_it() {
    let trial = trial("badplugins").await;
    trial.write_list("tools", "images: [nginx:1.27]").await;
    let plugin = Plugin::printing(&trial, "login", &credential(V1, &json!({"token": "secret"})));
    let whose = |access: &Access| {
        let (context, user) = (&access.config["contexts"][0]["name"], &access.config["users"][0]["name"]);
        format!("of the user {user} of the context {context} in {}", access.path.display())
    };
    let fails = async |access: &Access, expected: &[&str]| {
        for command in [&["status"][..], &["wait", "tools"], &["refresh", "tools"]] {
            let (code, output) = access.run(&trial, command, &[]).await;
            assert_eq!(code, Some(1), "{command:?}: {output}");
            let whose = whose(access);
            for words in expected.iter().copied().chain([&whose["of ".len()..]]) {
                assert!(output.contains(words), "{command:?}: no {words:?} in {output}");
            }
            assert!(!output.contains("secret"), "{output}");
        }
    };
    let access = Access::of(&trial, "bad").with_user(plugin.user(V1));
    fails(&access, &["the API server does not accept the credentials", "log in again"]).await;
    plugin.script("echo 'your licence has ended' >&2; echo secret; exit 3");
    fails(&access, &["your licence has ended\n", "the credential plugin ", "failed (exit status: 3)"]).await;
    plugin.script("echo token: secret");
    fails(&access, &["prints something else than an ExecCredential"]).await;

    let mut missing = plugin.user(V1);
    missing["exec"]["command"] = json!("no-such-login");
    missing["exec"]["installHint"] = json!("Install it with: apt install login\nAsk the help desk.");
    let access = Access::of(&trial, "missing").with_user(missing);
    fails(
        &access,
        &["the credential plugin \"no-such-login\"", "cannot be found", "apt install login", "Ask the help desk."],
    )
    .await;

    let mut interactive = plugin.user(V1);
    interactive["exec"]["interactiveMode"] = json!("Always");
    fails(&Access::of(&trial, "always").with_user(interactive), &["needs a terminal"]).await;
    let old = plugin.user("client.authentication.k8s.io/v1alpha1");
    fails(&Access::of(&trial, "old").with_user(old), &["v1alpha1", "set it to client.authentication.k8s.io/v1"]).await;
}

#[tokio::test]
async fn a_kubeconfig_of_no_use_is_reported_with_its_name_and_without_its_lines() {
    let trial = trial("badconfigs").await;
    let mut access = Access::of(&trial, "broken");
    let context = access.config["contexts"][0]["name"].as_str().unwrap().to_owned();
    let path = access.path.display().to_string();
    let (code, output) = access.run(&trial, &["status", "--context", "nobody"], &[]).await;
    let expected = format!("{path} has no context \"nobody\"; choose one with --context: {context}");
    assert!(code == Some(1) && output.contains(&expected), "{output}");
    access.config["current-context"] = json!("");
    let access = access.written();
    let (_, output) = access.run(&trial, &["status"], &[]).await;
    assert!(
        output.contains(&format!("{path} has no current-context; choose one with --context: {context}")),
        "{output}"
    );
    fs::write(&access.path, "users: [{name: me, user: {token: secret}}\ncontexts: [").unwrap();
    let (code, output) = access.run(&trial, &["status"], &[]).await;
    assert!(code == Some(1) && output.contains(&path) && output.contains("is not a valid kubeconfig"), "{output}");
    assert!(!output.contains("secret") && output.lines().count() == 1, "{output}");
    fs::remove_file(&access.path).unwrap();
    let (_, output) = access.run(&trial, &["status"], &[]).await;
    assert!(output.contains(&format!("cannot read the kubeconfig {path}: ")), "{output}");
}
