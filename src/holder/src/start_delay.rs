//! When a node begins a generation's pulls.
//!
//! Every node computes its own start delay from its name, so a rollout is spread out without any coordination: no node can delay
//! another. The formula is part of the contract of `v1` (see the [crate]): the holder waits by it and the controller predicts by
//! it, so old and new builds of both must agree on it forever.

/// When a node starts its pulls within the spread of one generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StartDelay<'a> {
    /// When the generation begins its pulls, in seconds since 1970-01-01 00:00 UTC.
    pub epoch: u64,
    /// The time over which the nodes start their pulls, in seconds. 0 for all at once.
    pub spread: u64,
    /// The node's name in Kubernetes. Empty if it is unknown: then there is no wait.
    pub node_name: &'a [u8],
}

impl StartDelay<'_> {
    /// How many seconds the node still has to wait at `now`, which is in seconds since 1970-01-01 00:00 UTC.
    ///
    /// Never more than the spread, so that a clock that is far behind does not keep a node cold. 0 once the start delay is over, so
    /// that a node that joins later warms at once. And 0 without a node name, because the same wait for all nodes spreads nothing.
    #[must_use]
    pub fn wait(&self, now: u64) -> u64 {
        if self.node_name.is_empty() {
            return 0;
        }
        let start_delay = self.epoch.saturating_add(offset(self.node_name, self.spread));
        start_delay.saturating_sub(now).min(self.spread)
    }
}

/// How many seconds after the epoch the node `node_name` starts: FNV-1a (64 bits) of the name, modulo `spread` seconds. Less than
/// the spread, or 0 if that is 0.
#[must_use]
pub fn offset(node_name: &[u8], spread: u64) -> u64 {
    fnv1a(node_name).checked_rem(spread).unwrap_or(0)
}

/// FNV-1a with 64 bits, as in <https://datatracker.ietf.org/doc/draft-eastlake-fnv/>. It takes few instructions, spreads names that
/// differ only in their last characters, and will never be redefined.
fn fnv1a(bytes: &[u8]) -> u64 {
    const OFFSET_BASIS: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    bytes.iter().fold(OFFSET_BASIS, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(PRIME))
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::{format, vec};

    use proptest::prelude::*;

    use super::*;

    /// Its start delay is 2854 seconds of an hour.
    const NODE: &[u8] = b"node-2";
    const HOUR: u64 = 3600;
    const EPOCH: u64 = 1_800_000_000;

    fn wait(now: u64, epoch: u64, spread: u64, node_name: &[u8]) -> u64 {
        StartDelay { epoch, spread, node_name }.wait(now)
    }

    #[test]
    fn the_hash_is_fnv_1a() {
        // From the test vectors of the Internet-Draft.
        assert_eq!(fnv1a(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a(b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(fnv1a(b"foobar"), 0x8594_4171_f739_67e8);
    }

    /// Holders of older images wait by exactly these numbers, so they must not change.
    #[test]
    fn the_offsets_of_v1_stay_what_they_are() {
        assert_eq!(offset(NODE, HOUR), 2854);
        assert_eq!(offset(b"ip-10-0-0-1.ec2.internal", HOUR), 2019);
        assert_eq!(offset(NODE, u64::MAX), 16_615_729_293_254_228_854);
    }

    #[test]
    fn a_node_waits_for_its_place_in_the_spread() {
        assert_eq!(wait(EPOCH, EPOCH, HOUR, NODE), offset(NODE, HOUR));
        assert_eq!(wait(EPOCH + 1000, EPOCH, HOUR, NODE), offset(NODE, HOUR) - 1000);
    }

    #[test]
    fn a_turn_that_has_passed_is_not_waited_for() {
        assert_eq!(wait(EPOCH + offset(NODE, HOUR), EPOCH, HOUR, NODE), 0);
        assert_eq!(wait(EPOCH + HOUR, EPOCH, HOUR, NODE), 0);
        assert_eq!(wait(u64::MAX, EPOCH, HOUR, NODE), 0);
    }

    #[test]
    fn a_clock_that_is_far_behind_costs_the_spread_and_no_more() {
        assert_eq!(wait(0, EPOCH, HOUR, NODE), HOUR);
        assert_eq!(wait(0, u64::MAX, HOUR, NODE), HOUR);
    }

    #[test]
    fn without_a_spread_or_a_name_nobody_waits() {
        assert_eq!(wait(0, EPOCH, 0, NODE), 0);
        assert_eq!(wait(0, EPOCH, HOUR, b""), 0);
    }

    /// The names that cloud providers and installers give: alike but for a number at the end or in the middle.
    #[test]
    fn nodes_of_a_cluster_spread_evenly() {
        const NODES: u64 = 5000;
        const MINUTES: u64 = 10;
        let names: [fn(u64) -> std::string::String; 3] = [
            |n| format!("node-{n}"),
            |n| format!("worker-{n:05}.example.org"),
            |n| format!("ip-10-0-{}-{}.eu-central-1.compute.internal", n / 250, n % 250),
        ];
        for name in names {
            let mut minutes = vec![0_u64; MINUTES as usize];
            for n in 0..NODES {
                minutes[(offset(name(n).as_bytes(), MINUTES * 60) / 60) as usize] += 1;
            }
            let fair = NODES / MINUTES;
            let even = fair * 3 / 4..=fair * 5 / 4;
            assert!(minutes.iter().all(|nodes| even.contains(nodes)), "{}: {minutes:?}", name(0));
        }
    }

    proptest! {
        #[test]
        fn the_turn_comes_within_the_spread(spread in 1_u64.., name: std::vec::Vec<u8>) {
            prop_assert!(offset(&name, spread) < spread);
        }

        #[test]
        fn no_clock_and_no_epoch_make_a_wait_longer_than_the_spread(
            now: u64, epoch: u64, spread: u64, name: std::vec::Vec<u8>,
        ) {
            prop_assert!(wait(now, epoch, spread, &name) <= spread);
        }

        #[test]
        fn waiting_brings_every_node_to_the_end_of_its_start_delay(
            ahead in 0..HOUR, epoch in 0..EPOCH, spread in 0..HOUR, name in "[a-z0-9.-]{1,63}",
        ) {
            let name = name.as_bytes();
            let now = epoch + ahead;
            prop_assert_eq!(
                now + wait(now, epoch, spread, name),
                now.max(epoch + offset(name, spread))
            );
        }
    }
}
