//! Which names of this server browsers may use.
//!
//! A page of another origin cannot read what this server answers, unless its own name resolves to loopback by then (DNS rebinding). A
//! browser sends the name that it used, and such a page has no other name than its own. So the server answers to no names but
//! `localhost`, and to addresses.

use std::net::IpAddr;

use hyper::header::HOST;
use hyper::http::request::Parts;

/// Whether the request names this server by an address or as `localhost`. What sends no name is no browser.
pub fn is_by_address(request: &Parts) -> bool {
    let named = request.headers.get_all(HOST).iter().map(|host| host.to_str().unwrap_or("?"));
    named.chain(request.uri.host()).all(|host| is_address(host) || is_localhost(host))
}

fn is_localhost(host: &str) -> bool {
    let name = host.rsplit_once(':').filter(|(_, port)| is_port(port)).map_or(host, |(name, _)| name);
    name.eq_ignore_ascii_case("localhost")
}

fn is_address(host: &str) -> bool {
    let inner = |text: &str| text.strip_prefix('[')?.strip_suffix(']').map(str::to_owned);
    let is_one = |text: &str| inner(text).unwrap_or_else(|| text.to_owned()).parse::<IpAddr>().is_ok();
    is_one(host) || host.rsplit_once(':').is_some_and(|(name, port)| is_port(port) && is_one(name))
}

fn is_port(text: &str) -> bool {
    text.parse::<u16>().is_ok()
}

#[cfg(test)]
mod tests {
    use hyper::Request;

    use super::*;

    fn is_answered(host: &str) -> bool {
        let request = Request::builder().uri("/status").header(HOST, host).body(()).expect("a request");
        is_by_address(&request.into_parts().0)
    }

    #[test]
    fn addresses_and_localhost_are_answered_and_names_of_others_are_not() {
        for host in ["localhost", "LOCALHOST:8082", "127.0.0.1", "127.0.0.3:8082", "[::1]:8082", "[::1]", "10.1.2.3:80"]
        {
            assert!(is_answered(host), "{host}");
        }
        for host in [
            "evil.example",
            "evil.example:8082",
            "localhost.evil.example",
            "127.0.0.1.evil.example:1",
            "",
            "localhost:x",
            "a:b:c",
        ] {
            assert!(!is_answered(host), "{host}");
        }
    }

    #[test]
    fn one_that_names_nothing_is_answered_and_one_that_names_two_only_if_both_are_right() {
        let request = |uri: &str| Request::builder().uri(uri);
        assert!(is_by_address(&request("/").body(()).expect("a request").into_parts().0));
        let two = request("http://evil.example/").header(HOST, "localhost").body(()).expect("a request");
        assert!(!is_by_address(&two.into_parts().0));
    }
}
