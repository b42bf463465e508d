//! Proxies between the command and the API server.

use test_bed::tunnels::{Protocol, Tunnels};

use super::{Access, HOST};
use crate::controller::Controller;
use crate::simulated::trial;
use crate::trial::eventually;

/// Nothing listens there.
const NOBODY: &str = "http://127.0.0.1:1";
const USER: (&str, &str) = ("me", "p@ss:word");
const ENCODED: &str = "me:p%40ss%3Aword";

#[tokio::test]
async fn commands_and_the_controller_reach_the_cluster_through_every_kind_of_proxy() {
    let trial = trial("proxies").await;
    let server = Access::of(&trial, "direct").server;
    let start = |protocol, user| Tunnels::start(protocol, server, user).unwrap();
    let (http, socks) = (start(Protocol::Connect, None), start(Protocol::Socks5, None));
    let (closed_http, closed_socks) = (start(Protocol::Connect, Some(USER)), start(Protocol::Socks5, Some(USER)));
    let with_user = |scheme: &str, proxy: &Tunnels| format!("{scheme}://{ENCODED}@{}", proxy.address());
    let through = |scheme: &str, proxy: &Tunnels| format!("{scheme}://{}", proxy.address());

    // Its watches go through the proxy, too.
    let of_controller = Access::behind_proxy(&trial, "controller").with_proxy_url(&with_user("socks5", &closed_socks));
    let _controller = Controller::start_through(&trial, &of_controller.path).await;
    trial.write_list("tools", "images: [nginx:1.27]").await;
    // A rollout may take longer than a command.
    eventually("the list to be warm", async || (trial.status()["warm"] == true).then_some(())).await;

    let plain = Access::behind_proxy(&trial, "plain");
    for (proxy, variable, value) in [
        (&http, "HTTPS_PROXY", through("http", &http)),
        (&http, "https_proxy", http.address().to_string()),
        (&closed_http, "HTTPS_PROXY", with_user("http", &closed_http)),
        (&socks, "HTTPS_PROXY", through("socks5", &socks)),
        (&closed_socks, "https_proxy", with_user("socks5h", &closed_socks)),
    ] {
        let asked = proxy.asked().len();
        let variables = [(variable, value.as_str()), ("NO_PROXY", "other.test,10.0.0.0/8")];
        for command in [&["wait", "tools"][..], &["status"], &["refresh", "tools"]] {
            let (code, output) = plain.run(&trial, command, &variables).await;
            assert_eq!(code, Some(0), "{command:?} through {value}: {output}");
        }
        let asked = &proxy.asked()[asked..];
        assert!(!asked.is_empty() && asked.iter().all(|host| *host == format!("{HOST}:6443")), "{value}: {asked:?}");
    }
    // The kubeconfig counts before the environment, and NO_PROXY is not for it.
    for url in [through("http", &http), with_user("http", &closed_http), through("socks5", &socks)] {
        let access = Access::behind_proxy(&trial, "url").with_proxy_url(&url);
        let variables = [("HTTPS_PROXY", NOBODY), ("NO_PROXY", "*")];
        let (code, output) = access.run(&trial, &["status"], &variables).await;
        assert_eq!(code, Some(0), "through {url}: {output}");
    }
}

#[tokio::test]
async fn what_no_proxy_excludes_is_reached_directly() {
    let trial = trial("noproxy").await;
    trial.write_list("tools", "images: [nginx:1.27]").await;
    // The loopback is excluded always, and HTTP_PROXY is not for HTTPS.
    let direct = Access::of(&trial, "direct");
    for variable in ["HTTPS_PROXY", "HTTP_PROXY"] {
        assert_eq!(direct.run(&trial, &["refresh", "tools"], &[(variable, NOBODY)]).await.0, Some(0));
    }
    let named = Access::behind_proxy(&trial, "named");
    for (excluded, is_direct) in [
        ("*", true),
        (".example.test", true),
        ("example.test:6443", true),
        ("a, api.example.test ,", true),
        ("test:443", false),
    ] {
        let (code, output) =
            named.run(&trial, &["refresh", "tools"], &[("HTTPS_PROXY", NOBODY), ("no_proxy", excluded)]).await;
        // Without a proxy, nobody knows that name.
        assert_eq!(code, Some(1), "{output}");
        assert_eq!(!output.contains("the proxy"), is_direct, "{excluded}: {output}");
    }
}

#[tokio::test]
async fn an_unusable_proxy_is_reported_soon_with_what_to_do_and_without_its_password() {
    let trial = trial("badproxies").await;
    let server = Access::of(&trial, "direct").server;
    let start = |protocol, user| Tunnels::start(protocol, server, user).unwrap();
    let (http, socks) = (start(Protocol::Connect, Some(USER)), start(Protocol::Socks5, Some(USER)));
    let (silent, refusing) =
        (start(Protocol::Silence, None), Tunnels::start(Protocol::Connect, ([127, 0, 0, 1], 1).into(), None));
    let refusing = refusing.unwrap();
    let correct = format!("; correct the variable HTTPS_PROXY, or add {HOST} to NO_PROXY");
    let access = Access::behind_proxy(&trial, "bad");
    for (url, words) in [
        (
            "http://me:secret@127.0.0.1:1".to_owned(),
            ["cannot reach the proxy http://127.0.0.1:1 (the variable HTTPS_PROXY): ", &correct],
        ),
        ("socks5://me:secret@127.0.0.1:1".to_owned(), ["cannot reach the proxy socks5://127.0.0.1:1", "refused"]),
        (
            "http://me:secret@no.such.host.test:3128".to_owned(),
            ["cannot reach the proxy http://no.such.host.test:3128", &correct],
        ),
        (format!("http://{}", http.address()), ["demands a user name", "USER:PASSWORD"]),
        (format!("http://me:secret@{}", http.address()), ["does not accept the user name", "correct them"]),
        (format!("socks5://{}", socks.address()), ["demands a user name", "USER:PASSWORD"]),
        (format!("socks5://me:secret@{}", socks.address()), ["does not accept the user name", "correct them"]),
        (format!("http://{}", refusing.address()), ["does not connect to api.example.test", &correct]),
        (format!("http://me:secret@{}", silent.address()), ["did not answer within 10 s", &correct]),
        (
            "ftp://me:secret@127.0.0.1:1".to_owned(),
            ["the variable HTTPS_PROXY is not the URL of a proxy", "http://HOST:PORT"],
        ),
    ] {
        let is_slow = words[0].contains("10 s");
        for command in [&["status"][..], &["wait", "tools"], &["refresh", "tools"], &["status", "--watch"]] {
            if is_slow && command != ["wait", "tools"] {
                continue;
            }
            let (code, output) = access.run(&trial, command, &[("HTTPS_PROXY", &url)]).await;
            assert_eq!(code, Some(1), "{command:?} {url}: {output}");
            assert!(words.iter().all(|words| output.contains(words)), "{command:?} {url}: {output}");
            assert!(!output.contains("secret") && output.lines().count() == 1, "{output}");
            assert_eq!(output.matches(words[0]).count(), 1, "{output}");
        }
    }
    let of_file = Access::behind_proxy(&trial, "file").with_proxy_url(NOBODY);
    let (_, output) = of_file.run(&trial, &["status"], &[]).await;
    assert!(output.contains("proxy-url of the cluster ") && !output.contains("NO_PROXY"), "{output}");
}
