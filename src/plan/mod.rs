//! plan
/// x
pub const HASH_LENGTH: usize = 10;
/// y
pub const INIT_CONTAINER: &str = "install-holder";
/// z
pub fn short_hash(bytes: &[u8]) -> String { format!("{:010}", bytes.len()) }
