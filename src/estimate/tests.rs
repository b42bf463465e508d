use proptest::prelude::*;
use rust_decimal::Decimal;

use super::serverless::Amounts;
use super::*;
use crate::coverage::requests::Requests;
use crate::list::parse;
use crate::naming::own_images::OwnImages;
use crate::plan::generation::content_hash;
use crate::plan::{AcceptedList, Platform, Record, Settings, daemon_set};

fn list(images_yaml: &str) -> (ListData, Config) {
    let data = [("images.yaml".to_owned(), images_yaml.to_owned())].into();
    let list = ListData { namespace: "default".to_owned(), name: "images".to_owned(), data, found: None };
    let parsed = parse(&list);
    let config = parsed.config.unwrap_or_else(|| panic!("{:?}", parsed.problems));
    (list, config)
}

fn usage(pods: u32) -> Usage {
    Usage { pods, pods_hours: serverless::MONTH, build_minutes: Decimal::TEN, nodes: None }
}

fn estimated(images_yaml: &str, usage: &Usage) -> Estimate {
    let (list, config) = list(images_yaml);
    estimate(&list, &config, Prices::example(), usage)
}

fn serverless(images_yaml: &str, usage: &Usage) -> ImageCacheCosts {
    estimated(images_yaml, usage).image_caches.expect("an ImageCache")
}

fn number(text: &str) -> Decimal {
    text.parse().expect("a number")
}

/// A month of 25 GB that take ten minutes to build, for three pods that run all the time.
#[test]
fn the_published_example_is_met_to_the_digit() {
    let found = serverless("images: [a]\nimageCache: {enabled: true, size: 25}", &usage(3));
    let months: Vec<_> = found.charges.iter().map(|charge| (charge.item, charge.amounts.month)).collect();
    let expected = [(1, "0.011544"), (2, "0.008"), (3, "0.5000004"), (4, "17.28")];
    assert_eq!(months, expected.map(|(item, month)| (item, number(month))));
    assert_eq!(found.sum, Amounts { now: number("0.019544"), month: number("17.7995444") });
    assert_eq!(found.sum.month.round_dp(4), number("17.7995"));
}

#[test]
fn with_retention_renewals_are_paid_for_and_the_previous_snapshot_as_long_as_it_stays() {
    let found = serverless(
        "images: [a]\nimageCache: {enabled: true, size: 100, retentionDays: 10, keepPreviousFor: 90m}",
        &usage(0),
    );
    // Each is renewed after seven and a half days.
    assert_eq!(found.builds_per_month, 5);
    let line = |what: &str| found.charges.iter().find(|charge| charge.what == what).expect("the line").amounts.month;
    assert_eq!(line("the build instance"), number("0.05772"));
    assert_eq!(line("its disk"), number("0.16"));
    // 100 GB for an hour and a half, four times.
    assert_eq!(line("the previous snapshot"), number("0.01666668"));
    assert_eq!(found.each_change, number("0.011544") + number("0.032") + number("0.00416667"));
}

#[test]
fn an_hour_that_was_begun_is_paid_for_the_disk_and_seconds_for_the_instance() {
    let found = |build_minutes: &str| {
        let usage = Usage { build_minutes: number(build_minutes), ..usage(0) };
        let found = serverless("images: [a]\nimageCache: {enabled: true, size: 100}", &usage);
        (found.charges[0].amounts.now, found.charges[1].amounts.now)
    };
    assert_eq!(found("60"), (number("0.069264"), number("0.032")));
    assert_eq!(found("60.5"), (number("0.0698412"), number("0.064")));
    assert_eq!(found("0"), (Decimal::ZERO, Decimal::ZERO));
}

#[test]
fn more_than_twenty_images_are_several_image_caches_but_a_pod_has_one_disk() {
    let images = |number: usize| {
        let images: Vec<_> = (0..number).map(|image| format!("image-{image}")).collect();
        serverless(&format!("images: [{}]\nimageCache: {{enabled: true, size: 25}}", images.join(", ")), &usage(3))
    };
    let (one, two) = (images(20), images(21));
    assert_eq!((one.number, two.number), (1, 2));
    for item in 0..3 {
        assert_eq!(two.charges[item].amounts.month, one.charges[item].amounts.month * Decimal::TWO);
    }
    assert_eq!(two.charges[3].amounts.month, one.charges[3].amounts.month);
}

