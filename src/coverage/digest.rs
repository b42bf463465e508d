//! The digest that a runtime reports for a reference.

/// The digest or id in a container's `imageID`, without the name and the runtime's prefix. `None` if it is empty.
///
/// containerd reports `name@sha256:…` or, for an image that it did not pull by name, `sha256:…`. Docker prepends
/// `docker-pullable://` or `docker://`. CRI-O reports `name@sha256:…`, or its own id of 64 digits.
pub fn digest(image_id: &str) -> Option<&str> {
    let after_name = image_id.rsplit('@').next().unwrap_or(image_id);
    let after_runtime = after_name.rsplit("://").next().unwrap_or(after_name);
    Some(after_runtime).filter(|digest| !digest.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_runtimes_spelling_of_a_digest_is_read() {
        for (image_id, expected) in [
            ("docker.io/library/nginx@sha256:0123", Some("sha256:0123")),
            ("mirror.example:5000/nginx@sha256:0123", Some("sha256:0123")),
            ("docker-pullable://nginx@sha256:0123", Some("sha256:0123")),
            ("docker://sha256:0123", Some("sha256:0123")),
            ("sha256:0123", Some("sha256:0123")),
            ("6e5de4f2c3f2", Some("6e5de4f2c3f2")),
            ("", None),
            ("nginx@", None),
        ] {
            assert_eq!(digest(image_id), expected, "{image_id}");
        }
    }
}
