//! Metrics for those only who may get them, as the API server says.

use std::path::PathBuf;

use super::conditions::{as_limited, rights};
use super::trial;
use crate::controller::Controller;
use crate::prometheus::Monitoring;
use crate::secure::{Reader, certificate, metrics, token};
use crate::trial::{Trial, eventually};

/// A folder with a certificate, which goes with the value.
struct Folder(PathBuf);

impl Folder {
    fn of(trial: &Trial) -> Self {
        Self(std::env::temp_dir().join(format!("{}-certificate", trial.namespace)))
    }

    fn arguments(&self) -> [&str; 3] {
        ["--secure-metrics", "--metrics-cert-dir", self.0.to_str().unwrap()]
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

#[tokio::test]
async fn only_an_account_with_the_right_gets_metrics() {
    let trial = trial("secure").await;
    let folder = Folder::of(&trial);
    let trusted = certificate(&folder.0);
    // A follower answers too: reviews are no writes.
    let arguments = [&folder.arguments()[..], &["--leader-elect=true"]].concat();
    let controller = Controller::start_with(&trial, &arguments).await;
    let (reader, stranger) = (token(&trial, "reader").await, token(&trial, "stranger").await);
    let _right = Reader::grant(&trial, "reader").await;
    let get = async |token: Option<&str>| metrics(controller.address(), &trusted, token).await.unwrap();
    // The API server learns of the right after a moment, and what it said before is kept for ten seconds.
    eventually("the reader to get metrics", async || (get(Some(&reader)).await.0 == 200).then_some(())).await;
    assert!(get(Some(&reader)).await.1.contains("kube_prepull_build_info"));
    assert_eq!(get(None).await.0, 401);
    assert_eq!(get(Some("garbage")).await.0, 401);
    assert_eq!(get(Some(&format!("{reader}x"))).await.0, 401);
    assert_eq!(get(Some(&stranger)).await.0, 403);
    // Over TLS only.
    assert_eq!(controller.get("/metrics"), None);
    // The others need no token.
    assert_eq!(controller.get("/readyz").unwrap().0, 200);
    assert_eq!(controller.get("/status").unwrap().0, 200);
    let log = controller.log();
    assert!(!log.contains(&reader) && !log.contains(&stranger), "{log}");

    // A certificate that changes is taken over without a restart.
    let renewed = certificate(&folder.0);
    eventually("the new certificate", async || metrics(controller.address(), &renewed, Some(&reader)).await).await;
    assert_eq!(metrics(controller.address(), &trusted, Some(&reader)).await, None);
}

#[tokio::test]
async fn prometheus_scrapes_them_with_its_token_and_a_self_signed_certificate() {
    let trial = trial("secureprom").await;
    let controller = Controller::start_with(&trial, &["--secure-metrics"]).await;
    let reader = token(&trial, "prometheus").await;
    let _right = Reader::grant(&trial, "prometheus").await;
    let monitoring = Monitoring::start_secure(&trial, &[controller.address()], &reader);
    assert!(monitoring.answers("kube_prepull_leader").await <= 1.0);
    let plain = Monitoring::start(&trial, &[controller.address()]);
    assert!(plain.answers("up").await == 0.0);
}

#[tokio::test]
async fn a_controller_without_the_right_to_check_tokens_gives_metrics_to_nobody_and_says_why() {
    let trial = trial("secureblind").await;
    let folder = Folder::of(&trial);
    let trusted = certificate(&folder.0);
    let proxy = as_limited(&trial, &rights()).await;
    let controller = Controller::spawn(&trial, &proxy.kubeconfig, &folder.arguments());
    let reader = token(&trial, "reader").await;
    let _right = Reader::grant(&trial, "reader").await;
    let answer = eventually("an answer", async || metrics(controller.address(), &trusted, Some(&reader)).await).await;
    assert_eq!(answer.0, 503, "{}", answer.1);
    let log = controller.log();
    assert!(log.contains("not allowed to create TokenReviews") && !log.contains(&reader), "{log}");
}
