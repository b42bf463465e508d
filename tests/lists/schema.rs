//! The JSON Schema for editors: it knows the keys that the parser knows, accepts what is accepted, and sees wrong keys and
//! types.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use jsonschema::Validator;
use kube_prepull::list::cache_platform::CachePlatform;
use kube_prepull::list::config::Architecture;
use kube_prepull::list::discover::WorkloadKind;
use kube_prepull::list::{self, Code, discover, yaml};
use serde_json::Value;

use super::{documents, validation_results, yaml_list};

fn schema() -> Value {
    serde_json::from_str(include_str!("../../config/images.schema.json")).expect("the schema is JSON")
}

/// The schema, ready to be asked.
pub static VALIDATOR: LazyLock<Validator> =
    LazyLock::new(|| jsonschema::draft202012::new(&schema()).expect("a schema of draft 2020-12"));

fn properties(schema: &Value, name: &str) -> BTreeSet<String> {
    schema["$defs"][name]["properties"].as_object().expect("properties").keys().cloned().collect()
}

#[test]
fn the_schema_follows_its_own_draft() {
    assert!(jsonschema::meta::is_valid(&schema()));
}

#[test]
fn the_properties_are_the_keys_of_the_parser() {
    let schema = schema();
    let sorts: [(&str, &[&str]); 11] = [
        ("document", &yaml::TOP_KEYS),
        ("group", &yaml::GROUP_KEYS),
        ("discover", &discover::KEYS),
        ("refresh", &yaml::REFRESH_KEYS),
        ("imageCache", &yaml::IMAGE_CACHE_KEYS),
        ("nodeGate", &yaml::NODE_GATE_KEYS),
        ("platform", &yaml::PLATFORM_KEYS),
        ("resources", &yaml::RESOURCES_KEYS),
        ("quantities", &yaml::QUANTITY_KEYS),
        ("secret", &yaml::SECRET_KEYS),
        ("image", &yaml::IMAGE_KEYS),
    ];
    for (name, keys) in sorts {
        let reported = match name {
            "image" => schema["$defs"]["image"]["oneOf"][1]["properties"]
                .as_object()
                .expect("properties")
                .keys()
                .cloned()
                .collect(),
            _ => properties(&schema, name),
        };
        assert_eq!(reported, keys.iter().map(|key| (*key).to_owned()).collect(), "{name}");
    }
    let architectures = &schema["$defs"]["group"]["properties"]["architectures"]["items"]["enum"];
    assert_eq!(*architectures, Value::from(Architecture::ALL.map(|(name, _)| name).to_vec()));
    let kinds = &schema["$defs"]["discover"]["properties"]["kinds"]["items"]["enum"];
    assert_eq!(*kinds, Value::from(WorkloadKind::ALL.map(|(name, _)| name).to_vec()));
    assert_eq!(
        schema["$defs"]["platformName"]["enum"],
        Value::from(CachePlatform::ALL.map(CachePlatform::name).to_vec())
    );
}

#[test]
fn every_accepted_list_of_the_documentation_is_valid() {
    let texts = documents::accepted_yaml();
    assert!(texts.len() >= 30, "only {} lists were found", texts.len());
    for text in texts {
        assert!(list::parse(&yaml_list(&text)).config.is_some(), "{text}");
        let value: Value = serde_yaml::from_str(&text).expect("accepted lists are YAML");
        let wrong: Vec<String> =
            VALIDATOR.iter_errors(&value).map(|error| format!("{}: {error}", error.instance_path())).collect();
        assert!(wrong.is_empty(), "{text}\n{wrong:#?}");
    }
}

#[test]
fn wrong_keys_and_types_are_invalid() {
    let seen_by_a_schema =
        [Code::UnknownKey, Code::MissingKey, Code::WrongType, Code::OutOfRange, Code::EmptyList, Code::InvalidQuantity];
    let mut seen = 0;
    for (text, codes) in validation_results::rejected_yaml() {
        let Ok(value) = serde_yaml::from_str::<Value>(&text) else { continue };
        // The range of an interval is beyond a schema.
        if !codes.iter().any(|code| seen_by_a_schema.contains(code)) || text.contains("every") {
            continue;
        }
        // An empty list of groups is only wrong if there are no images either.
        assert!(!VALIDATOR.is_valid(&value) || text == "groups: []\n", "{text}");
        seen += 1;
    }
    assert!(seen >= 20, "only {seen} lists were seen");
}
