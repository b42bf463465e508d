//! The page with the report of a large cluster, which a server of the test generates.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener};
use std::thread;

use serde_json::{Value, json};
use test_bed::Browser;

const PAGE: &str = include_str!("../../../src/command/serve/map_page.html");
const NODES: usize = 5000;
const IMAGES: usize = 50;
/// How many milliseconds most frames may take. The longest one depends on what else the machine does, so it is only printed.
const SMOOTH: f64 = 200.0;
/// The largest report that still comes quickly through a forwarded port.
const MOST_BYTES: usize = 1 << 20;

/// Every tenth node lacks every fifth image, each another one.
fn map() -> String {
    let images: Vec<Value> = (0..IMAGES)
        .map(|image| {
            let lacks = |node: &usize| image % 5 == 0 && node % 10 == image % 10;
            let (behind, warm): (Vec<usize>, Vec<usize>) = (0..NODES).partition(lacks);
            let cause = "registry.example: 401 Unauthorized";
            let failed = json!({"state": "failed", "cause": cause, "remedy": "add a pull secret", "nodes": ranges(&behind)});
            let behind = if behind.is_empty() { json!([]) } else { json!([failed]) };
            json!({"reference": format!("registry.example/team/app-{image}:1"), "sizeBytes": null, "total": NODES, "warm": ranges(&warm),
                "behind": behind, "heldByOlder": [], "notCounted": []})
        })
        .collect();
    let rollout = json!({"generation": "tools-1", "startedAt": "2026-03-01T11:50:00Z", "startDelaysEndAt": "2026-03-01T12:06:40Z",
        "spreadSeconds": 1000, "complete": false, "state": "inProgress", "nodes": NODES, "nodesWithAll": 100});
    let group = json!({"name": "default", "rollout": rollout, "images": images});
    let list = json!({"namespace": "prepull", "name": "tools", "state": "accepted", "problems": [], "warm": false, "groups": [group],
        "imageCaches": []});
    let names: Vec<String> =
        (0..NODES).map(|node| format!("ip-10-12-{}-{}.example.internal", node / 250, node % 250)).collect();
    let pools: Vec<Value> = (0..10).map(|pool| json!({"name": format!("pool-{pool}"), "nodes": NODES / 10})).collect();
    json!({"version": 1, "namespace": "prepull", "time": "2026-03-01T12:00:00Z", "nodesKnown": true, "warm": false, "nodes": names,
        "pools": pools, "lists": [list]})
    .to_string()
}

fn ranges(nodes: &[usize]) -> Vec<usize> {
    let mut ranges: Vec<usize> = Vec::new();
    for &node in nodes {
        match ranges.last_mut() {
            Some(end) if *end == node => *end += 1,
            _ => ranges.extend([node, node + 1]),
        }
    }
    ranges
}

/// Serves the page and this report until the program ends.
fn serve(map: String) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let mut lines = BufReader::new(&stream).lines().map_while(Result::ok).take_while(|line| !line.is_empty());
            let request = lines.next().unwrap_or_default();
            lines.for_each(drop);
            let (content_type, body) =
                if request.contains(" /map ") { ("application/json", &*map) } else { ("text/html", PAGE) };
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: {content_type}; charset=utf-8\r\nKube-Prepull-Leads: true\r\n"
            );
            let rest = format!("Content-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len());
            // A browser opens connections that it does not use.
            let _ = (&stream).write_all((head + &rest).as_bytes());
        }
    });
    address
}

/// Scrolls a map from one end to the other, and measures the frames in milliseconds: the median and the longest.
const SCROLL: &str = "(async () => {
  const squares = document.querySelector('.squares'), end = squares.scrollWidth;
  document.querySelector('#lists').scrollIntoView();
  const frames = [];
  let before = await new Promise(requestAnimationFrame);
  for (let step = 0; step <= 60; step++) {
    squares.scrollLeft = end * step / 60;
    const now = await new Promise(requestAnimationFrame);
    frames.push(now - before);
    before = now;
  }
  frames.sort((one, other) => one - other);
  return [frames[30], frames[60]];
})()";

#[test]
fn five_thousand_nodes_and_fifty_images_scroll_smoothly() {
    let map = map();
    assert!(map.len() < MOST_BYTES, "{}", map.len());
    let browser = Browser::start().unwrap();
    let mut tab = browser.open(&format!("http://{}/", serve(map)), 1400, 1000).unwrap();
    tab.until("document.title === '10 behind · kube-prepull'").unwrap();
    assert_eq!(
        tab.evaluate("document.querySelectorAll('#behind tbody tr').length").unwrap(),
        1,
        "one cause is one line"
    );
    assert!(tab.evaluate("document.querySelectorAll('*').length").unwrap().as_u64().unwrap() < 1000);
    let [median, longest]: [f64; 2] = serde_json::from_value(tab.evaluate(SCROLL).unwrap()).unwrap();
    let rendering =
        tab.evaluate("(() => { const begun = performance.now(); render(); return performance.now() - begun; })()");
    println!(
        "frames: median {median:.0} ms, longest {longest:.0} ms; a new report {:.0} ms",
        rendering.unwrap().as_f64().unwrap()
    );
    assert!(median < SMOOTH, "{median} ms");
    assert_eq!(tab.complaints(), [""; 0]);
}
