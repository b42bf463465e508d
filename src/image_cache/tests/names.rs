//! Names of ImageCaches that exist in clusters: another name would be another ImageCache, which costs money.

use jiff::SignedDuration;
use kube::ResourceExt;

use super::eci::{Eci, known};

/// The hashes in the names of the ImageCaches of a list whose nodes hold digests, and of one whose nodes never report any.
fn names(text: &str) -> [String; 2] {
    let mut reported = Eci::new(text);
    reported.known = known(&[("a:1", "sha256:a1", 3), ("b:1", "sha256:b1", 1), ("c:1", "sha256:c1", 2)]);
    let mut silent = Eci::new(text);
    [&mut reported, &mut silent].map(|eci| {
        eci.pass(SignedDuration::from_mins(11));
        eci.settle();
        let hash = |name: String| name.strip_prefix("prepull-tools-").map(str::to_owned).expect("namespace and list");
        eci.objects.iter().map(|object| hash(object.name_any())).collect::<Vec<_>>().join(" ")
    })
}

#[test]
fn the_name_for_a_content_never_changes() {
    let many: Vec<String> = (0..25).map(|number| format!("i{number}:1")).collect();
    let many = format!("images: [{}]\nimageCache: {{enabled: true}}\n", many.join(", "));
    let everything = "images: [a:1]\ngroups: [{name: arm, images: [b:1, \"c:1\"], architectures: [arm64], imagePullSecrets: [one]}]\n\
                      imageCache: {enabled: true, groups: [arm, default], size: 40, retentionDays: 7, imagePullSecrets: [two], \
                      annotations: {k8s.aliyun.com/imc-enable-reuse: \"true\"}, keepPreviousFor: 30m}\n";
    let found = [
        names("images: [a:1, b:1]\nimageCache: {enabled: true}\n"),
        names("images: [a:1]\nimageCache: {enabled: true, annotations: {k8s.aliyun.com/imc-cpu-arch: arm64}}\n"),
        names(everything),
        names(&many),
    ];
    let expected = [
        ["b522clt7kb", "t4mxbkwd7j"],
        ["tjqgsd8v2l", "x8tln5j2m2"],
        ["9pxkjd2ssg", "4qcvvp2dxp"],
        ["ftdcgwzztx 2xztgxllmg", "ftdcgwzztx 2xztgxllmg"],
    ];
    assert_eq!(found, expected.map(|of| of.map(str::to_owned)));
}
