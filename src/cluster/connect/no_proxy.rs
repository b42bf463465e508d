//! Which addresses are reached without a proxy: the rules of Go's programs, kubectl among them.
//!
//! Source: golang.org/x/net/http/httpproxy, `config.init` and `config.useProxy`.

use std::net::IpAddr;

use ipnet::IpNet;

/// Whether `NO_PROXY`, or an address of the machine itself, excludes that host and port from proxies.
pub fn is_excluded(no_proxy: &str, host: &str, port: u16) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']').to_lowercase();
    let address = host.parse::<IpAddr>().ok().map(|address| address.to_canonical());
    // A proxy's own machine is another one.
    if host == "localhost" || address.is_some_and(|address| address.is_loopback()) {
        return true;
    }
    no_proxy.split(',').map(|entry| entry.trim().to_lowercase()).any(|entry| matches(&entry, &host, address, port))
}

fn matches(entry: &str, host: &str, address: Option<IpAddr>, port: u16) -> bool {
    if entry == "*" {
        return true;
    }
    if let Ok(network) = entry.parse::<IpNet>() {
        return address.is_some_and(|address| network.contains(&address));
    }
    let (name, only_port) = split_port(entry);
    let is_port = only_port.is_none_or(|only| only == port.to_string());
    if let Ok(entry) = name.parse::<IpAddr>() {
        return is_port && address == Some(entry.to_canonical());
    }
    // `*.example.com` means `.example.com`: subdomains only. `example.com` means itself, too.
    let name = name.strip_prefix('*').filter(|rest| rest.starts_with('.')).unwrap_or(name);
    let is_host = match name.strip_prefix('.') {
        Some(_) => host.ends_with(name),
        None => host == name || host.strip_suffix(name).is_some_and(|sub| sub.ends_with('.')),
    };
    !name.is_empty() && address.is_none() && is_port && is_host
}

/// Splits `host:port` and `[address]:port`. An IPv6 address without brackets has no port.
fn split_port(entry: &str) -> (&str, Option<&str>) {
    if let Some((address, rest)) = entry.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return (address, rest.strip_prefix(':'));
    }
    match entry.split_once(':') {
        Some((host, port)) if !port.contains(':') => (host, Some(port)),
        _ => (entry, None),
    }
}

#[cfg(test)]
mod tests {
    use super::is_excluded;

    #[test]
    fn hosts_domains_addresses_networks_and_ports_are_excluded_as_by_kubectl() {
        for (no_proxy, host, port, expected) in [
            ("", "api.example.com", 443, false),
            ("*", "api.example.com", 443, true),
            ("other,*", "10.0.0.1", 443, true),
            ("example.com", "example.com", 443, true),
            ("example.com", "api.example.com", 443, true),
            ("example.com", "badexample.com", 443, false),
            (".example.com", "api.example.com", 6443, true),
            (".example.com", "example.com", 443, false),
            ("*.example.com", "a.b.example.com", 443, true),
            ("*.example.com", "example.com", 443, false),
            ("EXAMPLE.com", "Api.Example.COM", 443, true),
            ("example.com:6443", "example.com", 6443, true),
            ("example.com:6443", "example.com", 443, false),
            ("10.0.0.1", "10.0.0.1", 443, true),
            ("10.0.0.1:443", "10.0.0.1", 6443, false),
            ("10.0.0.1:6443", "10.0.0.1", 6443, true),
            ("10.0.0.0/8", "10.9.8.7", 443, true),
            ("10.0.0.0/8", "11.9.8.7", 443, false),
            ("10.0.0.0/8", "api.example.com", 443, false),
            ("fd00::/8", "[fd00::5]", 443, true),
            ("fd00::5", "[fd00::5]", 443, true),
            ("[fd00::5]:443", "[fd00::5]", 6443, false),
            ("[fd00::5]:6443", "[fd00::5]", 6443, true),
            (" a.example , ,b.example,", "b.example", 443, true),
            (",", "b.example", 443, false),
            (":443", "b.example", 443, false),
            ("1.2.3", "10.1.2.3", 443, false),
        ] {
            assert_eq!(is_excluded(no_proxy, host, port), expected, "NO_PROXY={no_proxy} {host}:{port}");
        }
    }

    #[test]
    fn the_machine_itself_is_never_reached_through_a_proxy() {
        for host in ["localhost", "LOCALHOST", "127.0.0.1", "127.9.9.9", "[::1]", "[::ffff:127.0.0.1]"] {
            assert!(is_excluded("", host, 6443), "{host}");
        }
    }
}
