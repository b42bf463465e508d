//! Clients that hold connections to a controller, as a process of its own.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use super::trial;
use crate::controller::Controller;
use crate::trial::eventually;

/// What a kubelet gives a probe by default.
const PROBE: Duration = Duration::from_secs(1);
/// How many probes have to fail before a kubelet acts, by default.
const FAILURE_THRESHOLD: usize = 3;
const MANY: usize = 2_000;

fn hold(address: &str, sent: &str) -> Vec<TcpStream> {
    let address: SocketAddr = address.parse().unwrap();
    let connect = |_| {
        let mut client = TcpStream::connect(address).unwrap();
        // It may have been displaced already.
        drop(client.write_all(sent.as_bytes()));
        client
    };
    (0..MANY / 4).map(connect).collect()
}

/// How long each answer takes when it is asked as often as by a kubelet before that acts: on a loaded machine, the first one may come
/// behind connections that nobody has accepted yet.
fn probe(controller: &Controller, path: &str) -> [Duration; FAILURE_THRESHOLD] {
    std::array::from_fn(|_| {
        let started = Instant::now();
        assert_eq!(controller.get(path).unwrap().0, 200, "{path}");
        started.elapsed()
    })
}

#[tokio::test]
async fn two_thousand_connections_to_any_port_keep_nobody_from_probing_and_cost_few_file_descriptors() {
    let trial = trial("crowd").await;
    let controller = Controller::start(&trial).await;
    trial.write_list("tools", "images: [nginx:1.27]").await;
    trial.validated("tools", "accepted").await;
    let descriptors = || std::fs::read_dir(format!("/proc/{}/fd", controller.id())).unwrap().count();
    let before = descriptors();
    for address in [controller.probe_address(), controller.address().to_owned(), controller.status_address()] {
        let mut held = Vec::new();
        for sent in
            ["", "GET /", "GET /metrics HTTP/1.1\r\nHost: it", "GET /status HTTP/1.1\r\nHost: localhost\r\n\r\n"]
        {
            held.extend(hold(&address, sent));
        }
        for path in ["/livez", "/readyz"] {
            let waits = probe(&controller, path);
            assert!(waits.iter().any(|waited| *waited < PROBE), "{address}{path}: {waits:?}");
        }
        assert!(descriptors() < before + 100, "{} after {before}", descriptors());
        // The port itself serves others too.
        for path in ["/metrics", "/status"] {
            eventually(path, async || controller.get(path).filter(|(status, _)| *status == 200)).await;
        }
        assert_eq!(held.len(), MANY);
    }
}
