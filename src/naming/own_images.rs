//! kube-prepull's own images: the controller's, which has the holder too, and one with nothing but the holder.

/// The end of the tag of an image with nothing but the holder.
const SUFFIX: &str = "-holder";
/// The tag of a reference that names none.
const DEFAULT_TAG: &str = "latest";
/// The longest tag (`github.com/distribution/reference`).
const MAX_TAG: usize = 128;

/// From which image new generations install the holder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnImages {
    /// The first choice.
    pub holder: String,
    /// The controller's image, which serves if no registry has that one. `None` if the first choice is the user's, or is the
    /// controller's image already.
    pub controller: Option<String>,
}

impl OwnImages {
    /// The image that the user names or, by default, the one that is published with the controller's image. Whoever pins that by
    /// digest wants nothing but this content, so that it serves itself.
    pub fn of(named: Option<&str>, controller: &str) -> Self {
        match (named.filter(|named| !named.is_empty()), published_with(controller)) {
            (Some(named), _) => Self { holder: named.to_owned(), controller: None },
            (None, Some(holder)) => Self { holder, controller: Some(controller.to_owned()) },
            (None, None) => Self { holder: controller.to_owned(), controller: None },
        }
    }
}

/// The image of the holder that is published with this image of the controller, unless its tag would be too long.
fn published_with(controller: &str) -> Option<String> {
    if controller.is_empty() || controller.contains('@') {
        return None;
    }
    // A colon before a slash begins the port of a registry.
    let tagged = controller.rsplit_once(':').filter(|(_, tag)| !tag.contains('/'));
    let (name, tag) = tagged.unwrap_or((controller, DEFAULT_TAG));
    (tag.len() + SUFFIX.len() <= MAX_TAG).then(|| format!("{name}:{tag}{SUFFIX}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_holders_image_has_the_tag_of_the_controllers_with_a_suffix_and_that_one_serves_without_it() {
        for (controller, holder) in [
            ("kube-prepull:0.1.0", "kube-prepull:0.1.0-holder"),
            ("registry.test/a/b:1", "registry.test/a/b:1-holder"),
            ("registry.test:5000/a/b:1.2_x", "registry.test:5000/a/b:1.2_x-holder"),
            ("[fd00::3]:5000/a:1", "[fd00::3]:5000/a:1-holder"),
            ("kube-prepull", "kube-prepull:latest-holder"),
            ("registry.test:5000/a/b", "registry.test:5000/a/b:latest-holder"),
            ("[fd00::3]:5000/a", "[fd00::3]:5000/a:latest-holder"),
        ] {
            let expected = OwnImages { holder: holder.to_owned(), controller: Some(controller.to_owned()) };
            for unset in [None, Some("")] {
                assert_eq!(OwnImages::of(unset, controller), expected, "{controller}");
            }
        }
    }

    #[test]
    fn an_image_that_is_pinned_by_digest_or_whose_tag_is_too_long_serves_itself() {
        let digest = format!("registry.test/a@sha256:{}", "0".repeat(64));
        let both = format!("registry.test:5000/a:1@sha256:{}", "0".repeat(64));
        let long = format!("registry.test/a:{}", "t".repeat(122));
        for controller in [digest, both, long] {
            assert_eq!(OwnImages::of(None, &controller), OwnImages { holder: controller, controller: None });
        }
        let longest = format!("registry.test/a:{}", "t".repeat(121));
        assert_eq!(OwnImages::of(None, &longest).holder, format!("{longest}-holder"));
    }

    #[test]
    fn an_image_that_the_user_names_serves_and_no_other() {
        for controller in ["registry.test/a:1", "registry.test/a@sha256:1", ""] {
            let named = OwnImages { holder: "mirror.test/h:2".to_owned(), controller: None };
            assert_eq!(OwnImages::of(Some("mirror.test/h:2"), controller), named);
        }
    }
}
