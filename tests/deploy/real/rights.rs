//! What the controller's account may do, and what it has asked for by the API server's audit log.

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use test_bed::wait;

use super::Install;

/// The controller's ServiceAccount.
const ACCOUNT: &str = "k8s-image-puller";

/// Verb, group and resource of each right or request.
type Rights = BTreeSet<String>;

impl Install {
    /// Fails if the controller was refused anything, or if it has a right that it has not used until now. The API server logs a request
    /// a moment after it has answered.
    pub fn assert_every_right_is_used_and_none_is_missing(&self) {
        self.assert_used_and_sufficient(|_| true);
    }

    /// The same for the rights to one resource, as group and name.
    pub fn assert_every_right_to_is_used_and_none_is_missing(&self, resource: &str) {
        self.assert_used_and_sufficient(|right| right.ends_with(&format!(" {resource}")));
    }

    fn assert_used_and_sufficient(&self, is_meant: impl Fn(&String) -> bool) {
        let mut granted = self.granted();
        granted.retain(&is_meant);
        assert!(!granted.is_empty());
        let mut unused = granted.clone();
        let all_used = wait::until("every right to be used", Duration::from_secs(60), || {
            let used: Rights = self.requests().iter().flat_map(Request::rights).collect();
            unused.retain(|right| !used.contains(right));
            Ok(unused.is_empty().then_some(()))
        });
        all_used.unwrap_or_else(|error| panic!("{error}: {unused:?}"));
        let requests = self.requests();
        let mut refused: Rights =
            requests.iter().filter(|it| it.code() == Some(403)).flat_map(Request::rights).collect();
        refused.retain(&is_meant);
        assert_eq!(refused, Rights::new());
        assert!(!granted.iter().any(|right| right.ends_with("/secrets") || right.contains('*')), "{granted:?}");
    }

    /// What the roles allow that are bound to the controller's account.
    fn granted(&self) -> Rights {
        let bindings = ["rolebinding", "clusterrolebinding"].map(|kind| self.items(kind));
        let account =
            |subject: &Value| subject["name"] == ACCOUNT && subject["namespace"] == self.it.namespace.name.as_str();
        let ours = bindings.iter().flatten().filter(|it| it["subjects"].as_array().into_iter().flatten().any(account));
        let bound: Vec<(&Value, &Value)> = ours.map(|it| (&it["roleRef"]["kind"], &it["roleRef"]["name"])).collect();
        let roles = ["role", "clusterrole"].map(|kind| self.items(kind));
        let roles = roles.iter().flatten().filter(|role| bound.contains(&(&role["kind"], &role["metadata"]["name"])));
        roles.flat_map(|role| role["rules"].as_array().unwrap()).flat_map(rights).collect()
    }

    /// All objects of a kind, those of this namespace if it has one.
    fn items(&self, kind: &str) -> Vec<Value> {
        let all = self.it.namespace.kubectl(&["get", kind, "-o", "json"]).unwrap();
        let all: Value = serde_json::from_str(&all).unwrap();
        all["items"].as_array().unwrap().clone()
    }

    fn requests(&self) -> Vec<Request> {
        self.requests_of(ACCOUNT)
    }

    /// The rights that a ServiceAccount of the namespace has used.
    pub fn rights_used_by(&self, account: &str) -> BTreeSet<String> {
        self.requests_of(account).iter().flat_map(Request::rights).collect()
    }

    fn requests_of(&self, account: &str) -> Vec<Request> {
        let account = format!("system:serviceaccount:{}:{account}", self.it.namespace.name);
        let log = fs::read_to_string(self.bed.audit_log()).unwrap();
        let records = log.lines().filter_map(|line| serde_json::from_str::<Request>(line).ok());
        records.filter(|it| it.user.username == account && it.object_ref.is_some()).collect()
    }
}

/// Everything that a rule allows.
fn rights(rule: &Value) -> Vec<String> {
    let texts = |key: &str| rule[key].as_array().unwrap().iter().map(|it| it.as_str().unwrap().to_owned());
    let of_group = |group: String| {
        texts("resources").flat_map(move |resource| {
            let group = group.clone();
            texts("verbs").map(move |verb| format!("{verb} {group}/{resource}"))
        })
    };
    texts("apiGroups").flat_map(of_group).collect()
}

/// The part of an audit record that says who asked for what.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Request {
    verb: String,
    #[serde(rename = "requestURI")]
    uri: String,
    user: User,
    object_ref: Option<Object>,
    response_status: Option<Status>,
}

#[derive(Deserialize)]
struct User {
    username: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Object {
    #[serde(default)]
    api_group: String,
    resource: String,
}

#[derive(Deserialize)]
struct Status {
    code: Option<u16>,
}

impl Request {
    fn code(&self) -> Option<u16> {
        self.response_status.as_ref()?.code
    }

    /// The rights that it needed. An apply that creates the object needs two, and a streaming list needs another where the API server has
    /// no such lists.
    fn rights(&self) -> Vec<String> {
        let object = self.object_ref.as_ref().unwrap();
        let right = |verb: &str| format!("{verb} {}/{}", object.api_group, object.resource);
        match (self.verb.as_str(), self.code()) {
            ("patch", Some(201)) => vec![right("patch"), right("create")],
            ("watch", _) if self.uri.contains("sendInitialEvents=true") => vec![right("watch"), right("list")],
            (verb, _) => vec![right(verb)],
        }
    }
}
