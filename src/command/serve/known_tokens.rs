//! What the API server said of tokens a short time ago, so that a scraper costs it one question a minute, and so that wrong
//! tokens cannot flood it.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

use crate::cluster::access_reviews::Access;

/// How long an answer is believed. Whoever loses the right keeps getting metrics for so long; whoever gets it waits as long.
/// Both are shorter than in the metrics filter of controller-runtime, which keeps them for up to five minutes and 30 seconds.
const ADMITTED_FOR: Duration = Duration::from_secs(60);
const REFUSED_FOR: Duration = Duration::from_secs(10);
/// Refused tokens have a limit of their own, so that they displace no token that is admitted.
const MOST_ADMITTED: usize = 64;
const MOST_REFUSED: usize = 256;
/// How many tokens of one address may be refused within a time before further ones are not asked about.
const MOST_REFUSALS: u32 = 20;
const WITHIN: Duration = Duration::from_secs(10);
const MOST_ADDRESSES: usize = 1024;

/// A token and a page, from which neither can be found again: no token stays in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TokenKey([u8; 32]);

impl TokenKey {
    /// The key of a token that asks for a page.
    pub fn new(token: &str, page: &str) -> Self {
        // No token contains a space.
        Self(Sha256::new().chain_update(token).chain_update(" ").chain_update(page).finalize().into())
    }
}

/// What is known of tokens, and which addresses sent wrong ones.
#[derive(Debug, Default)]
pub struct KnownTokens {
    admitted: HashMap<TokenKey, Instant>,
    refused: HashMap<TokenKey, (Access, Instant)>,
    refusals: HashMap<IpAddr, (u32, Instant)>,
}

impl KnownTokens {
    /// What the API server said of a token, if that is recent.
    pub fn get(&self, key: &TokenKey, now: Instant) -> Option<Access> {
        let is_recent = |said: Instant, for_time| now.saturating_duration_since(said) < for_time;
        if self.admitted.get(key).is_some_and(|said| is_recent(*said, ADMITTED_FOR)) {
            return Some(Access::Allowed);
        }
        self.refused.get(key).filter(|(_, said)| is_recent(*said, REFUSED_FOR)).map(|(access, _)| *access)
    }

    /// Records what the API server said of a token that an address sent.
    pub fn learn(&mut self, key: TokenKey, access: Access, peer: IpAddr, now: Instant) {
        if access == Access::Allowed {
            self.refused.remove(&key);
            put(&mut self.admitted, MOST_ADMITTED, key, now, |said| *said);
            return;
        }
        self.admitted.remove(&key);
        put(&mut self.refused, MOST_REFUSED, key, (access, now), |(_, said)| *said);
        let (count, since) = self.refusals.get(&peer).copied().filter(|it| !is_over(it, now)).unwrap_or((0, now));
        put(&mut self.refusals, MOST_ADDRESSES, peer, (count + 1, since), |(_, since)| *since);
    }

    /// Whether the API server may be asked about another token of an address.
    pub fn may_ask(&self, peer: IpAddr, now: Instant) -> bool {
        self.refusals.get(&peer).is_none_or(|it| is_over(it, now) || it.0 < MOST_REFUSALS)
    }
}

fn is_over((_, since): &(u32, Instant), now: Instant) -> bool {
    now.saturating_duration_since(*since) >= WITHIN
}

/// Inserts a value. If there are too many, the oldest one goes.
fn put<K: Copy + Eq + std::hash::Hash, V>(
    map: &mut HashMap<K, V>,
    most: usize,
    key: K,
    value: V,
    age: impl Fn(&V) -> Instant,
) {
    if map.len() >= most && !map.contains_key(&key) {
        let oldest = map.iter().min_by_key(|(_, value)| age(value)).map(|(key, _)| *key);
        oldest.map(|oldest| map.remove(&oldest));
    }
    map.insert(key, value);
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
    const SECOND: Duration = Duration::from_secs(1);

    fn key(number: usize) -> TokenKey {
        TokenKey::new(&format!("token-{number}"), "/metrics")
    }

    #[test]
    fn what_the_api_server_said_is_believed_for_a_short_time() {
        let (mut known, now) = (KnownTokens::default(), Instant::now());
        known.learn(key(1), Access::Allowed, PEER, now);
        known.learn(key(2), Access::Denied, PEER, now);
        known.learn(key(3), Access::Unauthenticated, PEER, now);
        let said = |known: &KnownTokens, now| [1, 2, 3, 4].map(|number| known.get(&key(number), now));
        let all = [Some(Access::Allowed), Some(Access::Denied), Some(Access::Unauthenticated), None];
        assert_eq!(said(&known, now), all);
        assert_eq!(said(&known, now + REFUSED_FOR), [Some(Access::Allowed), None, None, None]);
        assert_eq!(said(&known, now + ADMITTED_FOR), [None; 4]);
        // The newest answer counts.
        known.learn(key(1), Access::Denied, PEER, now + SECOND);
        known.learn(key(2), Access::Allowed, PEER, now + SECOND);
        assert_eq!(said(&known, now + SECOND)[..2], [Some(Access::Denied), Some(Access::Allowed)]);
    }

    #[test]
    fn a_flood_of_wrong_tokens_takes_bounded_memory_and_displaces_no_admitted_one() {
        let (mut known, now) = (KnownTokens::default(), Instant::now());
        known.learn(key(0), Access::Allowed, PEER, now);
        for number in 1..10_000_usize {
            let peer = IpAddr::from(u32::try_from(number).expect("a small number").to_be_bytes());
            known.learn(key(number), Access::Unauthenticated, peer, now + SECOND);
        }
        assert_eq!(known.get(&key(0), now + SECOND), Some(Access::Allowed));
        assert_eq!((known.refused.len(), known.refusals.len()), (MOST_REFUSED, MOST_ADDRESSES));
        for number in 0..1_000 {
            known.learn(key(number), Access::Allowed, PEER, now);
        }
        assert_eq!(known.admitted.len(), MOST_ADMITTED);
    }

    #[test]
    fn an_address_with_many_wrong_tokens_has_to_wait_and_others_need_not() {
        let (mut known, now) = (KnownTokens::default(), Instant::now());
        let other = IpAddr::from([10, 0, 0, 1]);
        for number in 0..MOST_REFUSALS {
            assert!(known.may_ask(PEER, now));
            known.learn(key(number as usize), Access::Unauthenticated, PEER, now);
        }
        assert!(!known.may_ask(PEER, now + SECOND));
        assert!(known.may_ask(other, now + SECOND));
        assert!(known.may_ask(PEER, now + WITHIN));
        known.learn(key(99), Access::Unauthenticated, PEER, now + WITHIN);
        assert!(known.may_ask(PEER, now + WITHIN), "counting begins again");
    }

    #[test]
    fn a_token_is_known_for_the_page_that_was_asked_for() {
        assert_ne!(TokenKey::new("token", "/metrics"), TokenKey::new("token", "/status"));
        assert_ne!(TokenKey::new("a", "b"), TokenKey::new("ab", ""));
    }
}
