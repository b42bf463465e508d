//! References of images.

use kube_prepull::list::reference::ImageReference;

/// A reference is what was written, and its normal form is its own.
pub fn run(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let normal = ImageReference::normal_form_of(&text);
    let Ok(reference) = ImageReference::parse(&text) else { return };
    assert_eq!(reference.as_str(), &*text);
    assert_eq!(reference.normal_form(), normal);
    let again = ImageReference::parse(&normal).unwrap_or_else(|error| panic!("{normal}: {error:?}"));
    assert_eq!(again.normal_form(), normal, "{text}");
    assert_eq!(
        (again.is_pinned(), again.has_no_tag() && !again.is_pinned()),
        (reference.is_pinned(), false),
        "{normal}"
    );
    assert!(!reference.short_name().is_empty() && text.contains(reference.short_name()), "{text}");
}
