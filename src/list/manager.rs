//! Which tool writes a list, so that an edit by hand would be undone, or would keep the tool from working.

use std::fmt;

use kube::core::ObjectMeta;

/// A tool that owns a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListManager {
    tool: &'static str,
    /// Which of the tool's objects, if that is known.
    object: Option<String>,
}

/// Tools that say so in labels or annotations of the object, and the names of their own objects there. From the documentation of the tools:
/// <https://argo-cd.readthedocs.io/en/stable/user-guide/resource_tracking/>,
/// <https://fluxcd.io/flux/components/kustomize/kustomizations/#inventory>, <https://fluxcd.io/flux/components/helm/helmreleases/>,
/// <https://helm.sh/docs/topics/charts_hooks/>.
const MARKS: [(&str, &str, &str); 4] = [
    ("argocd.argoproj.io/tracking-id", "Argo CD", "Application"),
    ("kustomize.toolkit.fluxcd.io/name", "Flux", "Kustomization"),
    ("helm.toolkit.fluxcd.io/name", "Flux", "HelmRelease"),
    ("meta.helm.sh/release-name", "Helm", "release"),
];
/// Helm does not track the objects of its hooks, so those belong to whoever edits them.
const HOOK: &str = "helm.sh/hook";

/// Tools by the field manager with which they write. A person's edits have the names of kubectl, k9s, a browser and so on.
const FIELD_MANAGERS: [(&str, &str); 5] = [
    ("argocd-controller", "Argo CD"),
    ("kustomize-controller", "Flux"),
    ("helm-controller", "Flux"),
    ("fleetagent", "Fleet"),
    ("configsync.gke.io", "Config Sync"),
];

impl ListManager {
    /// The tool that owns the data of a ConfigMap; `None` if people edit it.
    pub fn of(metadata: &ObjectMeta) -> Option<Self> {
        Self::by_mark(metadata).or_else(|| Self::by_field(metadata))
    }

    fn by_mark(metadata: &ObjectMeta) -> Option<Self> {
        let of = |key: &str| {
            let annotation = metadata.annotations.as_ref().and_then(|annotations| annotations.get(key));
            annotation.or_else(|| metadata.labels.as_ref().and_then(|labels| labels.get(key)))
        };
        let is_of_hook = of(HOOK).is_some();
        MARKS.iter().find_map(|(key, tool, kind)| {
            let name = of(key).filter(|_| !(*tool == "Helm" && is_of_hook))?;
            // Argo CD writes APPLICATION:GROUP/KIND:NAMESPACE/NAME.
            let name = name.split(':').next().unwrap_or_default();
            Some(Self { tool, object: Some(format!("the {kind} {name}")) })
        })
    }

    fn by_field(metadata: &ObjectMeta) -> Option<Self> {
        let entries = metadata.managed_fields.iter().flatten();
        let of_data =
            entries.filter(|entry| entry.fields_v1.as_ref().is_some_and(|fields| !fields.0["f:data"].is_null()));
        let mut managers = of_data.filter_map(|entry| entry.manager.as_deref());
        managers.find_map(|manager| {
            let (_, tool) = FIELD_MANAGERS.iter().find(|(prefix, _)| manager.starts_with(prefix))?;
            Some(Self { tool, object: None })
        })
    }
}

impl fmt::Display for ListManager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.object {
            Some(object) => write!(f, "{} ({object})", self.tool),
            None => f.write_str(self.tool),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn manager(metadata: Value) -> Option<String> {
        let metadata: ObjectMeta = serde_json::from_value(metadata).expect("metadata");
        ListManager::of(&metadata).map(|manager| manager.to_string())
    }

    fn written_by(manager: &str, fields: Value) -> Value {
        json!({"managedFields": [{"manager": manager, "operation": "Apply", "fieldsType": "FieldsV1", "fieldsV1": fields}]})
    }

    #[test]
    fn tools_are_known_by_the_marks_that_they_leave_on_what_they_own() {
        for (kind, key, value, expected) in [
            (
                "annotations",
                "argocd.argoproj.io/tracking-id",
                "shop:/ConfigMap:prepull/tools",
                "Argo CD (the Application shop)",
            ),
            ("labels", "kustomize.toolkit.fluxcd.io/name", "images", "Flux (the Kustomization images)"),
            ("labels", "helm.toolkit.fluxcd.io/name", "prepull", "Flux (the HelmRelease prepull)"),
            ("annotations", "meta.helm.sh/release-name", "prepull", "Helm (the release prepull)"),
        ] {
            assert_eq!(manager(json!({kind: {key: value}})).as_deref(), Some(expected));
        }
    }

    #[test]
    fn a_list_that_a_chart_has_created_once_belongs_to_those_who_edit_it() {
        let hook = json!({"helm.sh/hook": "pre-install", "meta.helm.sh/release-name": "prepull"});
        assert_eq!(manager(json!({"annotations": hook})), None);
    }

    #[test]
    fn who_applied_the_data_is_known_from_the_managed_fields() {
        let data = json!({"f:data": {"f:images.yaml": {}}});
        assert_eq!(manager(written_by("argocd-controller", data.clone())).as_deref(), Some("Argo CD"));
        assert_eq!(manager(written_by("kustomize-controller", data.clone())).as_deref(), Some("Flux"));
        for person in ["kubectl", "kubectl-client-side-apply", "kubectl-edit", "k9s", "Mozilla", "kubectl-prepull"] {
            assert_eq!(manager(written_by(person, data.clone())), None, "{person}");
        }
        let labels = json!({"f:metadata": {"f:labels": {}}});
        assert_eq!(manager(written_by("argocd-controller", labels)), None, "of the data it owns nothing");
    }
}