#[test]
fn each_platform_is_an_image_cache_but_a_pod_has_one_disk() {
    let text = |platforms: &str| {
        let groups = "groups: [{name: gpu, images: [b], architectures: [amd64]}]";
        format!("images: [a]\n{groups}\nimageCache: {{enabled: true, size: 25, platforms: [{platforms}]}}")
    };
    let one = serverless(&text("linux/amd64"), &usage(3));
    let two = serverless(&text("linux/amd64, linux/arm64"), &usage(3));
    assert_eq!((one.number, one.images, two.number, two.images), (1, 2, 2, 2));
    for item in 0..3 {
        assert_eq!(two.charges[item].amounts.month, one.charges[item].amounts.month * Decimal::TWO);
    }
    assert_eq!(two.charges[3].amounts.month, one.charges[3].amounts.month);
    assert!(two.charges[2].formula.contains("2 ImageCaches"), "{}", two.charges[2].formula);
}

#[test]
fn only_the_groups_of_the_image_cache_count_and_a_reference_once() {
    let groups =
        "images: [nginx, redis]\ngroups:\n- {name: gpu, images: [nginx, cuda]}\n- {name: other, images: [x]}\n";
    let number = |cache: &str| serverless(&format!("{groups}imageCache: {cache}"), &usage(0)).images;
    assert_eq!(number("{enabled: true}"), 4);
    assert_eq!(number("{enabled: true, groups: [gpu]}"), 2);
    assert_eq!(number("{enabled: true, groups: [default, gpu]}"), 3);
}

#[test]
fn what_is_not_set_and_costs_money_is_warned_of() {
    let warnings = |cache: &str| estimated(&format!("images: [a]\nimageCache: {cache}"), &usage(1)).warnings;
    assert_eq!(warnings("{enabled: true, size: 20, retentionDays: 7}"), [""; 0]);
    let both = warnings("{enabled: true}");
    assert_eq!(both.len(), 2, "{both:?}");
    assert!(both[0].contains("imageCache.size") && both[1].contains("imageCache.retentionDays"), "{both:?}");
}

#[test]
fn a_list_without_an_image_cache_costs_nothing_there() {
    for images_yaml in ["[a]", "images: [a]\nimageCache: {enabled: false}"] {
        let found = estimated(images_yaml, &usage(5));
        assert!(found.image_caches.is_none() && found.warnings.is_empty());
    }
}

#[test]
fn what_is_reserved_is_what_the_scheduler_reserves_for_the_daemon_sets_pods() {
    let text = "images: [a, b, c]\ngroups:\n- name: gpu\n  images: [d, e]\n  resources: {requests: {cpu: 1500u, memory: 10Mi, ephemeral-storage: 1Gi}}\n";
    let (list, config) = list(text);
    let usage = Usage { nodes: Some(7), ..usage(0) };
    let reserved = estimate(&list, &config, Prices::example(), &usage).reserved;
    let settings = Settings {
        own_images: OwnImages::of(Some("holder"), ""),
        service_account_name: None,
        platform: Platform::Kubernetes,
        ..Settings::default()
    };
    let accepted = AcceptedList { namespace: "default", label: "images", config: &config };
    let mut sum = Requests::default();
    for (group, found) in config.groups.iter().zip(&reserved.groups) {
        let record = Record {
            revision: 1,
            content: content_hash(group),
            epoch: jiff::Timestamp::UNIX_EPOCH,
            spread_seconds: 0,
            holder_image: settings.own_images.holder.clone(),
            format: crate::plan::generation::FORMAT,
            folder: Default::default(),
            refresh_request: None,
            pulled_always: Default::default(),
            gate_taints: Default::default(),
        };
        let pod = daemon_set::build(accepted, group, &record, &settings).spec.and_then(|spec| spec.template.spec);
        let pod = serde_json::to_value(pod).and_then(serde_json::from_value).expect("a pod");
        assert_eq!(found.per_node, Requests::of_pod(&pod));
        sum = sum + found.per_node;
    }
    assert_eq!(reserved.per_node, sum);
    // Of 1500u each container reserves two thousandths.
    assert_eq!((sum.cpu_millis, sum.memory_bytes, sum.ephemeral_storage_bytes), (7, 23 << 20, 2 << 30));
    assert_eq!(reserved.cluster.map(|all| (all.cpu_millis, all.memory_bytes)), Some((49, 161 << 20)));
}

