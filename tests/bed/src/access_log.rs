//! The registry's access log, in the "combined" format that web servers share.

use std::net::IpAddr;

/// One request to the registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// Who asked. Nodes have addresses of their own.
    pub source: IpAddr,
    /// The method, such as `GET`.
    pub method: String,
    /// The path, such as `/v2/app/manifests/1`.
    pub path: String,
    /// The answer's status.
    pub status: u16,
    /// The size of the answer's body.
    pub bytes: u64,
}

impl Access {
    /// The repository, if this asked for a manifest.
    #[must_use]
    pub fn manifest_of(&self) -> Option<&str> {
        self.path.strip_prefix("/v2/")?.rsplit_once("/manifests/").map(|(repository, _)| repository)
    }

    /// The repository, if this asked for a blob.
    #[must_use]
    pub fn blob_of(&self) -> Option<&str> {
        self.path.strip_prefix("/v2/")?.rsplit_once("/blobs/").map(|(repository, _)| repository)
    }
}

/// The requests in a log. Lines of other kinds are between them.
#[must_use]
pub fn parse(log: &str) -> Vec<Access> {
    log.lines().filter_map(parse_line).collect()
}

/// `10.99.0.11 - - [date] "GET /v2/app/manifests/1 HTTP/1.1" 200 525 "" "containerd/2.4.2"`
fn parse_line(line: &str) -> Option<Access> {
    let (source, rest) = line.split_once(' ')?;
    let mut quoted = rest.splitn(3, '"').skip(1);
    let mut request = quoted.next()?.split(' ');
    let mut answer = quoted.next()?.split_whitespace();
    let status = answer.next()?.parse().ok()?;
    // A body that is empty can be a dash.
    let bytes = answer.next().and_then(|bytes| bytes.parse().ok()).unwrap_or_default();
    let (method, path) = (request.next()?, request.next()?);
    Some(Access { source: source.parse().ok()?, method: method.into(), path: path.into(), status, bytes })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_picked_out_of_the_log() {
        let log = "time=\"2030-01-01T00:00:00Z\" level=info msg=\"listening on 10.99.0.1:5000\"\n\
            10.99.0.11 - - [01/Jan/2030:00:00:00 +0000] \"HEAD /v2/team/app/manifests/1 HTTP/1.1\" 404 19 \"\" \"containerd\"\n";
        let access = Access {
            source: [10, 99, 0, 11].into(),
            method: "HEAD".into(),
            path: "/v2/team/app/manifests/1".into(),
            status: 404,
            bytes: 19,
        };
        assert_eq!(access.manifest_of(), Some("team/app"));
        assert_eq!(parse(log), [access]);
    }

    #[test]
    fn a_blob_is_no_manifest() {
        let access =
            Access { source: [1; 4].into(), method: "GET".into(), path: "/v2/a/blobs/b".into(), status: 200, bytes: 9 };
        assert_eq!((access.manifest_of(), access.blob_of()), (None, Some("a")));
    }
}
