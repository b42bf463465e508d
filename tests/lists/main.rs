//! Lists as users write them: which are accepted, which are rejected and why, what the pages say about them, and hostile inputs.

mod documents;
mod hostile;
mod hostile_inputs;
mod inputs;
mod keys;
mod large;
mod policy;
mod schema;
mod validate;
mod validation_results;

use kube_prepull::list::ListData;

/// A list with this data.
fn list<'a>(data: impl IntoIterator<Item = (&'a str, &'a str)>) -> ListData {
    let data = data.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned()));
    ListData { namespace: "k8s-image-puller".to_owned(), name: "images".to_owned(), data: data.collect(), found: None }
}

/// A list with this `images.yaml`.
fn yaml_list(text: &str) -> ListData {
    list([("images.yaml", text)])
}
