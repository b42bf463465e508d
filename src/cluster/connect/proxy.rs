//! Which proxy is between a client and the API server: the rules of kubectl.
//!
//! Source: k8s.io/client-go/rest/config.go and tools/clientcmd/client_config.go (`proxy-url`), golang.org/x/net/http/httpproxy (the
//! environment).

use std::fmt::{Display, Formatter, Result as Written};

use hyper::Uri;
use percent_encoding::percent_decode_str;

use super::no_proxy::is_excluded;

/// A proxy to connect through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxy {
    /// Where it is, without credentials. The scheme is `https` for a proxy that is reached by TLS, else `http`.
    pub address: Uri,
    /// Whether it speaks SOCKS5 rather than HTTP.
    pub socks: bool,
    /// User name and password.
    pub credentials: Option<(String, String)>,
    shown: String,
    /// Where it is configured: a variable, or a `proxy-url`.
    origin: String,
    /// Whether `NO_PROXY` could exclude the API server from it.
    from_environment: bool,
}

impl Display for Proxy {
    fn fmt(&self, f: &mut Formatter<'_>) -> Written {
        write!(f, "the proxy {} ({})", self.shown, self.origin)
    }
}

impl Proxy {
    /// What to do if the proxy is of no use for this host.
    pub fn remedy(&self, host: &str) -> String {
        let correct = format!("correct {}", self.origin);
        if self.from_environment { format!("{correct}, or add {host} to NO_PROXY") } else { correct }
    }
}