#[test]
fn what_the_nodes_own_programs_need_grows_with_images_and_pods() {
    let overhead = |text: &str| estimated(text, &usage(0)).reserved.overhead_bytes;
    let [one, two, groups] =
        ["[a]", "[a, b]", "groups: [{name: one, images: [a]}, {name: two, images: [b]}]"].map(overhead);
    assert!(one > 1 << 20, "a pod has a process beside its containers: {one}");
    assert!(two > one);
    assert_eq!(groups, 2 * one);
    assert_eq!(overhead("images: [a, b]\nparallelPulls: 2"), groups, "two pods of one group");
}

#[test]
fn a_bad_price_file_is_reported_with_its_line() {
    let example = include_str!("../../config/prices.yaml");
    assert_eq!(Prices::parse(example).map(|prices| prices.vcpu_second), Ok(number("0.0000077")));
    for (old, new, why) in [
        ("0.0320", "cheap", "\"cheap\" is not a price; write a number such as 0.0320 at line 8"),
        ("0.0320", "-1", "-1 is not a price; write a number from 0 to 1000000 at line 8"),
        ("0.0320", "1e28", "is not a price"),
        ("0.0320", "[1]", "line 8"),
        ("vcpuSecond", "vcpuSeconds", "unknown field `vcpuSeconds`"),
        ("date: 2024-03-08", "date: 2024-13-08", "line 4"),
        ("currency: USD\n", "", "missing field `currency`"),
        ("currency: USD\n", "currency: USD\nexample: true\n", "unknown field `example`"),
    ] {
        assert_ne!(example.replace(old, new), example, "{old}");
        let error = Prices::parse(&example.replace(old, new)).expect_err(new);
        assert!(error.contains(why), "{new}: {error}");
    }
    assert!(Prices::parse("").is_err());
}

#[test]
fn prices_are_read_to_the_last_digit_however_they_are_written() {
    let example = include_str!("../../config/prices.yaml");
    for written in ["7.7e-6", "'0.0000077'", ".0000077", "0.00000770000"] {
        let prices = Prices::parse(&example.replace("0.0000077", written));
        assert_eq!(prices.map(|prices| prices.vcpu_second), Ok(number("0.0000077")), "{written}");
    }
}

proptest! {
    #[test]
    fn lines_add_up_more_pods_cost_more_and_nothing_is_too_much(
        price in 0u64..=1_000_000_000_000, pods in 0u32..u32::MAX, hours in 0u32..=744, minutes in 0u32..=10_080,
        size in 20u32..=32_768, days in prop::option::of(1u32..=65_536), keep in 0u32..=8_784, images in 1usize..200,
    ) {
        let price = Decimal::new(i64::try_from(price).expect("it fits"), 6);
        let prices = Prices {
            vcpu_second: price, memory_gib_second: price, disk_100_gib_hour: price, snapshot_gib_hour: price, ..Prices::example()
        };
        let images: Vec<_> = (0..images).map(|image| format!("image-{image}")).collect();
        let days = days.map_or_else(String::new, |days| format!("retentionDays: {days}, "));
        let (list, config) = list(&format!(
            "images: [{}]\nimageCache: {{enabled: true, size: {size}, {days}keepPreviousFor: {keep}h}}", images.join(", ")
        ));
        let with = |pods| {
            let usage = Usage { pods, pods_hours: hours.into(), build_minutes: minutes.into(), nodes: Some(pods) };
            estimate(&list, &config, prices.clone(), &usage).image_caches.expect("an ImageCache")
        };
        let (found, more) = (with(pods), with(pods + 1));
        let sum: Decimal = found.charges.iter().map(|charge| charge.amounts.month).sum();
        prop_assert_eq!(sum, found.sum.month);
        prop_assert!(found.sum.now <= found.sum.month && found.sum.month <= more.sum.month);
        prop_assert!(found.charges.iter().all(|charge| !charge.amounts.month.is_sign_negative()));
    }
}
