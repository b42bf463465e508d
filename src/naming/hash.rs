//! Short hashes for names.

use sha2::{Digest, Sha256};

/// The length of a [`short_hash`].
pub const HASH_LENGTH: usize = 10;

/// Consonants and digits that form no words and are hard to confuse, as in Kubernetes' own generated names
/// (`k8s.io/apimachinery/pkg/util/rand`).
const ALPHABET: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";

/// 64 bits of SHA-256.
pub fn number(bytes: &[u8]) -> u64 {
    let digest = Sha256::digest(bytes);
    digest.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// About 47 bits of SHA-256, in characters that every Kubernetes name may contain.
pub fn short_hash(bytes: &[u8]) -> String {
    let mut rest = number(bytes);
    let mut hash = String::with_capacity(HASH_LENGTH);
    for _ in 0..HASH_LENGTH {
        hash.push(char::from(ALPHABET[(rest % ALPHABET.len() as u64) as usize]));
        rest /= ALPHABET.len() as u64;
    }
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_of_a_text_never_changes() {
        assert_eq!(short_hash(b"kube-prepull"), short_hash(b"kube-prepull"));
        assert_ne!(short_hash(b"a"), short_hash(b"b"));
        assert_eq!(short_hash(b"").len(), HASH_LENGTH);
    }
}
