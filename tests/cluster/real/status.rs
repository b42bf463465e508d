//! `status` as a terminal shows it, on real nodes that are warm, half warm and broken. `UPDATE_STATUS=1` writes it into the
//! documentation.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::json;
use test_bed::real::Fault;
use test_bed::{Image, Layer};

use super::faults::{HEALING, Outage};
use super::{RealTrial, content};
use crate::encodings::{same_node, same_pods};
use crate::trial::{eventually, within};

/// That of the documentation, since references have it in them and a column is as wide as its longest cell.
const NAMESPACE: &str = "prepull";
/// What the documentation calls the generations, in the order in which they come. Their real names differ from run to run.
const GENERATIONS: [&str; 3] = ["tools-5d4b7cx9zk", "tools-8f6c9bq2wm", "tools-2h7j4kp6vt"];
/// And their ages.
const AGE: &str = "30s";

/// What the program prints on a terminal of so many columns.
fn on_terminal(real: &RealTrial, columns: u32) -> String {
    let program = env!("CARGO_BIN_EXE_kube-prepull");
    let kubeconfig = real.trial.kubeconfig.display();
    let status = format!("{program} status --namespace {} --kubeconfig {kubeconfig}", real.trial.namespace);
    let mut script = Command::new("script");
    script.args(["--quiet", "--command", &format!("stty cols {columns} rows 60; {status}"), "/dev/null"]);
    let output = script.env("TERM", "xterm-256color").env_remove("NO_COLOR").output().unwrap();
    String::from_utf8(output.stdout).unwrap().replace('\r', "")
}

/// Waits until the table says all of this. Between two tries a kubelet says `ImagePullBackOff`: the moment of a try is not shown.
async fn shows(real: &RealTrial, words: &[&str]) -> String {
    let said = within(HEALING, &format!("{words:?}"), async || {
        let said = on_terminal(real, 110);
        (words.iter().all(|word| said.contains(word)) && !said.contains("ErrImagePull")).then_some(said)
    })
    .await;
    assert!(said.contains("\u{1b}[") && said.contains('█'), "a terminal has colours and bars: {said}");
    said
}

/// Writes pages of the documentation, all of the same run.
#[derive(Default)]
struct Pages {
    generations: Vec<String>,
}

impl Pages {
    fn write(&mut self, name: &str, said: &str) {
        let plain = anstream::adapter::strip_str(said).to_string();
        let lines = plain.lines().map(|line| with_equal_ages(&self.with_equal_names(line)) + "\n");
        let page: String = lines.collect();
        assert!(GENERATIONS.iter().any(|generation| page.contains(generation)), "no generation in {page}");
        if std::env::var_os("UPDATE_STATUS").is_some() {
            fs::write(Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("docs/status-{name}.txt")), page).unwrap();
        }
    }

    fn with_equal_names(&mut self, line: &str) -> String {
        let is_part = |character: char| character.is_ascii_alphanumeric() || character == '-';
        let words = line.split(|character: char| !is_part(character));
        let names = words.filter(|word| word.len() == GENERATIONS[0].len() && word.starts_with("tools-"));
        let mut equal = line.to_owned();
        for name in names {
            if !self.generations.iter().any(|known| known == name) {
                self.generations.push(name.to_owned());
            }
            let known = self.generations.iter().position(|known| known == name).unwrap();
            equal = equal.replace(name, GENERATIONS[known]);
        }
        equal
    }
}

/// The right edge of a column stays where it is.
fn with_equal_ages(line: &str) -> String {
    let words: Vec<&str> = line.split(' ').collect();
    let mut equal: Vec<String> = Vec::new();
    for (word, next) in words.iter().zip(words.iter().skip(1).chain([&""])) {
        let number = word.strip_suffix('s').or_else(|| word.strip_suffix('m').filter(|_| !next.starts_with("CPU")));
        if number.is_none_or(|number| number.parse::<u32>().is_err()) {
            equal.push((*word).to_owned());
            continue;
        }
        // Between two spaces there is a word of no letters.
        let padding = equal.iter().rev().take_while(|before| before.is_empty()).count();
        if padding > 0 {
            let shorter = padding.saturating_sub(AGE.len().saturating_sub(word.len()));
            let padding_now = shorter + word.len().saturating_sub(AGE.len());
            equal.truncate(equal.len() - padding);
            equal.resize(equal.len() + padding_now, String::new());
        }
        equal.push(AGE.to_owned());
    }
    equal.join(" ")
}

