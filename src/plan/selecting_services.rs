//! Services that select the pods of a list. Holders answer nothing, so such a Service would lose a part of its requests.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::Service;
use kube::ResourceExt;

use super::daemon_set::lasting_pod_labels;
use crate::list::Config;

/// A Service that selects the pods of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SelectingService {
    /// Its name.
    pub service: String,
    /// The group.
    pub group: String,
    /// The labels of the group's pods by which it selects them, as `key=value`.
    pub labels: BTreeSet<String>,
    /// Whether some of these are the list's own.
    pub by_list: bool,
}

/// The Services of a namespace that select pods of a list. A Service without a selector selects nothing (`Service.spec.selector` in
/// `k8s.io/api/core/v1`: its endpoints are managed elsewhere), and for one of the type `ExternalName` the selector is ignored.
pub fn selecting(services: &[Service], label: &str, config: &Config) -> Vec<SelectingService> {
    let mut found = Vec::new();
    for group in &config.groups {
        let pod_labels = lasting_pod_labels(label, group);
        for (name, selector) in services.iter().filter_map(selector) {
            if selector.iter().all(|(key, value)| pod_labels.get(key) == Some(value)) {
                found.push(SelectingService {
                    service: name,
                    group: group.name.to_string(),
                    labels: selector.iter().map(|(key, value)| format!("{key}={value}")).collect(),
                    by_list: selector.keys().any(|key| group.pod_labels.contains_key(key)),
                });
            }
        }
    }
    found
}

fn selector(service: &Service) -> Option<(String, &BTreeMap<String, String>)> {
    let spec = service.spec.as_ref()?;
    let selector = spec.selector.as_ref().filter(|selector| !selector.is_empty())?;
    (spec.type_.as_deref() != Some("ExternalName")).then(|| (service.name_any(), selector))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::list::{ListData, parse};

    fn service(name: &str, spec: Value) -> Service {
        serde_json::from_value(json!({"metadata": {"name": name}, "spec": spec})).expect("a Service")
    }

    fn found(services: &[Service]) -> Vec<String> {
        let text = "{images: ['nginx:1'], groups: [{name: web, images: ['redis:7'], podLabels: {app: web, team: a}}]}";
        let data = [("images.yaml".to_owned(), text.to_owned())].into();
        let list = ListData { namespace: "prepull".to_owned(), name: "tools".to_owned(), data, found: None };
        let config = parse(&list).config.expect("a good list");
        let found = selecting(services, "tools", &config);
        found.iter().map(|it| format!("{} {} {:?} {}", it.service, it.group, it.labels, it.by_list)).collect()
    }

    #[test]
    fn a_service_selects_the_pods_that_have_all_labels_of_its_selector() {
        let services = [
            service("web", json!({"selector": {"app": "web"}})),
            service("both", json!({"selector": {"app": "web", "team": "a"}})),
            service("more", json!({"selector": {"app": "web", "tier": "b"}})),
            service("other", json!({"selector": {"app": "shop"}})),
            service("manual", json!({"selector": {}})),
            service("none", json!({"ports": [{"port": 80}]})),
            service("elsewhere", json!({"selector": {"app": "web"}, "type": "ExternalName", "externalName": "a.test"})),
        ];
        assert_eq!(found(&services), [r#"web web {"app=web"} true"#, r#"both web {"app=web", "team=a"} true"#]);
    }

    #[test]
    fn a_service_may_also_select_by_the_labels_that_kube_prepull_sets() {
        let services = [
            service("all", json!({"selector": {"app.kubernetes.io/name": "kube-prepull"}})),
            service("group", json!({"selector": {"kube-prepull.io/group": "web"}})),
            service(
                "metrics",
                json!({"selector": {"app.kubernetes.io/name": "kube-prepull", "app.kubernetes.io/component": "controller"}}),
            ),
        ];
        let expected = [
            r#"all default {"app.kubernetes.io/name=kube-prepull"} false"#,
            r#"all web {"app.kubernetes.io/name=kube-prepull"} false"#,
            r#"group web {"kube-prepull.io/group=web"} false"#,
        ];
        assert_eq!(found(&services), expected);
    }
}
