//! `estimate` as users call it, and its documentation.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

const LIST: &str = "images: [a]\nimageCache: {enabled: true, size: 25}\n";

fn good(arguments: &[&str], input: &str) -> String {
    super::good(&[&["estimate", "--file", "-"], arguments].concat(), input)
}

fn bad(arguments: &[&str], input: &str, code: i32) -> String {
    super::bad(&[&["estimate", "--file", "-"], arguments].concat(), input, code)
}

fn checkout() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn documentation() -> String {
    fs::read_to_string(checkout().join("docs/estimate.md")).unwrap()
}

/// The first block of that language.
fn block<'d>(documentation: &'d str, language: &str) -> &'d str {
    let (_, rest) = documentation.split_once(&format!("```{language}\n")).unwrap();
    rest.split_once("```").unwrap().0
}

#[test]
fn the_documentation_shows_what_it_prints() {
    let documentation = documentation();
    let (list, shown) = (block(&documentation, "yaml"), block(&documentation, "text"));
    let (command, printed) = shown.split_once('\n').unwrap();
    let arguments = command.strip_prefix("$ kube-prepull estimate --file list.yaml ").unwrap();
    let arguments: Vec<&str> = arguments.split_whitespace().collect();
    assert_eq!(good(&arguments, list), printed);
}

#[test]
fn the_documentation_names_every_key_of_the_json() {
    fn keys(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(entries) => entries.iter().for_each(|(key, value)| {
                found.push(key.clone());
                keys(value, found);
            }),
            Value::Array(items) => items.iter().for_each(|item| keys(item, found)),
            _ => {}
        }
    }
    let documentation = documentation();
    let json: Value = serde_json::from_str(&good(&["--pods", "3", "--nodes", "2", "-o", "json"], LIST)).unwrap();
    let mut found = Vec::new();
    keys(&json, &mut found);
    assert!(found.len() > 20, "{found:?}");
    for key in found {
        let ends = [format!("`{key}`"), format!(".{key}`"), format!("`{key}[]`"), format!(".{key}[]`")];
        assert!(ends.iter().any(|end| documentation.contains(end)), "{key}");
    }
}

#[test]
fn programs_get_the_published_example_to_the_digit_in_json_and_yaml() {
    let json = good(&["--pods", "3", "-o", "json"], LIST);
    for line in ["\"now\": 0.019544", "\"month\": 17.799544", "\"month\": 0.011544", "\"month\": 17.28"] {
        assert!(json.contains(line), "{line} in {json}");
    }
    let json: Value = serde_json::from_str(&json).unwrap();
    let yaml: Value = serde_yaml::from_str(&good(&["--pods", "3", "-o", "yaml"], LIST)).unwrap();
    assert_eq!(json, yaml);
}

#[test]
fn it_says_whose_prices_they_are() {
    let example = good(&["--pods", "1"], LIST);
    assert!(example.contains("an example: give your own with --prices FILE"), "{example}");
    let prices = checkout().join("config/prices.yaml");
    let own = good(&["--pods", "1", "--prices", &prices.display().to_string()], LIST);
    assert!(own.contains("Prices of 2024-03-08 from https://") && !own.contains("an example"), "{own}");
    assert_eq!(own.lines().nth(5), example.lines().nth(5));
}

#[test]
fn a_list_without_an_image_cache_needs_no_number_of_pods() {
    for list in ["images: [a]\n", "images: [a]\nimageCache: {enabled: false}\n"] {
        let table = good(&["--nodes", "2"], list);
        assert!(table.contains("group default") && !table.contains("the disks of pods"), "{table}");
        let json: Value = serde_json::from_str(&good(&["-o", "json"], list)).unwrap();
        assert_eq!(
            (&json["imageCaches"], &json),
            (&Value::Null, &serde_json::from_str(&good(&["--pods", "3", "-o", "json"], list)).unwrap())
        );
    }
    assert!(
        bad(&[], "images: [Nginx]\n", 1).contains("error[InvalidReference]"),
        "what is wrong with the list comes first"
    );
}

#[test]
fn a_rejected_list_gets_the_validation_result_of_validate() {
    let text = "images: [Nginx]\nimageCache: {enabled: true, size: 5}\n";
    let reported = bad(&["--pods", "1"], text, 1);
    assert!(
        reported.contains("-:1: error[InvalidReference]") || reported.contains("<stdin>:1: error[InvalidReference]"),
        "{reported}"
    );
    assert!(reported.contains("error[OutOfRange]") && reported.contains("is rejected, 2 errors"), "{reported}");
}

#[test]
fn wrong_usage_says_what_is_wrong_and_where() {
    let without_pods = bad(&[], LIST, 2);
    assert!(without_pods.contains("the list has an ImageCache") && without_pods.contains("pass --pods NUMBER"));
    assert!(bad(&["--pods", "-1"], LIST, 2).contains("--pods"));
    for (argument, value, why) in [
        ("--pods-hours", "745", "not between 0 and 744"),
        ("--pods-hours", "all", "not a number such as 720 or 0.5"),
        ("--build-minutes", "-1", "not between 0 and 10080"),
        ("--output", "xml", "table, json, yaml"),
    ] {
        let reported = bad(&["--pods", "1", &format!("{argument}={value}")], LIST, 2);
        assert!(reported.contains(argument) && reported.contains(why), "{reported}");
    }
    assert!(bad(&["--pods", "1", "--prices", "/nowhere/prices.yaml"], LIST, 2).contains("/nowhere/prices.yaml"));
    let two =
        "kind: ConfigMap\nmetadata: {name: a, labels: {kube-prepull.io/image-list: 'true'}}\ndata: {IMAGES: a=a}\n";
    assert!(bad(&["--pods", "1"], &format!("{two}---\n{two}"), 2).contains("the file has 2 lists"));
}

#[test]
fn a_bad_price_file_is_reported_by_its_name_and_line() {
    let bad_prices: PathBuf = std::env::temp_dir().join(format!("prices-{}.yaml", std::process::id()));
    let example = fs::read_to_string(checkout().join("config/prices.yaml")).unwrap();
    fs::write(&bad_prices, example.replace("0.0320", "free")).unwrap();
    let reported = bad(&["--pods", "1", "--prices", &bad_prices.display().to_string()], LIST, 2);
    fs::remove_file(&bad_prices).unwrap();
    assert!(reported.contains(&format!("{}: \"free\" is not a price", bad_prices.display())), "{reported}");
    assert!(reported.contains("at line 8"), "{reported}");
}