#[tokio::test]
#[ignore = "make test-faults"]
async fn a_terminal_shows_what_is_warm_half_warm_and_broken() {
    let outage = Outage::on(RealTrial::begin_alone_in(NAMESPACE).await).await;
    let (real, mut pages) = (&outage.real, Pages::default());
    real.push("tools:1", &Image::from_scratch().layer(Layer::new().random("/tools", 1, 50 << 20)));
    real.push("app:7", &content("app"));
    let images = |names: &[&str]| json!(names.iter().map(|name| real.reference(name)).collect::<Vec<_>>()).to_string();
    let list = format!("images: {}\nrefresh: {{every: 6h}}\n", images(&["tools:1", "app:7"]));
    real.trial.write_list("tools", &list).await;
    pages.write("warm", &shows(real, &["2/2", "50Mi", "complete"]).await);

    // A taint keeps the next generation off one of the nodes.
    let taint = format!("test.kube-prepull.io/{}=x:NoSchedule", real.trial.namespace);
    real.bed.kubectl(["taint", "node", "node2", &taint]).unwrap();
    real.push("app:8", &content("the next one"));
    let list = format!("images: {}\nrefresh: {{every: 6h}}\n", images(&["tools:1", "app:8"]));
    real.trial.write_list("tools", &list).await;
    pages.write("half-warm", &shows(real, &["1/2", ": tainted", "; previous"]).await);
    real.bed.kubectl(["taint", "node", "node2", &format!("{taint}-")]).unwrap();

    real.push("private:1", &content("private"));
    outage.faulty.set(Fault::Private { credentials: "bm9ib2R5Omtub3dz".to_owned() });
    let foreign = content("foreign").architecture("s390x");
    real.bed.registry().unwrap().push_index(&real.reference("foreign:1"), &[foreign]).unwrap();
    let images = json!([
        real.reference("tools:1"),
        real.reference("no-such:1"),
        real.reference_at(outage.faulty.name(), "private:1"),
        real.reference("foreign:1"),
    ]);
    real.trial.write_list("tools", &format!("images: {images}\nrefresh: {{every: 6h}}\n")).await;
    real.trial.validated("tools", "accepted").await;
    within(HEALING, "the pulls to fail", async || on_terminal(real, 110).contains("401 from").then_some(())).await;
    real.trial.write_list("tools", "images: [Bad]").await;
    pages.write("broken", &shows(real, &["rejected", "401 from", "no such image or tag", "architecture"]).await);
}

#[test]
fn ages_and_names_are_those_of_the_documentation() {
    assert_eq!(with_equal_ages("  a:1  2/2   2s  50Mi"), "  a:1  2/2  30s  50Mi");
    assert_eq!(with_equal_ages("  a:1  2/2  119s  50Mi"), "  a:1  2/2   30s  50Mi");
    assert_eq!(with_equal_ages("began 5m ago: 2m CPU, in 5h"), "began 30s ago: 2m CPU, in 5h");
    let mut pages = Pages::default();
    assert_eq!(pages.with_equal_names("tools-aaaaaaaaaa, tools-1"), format!("{}, tools-1", GENERATIONS[0]));
    assert_eq!(
        pages.with_equal_names("tools-bbbbbbbbbb tools-aaaaaaaaaa"),
        GENERATIONS[1].to_owned() + " " + GENERATIONS[0]
    );
}

#[tokio::test]
async fn what_kubelets_write_is_the_same_in_protocol_buffers_and_in_json() {
    let real = RealTrial::begin("encodings").await;
    real.push("app:1", &content("app"));
    let _controller = real.controller().await;
    let images = ["app:1", "missing:1"].map(|image| real.reference(image)).join(", ");
    real.trial.write_list("tools", &format!("images: [{images}]\n")).await;
    eventually("kubelets to report that an image is held and that another is missing", async || {
        let images = &real.trial.status()["lists"][0]["groups"][0]["images"];
        let count = |image: usize, state: &str| images[image]["nodes"][state].as_u64();
        (count(0, "warm")? > 0 && count(1, "failed")? > 0).then_some(())
    })
    .await;
    assert!(same_pods(&real.trial.client, &real.trial.namespace).await.len() >= real.nodes.len());
    for node in &real.nodes {
        let seen = same_node(&real.trial.client, node.name()).await;
        assert!(seen.contains(node.name()) && seen.contains("KubeletReady"), "{seen}");
    }
}
