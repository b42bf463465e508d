//! What a list's ConfigMap says of its images.

/// How many of the images are warm on all nodes, and how many of the nodes have all images.
pub fn images_on_nodes([warm, images]: [usize; 2], [with_all, nodes]: [usize; 2]) -> String {
    format!("{warm}/{images} images on {with_all}/{nodes} nodes")
}

/// For a list that has no image, and never had one.
pub fn without_images() -> &'static str {
    "no images yet"
}

/// For a list with errors.
pub fn rejected() -> &'static str {
    "the list is rejected: see the annotation kube-prepull.io/problems"
}