/// Returns the proxy for that API server. `proxy_url` is the kubeconfig's, with the words for where it is; `variable` looks up an
/// environment variable.
///
/// # Errors
/// If the URL of the proxy is of no use, in words that hold no credentials.
pub fn choose(
    server: &Uri,
    proxy_url: Option<(&str, String)>,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<Option<Proxy>, String> {
    if let Some((url, origin)) = proxy_url.filter(|(url, _)| !url.is_empty()) {
        return parse(url, origin, false).map(Some);
    }
    let is_https = server.scheme_str() != Some("http");
    let names = if is_https { ["HTTPS_PROXY", "https_proxy"] } else { ["HTTP_PROXY", "http_proxy"] };
    let set = |names: [&'static str; 2]| {
        names.into_iter().find_map(|name| Some((name, variable(name).filter(|value| !value.is_empty())?)))
    };
    let Some((name, url)) = set(names) else { return Ok(None) };
    let no_proxy = set(["NO_PROXY", "no_proxy"]).map(|(_, value)| value).unwrap_or_default();
    let port = server.port_u16().unwrap_or(if is_https { 443 } else { 80 });
    if is_excluded(&no_proxy, server.host().unwrap_or_default(), port) {
        return Ok(None);
    }
    // In variables, the scheme is optional.
    let url = if url.contains("://") { url } else { format!("http://{url}") };
    parse(&url, format!("the variable {name}"), true).map(Some)
}

fn parse(url: &str, origin: String, from_environment: bool) -> Result<Proxy, String> {
    // The URL itself is not said: it may hold a password.
    let unusable = |why: &str| format!("{origin} is not the URL of a proxy: {why}; write it as http://HOST:PORT");
    let (scheme, rest) = url.split_once("://").ok_or_else(|| unusable("it has no scheme"))?;
    let scheme = scheme.to_lowercase();
    let (socks, secure, port) = match scheme.as_str() {
        "http" => (false, false, 80),
        "https" => (false, true, 443),
        "socks5" | "socks5h" => (true, false, 1080),
        _ => return Err(unusable("its scheme must be http, https or socks5")),
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let (user, host) = authority.rsplit_once('@').map_or((None, authority), |(user, host)| (Some(user), host));
    let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let credentials = user.map(|user| {
        let (name, password) = user.split_once(':').unwrap_or((user, ""));
        (decoded(name), decoded(password))
    });
    let parsed: Uri = format!("http://{host}").parse().map_err(|_| unusable("host and port cannot be read"))?;
    let name = parsed.host().filter(|name| !name.is_empty()).ok_or_else(|| unusable("it has no host"))?;
    let has_bad_port = parsed.port().is_none() && parsed.authority().is_some_and(|all| all.as_str() != name);
    if has_bad_port {
        return Err(unusable("its port is not a number up to 65535"));
    }
    let place = format!("{name}:{}", parsed.port_u16().unwrap_or(port));
    let reached_by = if secure { "https" } else { "http" };
    let address = format!("{reached_by}://{place}").parse().map_err(|_| unusable("host and port cannot be read"))?;
    Ok(Proxy { address, socks, credentials, shown: format!("{scheme}://{place}"), origin, from_environment })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(server: &str, proxy_url: Option<&str>, variables: &[(&str, &str)]) -> Result<Option<Proxy>, String> {
        let variable = |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, it)| (*it).to_owned());
        let proxy_url = proxy_url.map(|url| (url, "proxy-url of the cluster c".to_owned()));
        choose(&server.parse().expect("a URI"), proxy_url, &variable)
    }

    fn shown(server: &str, proxy_url: Option<&str>, variables: &[(&str, &str)]) -> String {
        chosen(server, proxy_url, variables).expect("a choice").map_or("none".to_owned(), |proxy| proxy.to_string())
    }

    #[test]
    fn the_kubeconfig_decides_before_the_environment_and_no_proxy_counts_for_the_environment_only() {
        let api = "https://api.example:6443";
        let both = [("HTTPS_PROXY", "http://env:1"), ("NO_PROXY", "api.example")];
        assert_eq!(shown(api, None, &[]), "none");
        assert_eq!(shown(api, Some("http://file:2"), &both), "the proxy http://file:2 (proxy-url of the cluster c)");
        assert_eq!(shown(api, Some(""), &both), "none");
        assert_eq!(shown(api, None, &both[..1]), "the proxy http://env:1 (the variable HTTPS_PROXY)");
        assert_eq!(shown(api, None, &[("https_proxy", "env:1")]), "the proxy http://env:1 (the variable https_proxy)");
        assert_eq!(shown(api, None, &[("HTTPS_PROXY", ""), ("https_proxy", "b:1"), ("no_proxy", ".example")]), "none");
        assert_eq!(shown(api, None, &[("HTTP_PROXY", "http://env:1")]), "none");
        assert_eq!(shown("http://api.example", None, &both), "none");
        assert!(shown("http://api.example", None, &[("http_proxy", "e:1")]).contains("http_proxy"));
        assert_eq!(shown("https://127.0.0.1:6443", None, &both[..1]), "none");
    }

    #[test]
    fn urls_have_default_ports_and_credentials_that_are_never_shown() {
        for (url, address, place) in [
            ("http://p", "http://p:80/", "http://p:80"),
            ("https://p/", "https://p:443/", "https://p:443"),
            ("socks5://u:s%40c:ret@p", "http://p:1080/", "socks5://p:1080"),
            ("SOCKS5h://[fd00::1]:9", "http://[fd00::1]:9/", "socks5h://[fd00::1]:9"),
        ] {
            let proxy = chosen("https://api", Some(url), &[]).expect("a choice").expect("a proxy");
            assert_eq!(proxy.address, address, "{url}");
            assert!(proxy.to_string().starts_with(&format!("the proxy {place} (")), "{proxy}");
            let expected = url.contains('@').then(|| ("u".to_owned(), "s@c:ret".to_owned()));
            assert_eq!(proxy.credentials, expected);
        }
    }

    #[test]
    fn an_unusable_url_is_refused_in_words_without_its_password() {
        for url in
            ["ftp://u:secret@p:1", "http://u:secret@", "http://u:secret@p:x", "http://u:secret@p:70000", "u:secret@p"]
        {
            let problem = chosen("https://api", Some(url), &[]).expect_err(url);
            assert!(problem.starts_with("proxy-url of the cluster c is not the URL of a proxy: "), "{problem}");
            assert!(!problem.contains("secret") && problem.ends_with("; write it as http://HOST:PORT"), "{problem}");
        }
    }
}
