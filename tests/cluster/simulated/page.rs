//! The controller's page, in a browser.

use serde_json::{Value, json};
use test_bed::{Browser, Tab};

use super::hostile_texts::fail_pulls;
use super::trial;
use crate::controller::Controller;
use crate::nodes::{Nodes, simulated, unattended};

/// What would run, close an element, leave an attribute, and turn the text around.
const HOSTILE: &str =
    "<script>window.owned = 1</script><img src=x onerror='window.owned = 1'>\"'><b>bold</b> \u{202e}txet </td>";

fn open(browser: &Browser, controller: &Controller) -> Tab {
    browser.open(&format!("http://{}/", controller.status_address()), 1200, 900).unwrap()
}

fn answer(controller: &Controller, path: &str, host: &str) -> ureq::http::Response<ureq::Body> {
    let agent = ureq::Agent::config_builder().http_status_as_error(false).proxy(None).build().new_agent();
    agent.get(format!("http://{}{path}", controller.status_address())).header("Host", host).call().unwrap()
}

#[tokio::test]
async fn browsers_get_strict_rules_and_pages_of_other_names_get_nothing() {
    let trial = trial("pagerules").await;
    let controller = Controller::start(&trial).await;
    for path in ["/", "/map", "/status"] {
        let good = answer(&controller, path, "localhost:8082");
        assert_eq!(good.status(), 200, "{path}");
        for (header, value) in [
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("cache-control", "no-store"),
            ("cross-origin-resource-policy", "same-origin"),
        ] {
            assert_eq!(good.headers()[header], value, "{path}");
        }
        let mut rebound = answer(&controller, path, "evil.example:8082");
        assert_eq!(rebound.status(), 421, "{path}");
        assert!(!rebound.body_mut().read_to_string().unwrap().contains('{'));
    }
    let policy =
        answer(&controller, "/", "127.0.0.1").headers()["content-security-policy"].to_str().unwrap().to_owned();
    for rule in
        ["default-src 'none'", "connect-src 'self'", "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"]
    {
        assert!(policy.contains(rule), "{policy}");
    }
}

#[tokio::test]
async fn the_page_shows_what_is_warm_and_follows_an_edit_without_a_reload() {
    let trial = trial("page").await;
    let nodes = Nodes::of(&trial);
    for node in ["one", "two"] {
        nodes.add(node, simulated("amd64")).await;
    }
    let controller = Controller::start(&trial).await;
    let browser = Browser::start().unwrap();
    let mut tab = open(&browser, &controller);
    tab.until("document.title === 'no lists · kube-prepull'").unwrap();
    tab.evaluate("window.loaded = 'once'").unwrap();
    let list = |images: &str| format!("groups: [{{name: g, images: [{images}], {}}}]", nodes.placement());
    trial.write_list("tools", &list("'registry.example/app:1'")).await;
    tab.until("document.title === 'warm · kube-prepull'").unwrap();
    tab.until("document.querySelector('.map li').innerText.split('\\n').join(' ') === 'registry.example/app:1 2/2'")
        .unwrap();
    assert_eq!(tab.evaluate("document.getElementById('behind').hidden").unwrap(), true);

    tab.evaluate("document.querySelector('.squares').focus()").unwrap();
    tab.press("ArrowRight").unwrap();
    let said = tab.evaluate("document.getElementById('said').textContent").unwrap();
    let first = nodes.name("one");
    assert_eq!(said, format!("{first}. registry.example/app:1. warm"));
    tab.until(&format!("document.getElementById('tip').innerText.includes('{first}')")).unwrap();

    nodes.add("three", unattended("amd64")).await;
    trial.write_list("tools", &list("'registry.example/app:1', 'registry.example/web:2'")).await;
    tab.until("document.querySelectorAll('.map li').length === 2").unwrap();
    tab.until("document.querySelector('#behind tbody').innerText.includes('registry.example/web:2')").unwrap();
    assert_eq!(tab.evaluate("window.loaded").unwrap(), "once");
    assert_eq!(tab.complaints(), [""; 0]);

    controller.stop();
    tab.until("document.getElementById('alert').innerText.startsWith('No report from the controller since ')").unwrap();
    tab.until("document.body.classList.contains('stale')").unwrap();
}

#[tokio::test]
async fn texts_of_others_are_shown_and_run_nothing() {
    let trial = trial("pagetexts").await;
    let nodes = Nodes::of(&trial);
    nodes.add("one", unattended("amd64")).await;
    let controller = Controller::start(&trial).await;
    let group = format!("groups: [{{name: g, images: ['registry.example/app:1'], {}}}]", nodes.placement());
    trial.write_list("tools", &group).await;
    let message = format!("{HOSTILE} {}", "very-long-".repeat(500));
    fail_pulls(&trial, &message).await;
    trial.write_list("broken", &json!({"images": [HOSTILE]}).to_string()).await;
    trial.validated("broken", "rejected").await;
    let browser = Browser::start().unwrap();
    let mut tab = open(&browser, &controller);
    tab.until("document.querySelector('#behind tbody')?.innerText.includes('<b>bold</b>')").unwrap();
    tab.until("document.querySelector('#lists').innerText.includes('window.owned')").unwrap();
    tab.evaluate("document.querySelector('.squares').focus()").unwrap();
    tab.press("ArrowRight").unwrap();
    tab.until("document.getElementById('tip').innerText.includes('<b>bold</b>')").unwrap();
    let foreign = "[typeof window.owned, document.querySelectorAll('script').length, document.querySelectorAll('img, b, a').length, \
                   document.documentElement.scrollWidth <= innerWidth]";
    assert_eq!(tab.evaluate(foreign).unwrap(), json!(["undefined", 1, 0, true]));
    let refused = tab.evaluate(
        "(() => { const it = document.createElement('script'); it.textContent = 'window.owned = 1'; \
        document.body.append(it); return typeof window.owned; })()",
    );
    assert_eq!(refused.unwrap(), Value::from("undefined"), "the policy keeps other scripts from running");
}
