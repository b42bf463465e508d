//! Secure metrics as the chart sets them up: with a certificate from a Secret, and the rights of the chart alone.

use serde_json::json;

use super::Install;
use crate::helm::RELEASE;
use crate::tls::{Certificate, get_metrics};

#[test]
#[ignore = "make test-faults"]
fn with_the_rights_of_the_chart_a_reader_gets_secure_metrics_and_nobody_else() {
    let install = Install::begin("secure");
    let namespace = &install.it.namespace;
    install.push_controller("1");
    let certificate = Certificate::for_localhost();
    let content = json!({"tls.crt": certificate.chain, "tls.key": certificate.key});
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "cert"}, "stringData": content});
    namespace.apply(&secret);
    for account in ["reader", "stranger"] {
        namespace.kubectl(&["create", "serviceaccount", account]).unwrap();
    }
    let readers = json!([{"name": "reader", "namespace": namespace.name}]);
    let metrics = json!({"secure": true, "certSecret": "cert", "readers": readers});
    let values = install.values_with("1", json!({"metrics": metrics}));
    install.it.helm.with_chart("install", &values, &["--wait", "--timeout", "3m"]).unwrap();

    let token = |account: &str| namespace.kubectl(&["create", "token", account]).unwrap();
    let (reader, stranger) = (token("reader"), token("stranger"));
    let forwarding = install.forward(8443);
    let get = |token: Option<&str>| get_metrics(forwarding.address(), &certificate.trusted, token.map(str::trim));
    let mut text = String::new();
    install.it.eventually("the reader to get metrics", || match get(Some(&reader)) {
        Some((200, metrics)) => {
            text = metrics;
            true
        }
        _ => false,
    });
    assert!(text.contains("kube_prepull_build_info"), "{text}");
    let status = |token| get(token).map(|(status, _)| status);
    assert_eq!((status(None), status(Some("garbage"))), (Some(401), Some(401)));
    assert_eq!(status(Some(&stranger)), Some(403));
    for review in ["authentication.k8s.io/tokenreviews", "authorization.k8s.io/subjectaccessreviews"] {
        install.assert_every_right_to_is_used_and_none_is_missing(review);
    }
    // The rights are cluster-wide, so they do not go with the namespace.
    install.it.helm.run(&["uninstall", RELEASE, "--wait"]).unwrap();
}
