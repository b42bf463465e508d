//! Inputs that are made to cost much: at least 100 kB each, and less than a ConfigMap may have.

use super::large::pieces_within;

/// The size of a ConfigMap's data.
pub const MAX_BYTES: usize = 1 << 20;
/// What an input may take if it is to fill a ConfigMap.
const MOST: usize = MAX_BYTES - 1024;

/// A name for the messages of a test, and what builds the input.
type Input = (&'static str, fn() -> String);

pub const INPUTS: &[Input] = &[
    ("groups", || yaml("groups:\n", |it| format!("- {{name: g{it}, images: [\"a:1\"]}}\n"))),
    ("unknown groups of the ImageCache", || {
        let groups = pieces_within(500_000, |it| format!("- {{name: group{it}, images: [a]}}\n"));
        let unknown = pieces_within(500_000, |it| format!("  - unknown{it}\n"));
        format!("groups:\n{groups}imageCache:\n  enabled: true\n  groups:\n{unknown}")
    }),
    ("a List of lists", || yaml("kind: List\nitems:\n", |it| list_of(it, "\"a=b:1\""))),
    ("a List of bad lists", || yaml("kind: List\nitems:\n", |it| list_of(it, "\"B;C;D;E\""))),
    ("a List of lists with bad images", || {
        let images = format!("\"{}\"", "A=B;".repeat(100));
        yaml("kind: List\nitems:\n", |it| list_of(it, &images))
    }),
    ("a List of lists with schedules that never occur", || {
        yaml("kind: List\nitems:\n", |it| list_of(it, "a=b, REFRESH_SCHEDULE: 0 0 30W 2 *"))
    }),
    ("objects that are no lists", || yaml("kind: List\nitems:\n", |it| format!("- {{kind: K{it}, image: x}}\n"))),
    ("images of another object", || yaml("kind: Pod\nspec:\n", |it| format!("- {{image: a{it}}}\n"))),
    ("documents", || yaml("", |_| "---\na\n".to_owned())),
    ("pairs", || flat("IMAGES", |it| format!("a{it}=b:{it};"))),
    ("bad pairs", || flat("IMAGES", |it| format!("a{it}=B:{it};"))),
    ("pairs without separators", || flat("IMAGES", |_| "a=b ".to_owned())),
    ("images", || yaml("images:\n", |it| format!("- b:{it}\n"))),
    ("images in one line", || format!("images: [{}a]", filled(|_| "a,".to_owned()))),
    ("items of nothing", || yaml("images:\n", |_| "-\n".to_owned())),
    ("one image", || format!("images: [{}]", filled(|_| "x".to_owned()))),
    ("letters that are not ASCII", || format!("images: ['{}']", filled(|_| "ä".to_owned()))),
    ("long references", || {
        let long = |it| format!("- {}b/{}z{it}:1\n", "a.".repeat(100), "y/".repeat(100));
        yaml("images:\n", long)
    }),
    ("bad references", || {
        let bad = pieces_within(180, |it| format!("{}/{}{it},", "x".repeat(60), "Y".repeat(30)));
        yaml("groups:\n", |it| format!("- {{name: g{it}, images: [{bad}]}}\n"))
    }),
    ("images with unknown keys", || format!("images:\n- {{image: a,{}}}\n", filled(|it| format!("nam{it}: 1,")))),
    ("braces that are never closed", || format!("images: [{}", filled(|_| "{{".to_owned()))),
    ("variables that are never closed", || flat("AFFINITY", |_| "${".to_owned())),
    ("a long key above many values", || {
        let key = "k".repeat(400_000);
        format!("images: [a]\naffinity:\n  ? {key}\n  : [{}1]\n", "1,".repeat(100_000))
    }),
    ("a long key above many keys", || {
        let entries = pieces_within(500_000, |it| format!("a{it}: 1,"));
        format!("images: [a]\nnodeSelector:\n  ? {}\n  : {{{entries}}}\n", "k".repeat(400_000))
    }),
    ("a long text behind many aliases", || {
        let anchors = pieces_within(100_000, |it| format!("- &b{it} x\n"));
        format!("x: &a {}\ny:\n{anchors}images: [{}]\n", "y".repeat(400_000), "*a, ".repeat(15_000))
    }),
    ("anchors", || yaml("", |it| format!("- &a{it} a\n"))),
    ("unknown keys", || yaml("images: [a]\n", |it| format!("imaga{it}: 1\n"))),
    ("repeated keys", || yaml("", |_| "images: [a]\n".to_owned())),
    ("unknown keys of the data", || yaml(DATA, |it| format!("  IMAG{it}: x\n"))),
    ("short keys of the data", || yaml(DATA, |it| format!("  {it}: ''\n"))),
    ("documents in keys of the data", || yaml(DATA, |it| format!("  a{it}.yaml: '[a]'\n"))),
    ("labels of the manifest", || {
        let labels = filled(|it| format!("k{it}: 1,"));
        format!("kind: ConfigMap\nmetadata: {{name: a, labels: {{{labels}}}}}\ndata: {{IMAGES: a=b}}\n")
    }),
    ("a long name", || {
        format!("kind: ConfigMap\nmetadata: {{name: {}}}\ndata: {{IMAGES: a=b}}\n", "n".repeat(MOST - 99))
    }),
    ("terms of an affinity", || {
        flat("AFFINITY", |_| "{'matchExpressions':[{'key':'k','operator':'Lt','values':['0']}]},".to_owned())
    }),
    ("wrong types", || flat("TOLERATIONS", |_| "{'key':1},".to_owned())),
    ("groups with an affinity each", || {
        yaml("groups:\n", |it| format!("- {{name: g{it}, images: [a], affinity: {{nodeAffinity: {{x: 1}}}}}}\n"))
    }),
    ("secrets", || flat("IMAGE_PULL_SECRETS", |_| "A;".to_owned())),
    ("platforms", || flat("IMAGE_CACHE_PLATFORMS", |_| "linux;".to_owned())),
    ("architectures", || flat("ARCHITECTURES", |_| "amd6;".to_owned())),
    ("a long number", || flat("PULL_RATE", |_| "9".to_owned())),
    ("a long quantity", || flat("CACHING_CPU_LIMIT", |_| "9".to_owned())),
    ("a long schedule", || flat("REFRESH_SCHEDULE", |_| "0,".to_owned())),
    ("bad images behind empty lines", || {
        let images = pieces_within(400_000, |it| format!("    - B{it}\n"));
        format!("{DATA}  images.yaml: |\n{}    images:\n{images}", "\n".repeat(500_000))
    }),
    ("comments", || yaml("", |_| "#\n".to_owned())),
    ("empty lines", || format!("{}images: [", filled(|_| "\n".to_owned()))),
    ("quotes", || format!("# {}\nimages: [\"a:1\"]\n", filled(|_| "\"".to_owned()))),
    ("nesting", || filled(|_| "[".to_owned())),
];

const DATA: &str = "kind: ConfigMap\nmetadata: {name: a}\ndata:\n";

fn filled(piece: impl Fn(usize) -> String) -> String {
    pieces_within(MOST - 400, piece)
}

fn yaml(beginning: &str, piece: impl Fn(usize) -> String) -> String {
    format!("{beginning}{}", pieces_within(MOST - beginning.len(), piece))
}

fn list_of(number: usize, images: &str) -> String {
    let labels = "labels: {kube-prepull.io/image-list: \"true\"}";
    format!("- {{kind: ConfigMap, metadata: {{name: a{number}, {labels}}}, data: {{IMAGES: {images}}}}}\n")
}

/// A manifest of a list with one long value. Each `'` is a `"`.
fn flat(key: &str, piece: impl Fn(usize) -> String) -> String {
    let is_list = matches!(key, "AFFINITY" | "TOLERATIONS");
    let (opening, closing) = if is_list { ("[", "0]") } else { ("", "") };
    let mut value = pieces_within(MOST - 4_000, piece).replace('\'', "\"");
    if key == "AFFINITY" && value.starts_with('{') {
        value = format!(
            "{{\"nodeAffinity\":{{\"requiredDuringSchedulingIgnoredDuringExecution\":{{\"nodeSelectorTerms\":[{}]}}}}}}",
            value.trim_end_matches(',')
        );
        return manifest(key, &value);
    }
    manifest(key, &format!("{opening}{value}{closing}"))
}

fn manifest(key: &str, value: &str) -> String {
    let images = if key == "IMAGES" { "" } else { "  IMAGES: a=b:1\n" };
    format!("{DATA}{images}  {key}: |\n    {value}\n")
}
