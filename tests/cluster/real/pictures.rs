//! `status` as a terminal shows it, on real nodes that are warm, half warm and in trouble. `UPDATE_PICTURES=1` draws the pictures
//! of the documentation from it.

use std::path::Path;
use std::process::Command;

use serde_json::json;
use test_bed::real::Fault;
use test_bed::{Image, Layer};

use super::faults::Outage;
use super::{RealTrial, content};
use crate::trial::{eventually, within};

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

/// Waits until the table says all of this, and draws it.
async fn snapshot(real: &RealTrial, name: &str, words: &[&str]) {
    let said = within(super::faults::HEALING, &format!("{words:?}"), async || {
        let said = on_terminal(real, 110);
        words.iter().all(|word| said.contains(word)).then_some(said)
    })
    .await;
    assert!(said.contains("\u{1b}[") && said.contains('█'), "a terminal has colours and bars: {said}");
    if std::env::var_os("UPDATE_PICTURES").is_some() {
        let prompt = format!("\u{1b}[2m$ kube-prepull status --namespace {}\u{1b}[0m\n", real.trial.namespace);
        let drawn = anstyle_svg::Term::new().render_svg(&format!("{prompt}{said}"));
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("docs/status-{name}.svg"));
        std::fs::write(path, drawn).unwrap();
    }
}

#[tokio::test]
#[ignore = "make test-faults"]
async fn a_terminal_shows_what_is_warm_half_warm_and_broken() {
    let outage = Outage::on(RealTrial::begin_alone("pictures").await).await;
    let real = &outage.real;
    real.push("tools:1", &Image::from_scratch().layer(Layer::new().random("/tools", 1, 50 << 20)));
    real.push("app:7", &content("app"));
    let images = |names: &[&str]| json!(names.iter().map(|name| real.reference(name)).collect::<Vec<_>>()).to_string();
    let list = format!("images: {}\nrefresh: {{every: 6h}}\n", images(&["tools:1", "app:7"]));
    real.trial.write_list("tools", &list).await;
    snapshot(real, "warm", &["2/2", "50Mi", "complete"]).await;

    // A taint keeps the next generation off one of the nodes.
    let taint = format!("test.kube-prepull.io/{}=x:NoSchedule", real.trial.namespace);
    real.bed.kubectl(["taint", "node", "node2", &taint]).unwrap();
    real.push("app:8", &content("the next one"));
    let list = format!("images: {}\nrefresh: {{every: 6h}}\n", images(&["tools:1", "app:8"]));
    real.trial.write_list("tools", &list).await;
    snapshot(real, "half-warm", &["1/2", ": tainted", "; previous: "]).await;
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
    eventually("the pulls to fail", async || on_terminal(real, 110).contains("401 from").then_some(())).await;
    real.trial.write_list("tools", "images: [Bad]").await;
    snapshot(real, "broken", &["rejected", "401 from", "no such image or tag", "architecture"]).await;
}
