//! Changes of inputs, as fuzzers make them, but always the same ones.

use std::ops::Range;

/// What means something to the parsers, in lists, references and messages.
const TOKENS: [&[u8]; 28] = [
    b"\n",
    b"\r\n",
    b"  ",
    b"- ",
    b": ",
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b"&a ",
    b"*a",
    b"<<: ",
    b"!!binary ",
    b"|\n",
    b"\"",
    b"'",
    b"\0",
    b"\xff",
    b"\xe2\x80\xae",
    b"images:",
    b"groups:",
    b"@sha256:",
    b"/",
    b"; ",
    b"=",
    b"99999999999999999999",
    b"---\n",
];
/// Longer inputs find no more: all targets read them in the same way.
const LONGEST: usize = 4096;

/// A source of changes.
pub struct Changes(u64);

impl Changes {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// An input of the corpus with up to four changes.
    pub fn changed(&mut self, corpus: &[Vec<u8>]) -> Vec<u8> {
        let mut input = corpus[self.below(corpus.len())].clone();
        for _ in 0..=self.below(4) {
            let range = self.range(&input);
            match self.below(6) {
                0 => input
                    .splice(range.start..range.start, TOKENS[self.below(TOKENS.len())].iter().copied())
                    .for_each(drop),
                1 => drop(input.drain(range)),
                2 => {
                    let again = input[range.clone()].to_vec();
                    input.splice(range.end..range.end, again).for_each(drop);
                }
                3 => {
                    let other = &corpus[self.below(corpus.len())];
                    let part = other[self.range(other)].to_vec();
                    input.splice(range, part).for_each(drop);
                }
                _ => {
                    let value = self.next();
                    if let Some(byte) = input.get_mut(range.start) {
                        *byte = value as u8;
                    }
                }
            }
        }
        input.truncate(LONGEST);
        input
    }

    fn range(&mut self, of: &[u8]) -> Range<usize> {
        let start = self.below(of.len() + 1);
        start..(start + self.below(32)).min(of.len())
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    /// SplitMix64.
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut next = self.0;
        next = (next ^ (next >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        next = (next ^ (next >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        next ^ (next >> 31)
    }
}
