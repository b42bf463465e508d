//! Lists from outside: what is accepted, what is rejected and why, what is written about it, and what hurts nobody.

mod documents;
mod inputs;
mod keys;
mod large;
mod schema;
mod validate;
mod validation_results;

use kube_prepull::list::ListData;

/// A list with this data.
fn list<'a>(data: impl IntoIterator<Item = (&'a str, &'a str)>) -> ListData {
    let data = data.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned()));
    ListData { namespace: "k8s-image-puller".to_owned(), name: "images".to_owned(), data: data.collect() }
}

/// A list with this `images.yaml`.
fn yaml_list(text: &str) -> ListData {
    list([("images.yaml", text)])
}
