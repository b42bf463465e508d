//! What a registry answers reaches people without escapes, commands of CI systems and signatures, whatever the runtime makes of it.

use serde_json::Value;
use test_bed::real::Fault;

use super::faults::{HEALING, Outage};
use crate::hostile::{MESSAGE, SIGNATURE, assert_clean_everywhere};
use crate::trial::within;

#[tokio::test]
#[ignore = "make test-faults"]
async fn a_hostile_answer_of_a_registry_is_clean_wherever_people_read_it() {
    let outage = Outage::begin("hostile").await;
    let trial = &outage.real.trial;
    outage.faulty.set(Fault::Hostile { message: MESSAGE.to_owned(), signature: SIGNATURE.to_owned() });
    outage.list(&["app:1"], "").await;
    let said = within(HEALING, "a kubelet to quote the answer", async || {
        let pods = serde_json::to_value(trial.pods().await).unwrap();
        let mut messages = Vec::new();
        texts(&pods, &mut messages);
        messages.into_iter().find(|text| text.contains("owned"))
    })
    .await;
    eprintln!("the kubelet says: {said:?}");
    assert!(said.contains('\u{1b}') || said.contains("::error"), "nothing is left to clean: {said:?}");
    trial.reported_within(HEALING, "ImageFailing").await;
    let shown = assert_clean_everywhere(trial, &outage.controller).await;
    assert!(shown.contains("owned"), "{shown}");
}

/// All texts in a JSON.
fn texts(json: &Value, found: &mut Vec<String>) {
    match json {
        Value::String(text) => found.push(text.clone()),
        Value::Array(items) => items.iter().for_each(|item| texts(item, found)),
        Value::Object(fields) => fields.values().for_each(|field| texts(field, found)),
        _ => {}
    }
}
