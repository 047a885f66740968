//! Bytes and links that differ a little from good ones: the differences that parsers have stumbled over. Deterministic:
//! the same stream of random numbers gives the same input.

use mailkeeper::sim::rng::Rng;

/// Longest input that mutation grows to; longer ones are the business of tests of their own.
const MAX_BYTES: usize = 64 * 1024;

/// Pieces that mean something to one of the parsers.
const TOKENS: &[&str] = &[
    "null",
    "true",
    "false",
    "0",
    "-1",
    "1e999",
    "-1e-999",
    "9223372036854775807",
    "-9223372036854775808",
    "18446744073709551616",
    "0.249",
    "NaN",
    "[]",
    "{}",
    "[[[[[[[[",
    "{\"a\":{\"a\":{\"a\":",
    "\"\"",
    "\\ud800",
    "\\u0000",
    "\u{feff}",
    "\u{2028}",
    "\u{202e}",
    "\u{0}",
    "\r\n",
    "\t",
    "\n  - ",
    ": ",
    "&a ",
    "*a",
    "<<: ",
    "!!binary ",
    "---\n",
    "...\n",
    "? ",
    "|\n",
    ">-\n",
    "'",
    "\"",
    "#",
    "%",
    "@",
    "`",
    "\"id\":",
    "\"value\":",
    "\"error\":",
    "\"code\":",
    "\"innerError\":",
    "\"details\":",
    "\"@odata.nextLink\":",
    "\"@odata.deltaLink\":",
    "\"@removed\":{\"reason\":\"deleted\"}",
    "\"https://evil.example/v1.0/users\"",
    "\"https://graph.microsoft.com/v1.0/users?$skiptoken=x\"",
    "9999-12-31T23:59:59.9999999Z",
    "+262143-01-01T00:00:00Z",
    "0000-01-01T00:00:00Z",
    "2026-02-30T00:00:00Z",
    "Mon, 23 Nov 2026 12:00:00 GMT",
    "Fri, 31 Dec 9999 23:59:59 GMT",
    "6ea91a8d-e32e-41a1-b7bd-d2d185eed0e0",
    "{6ea91a8d-e32e-41a1-b7bd-d2d185eed0e0}",
    "00000000-0000-0000-0000-000000000000",
    "30d",
    "99999999999999999999d",
    "100%",
    "1e400%",
    "version: 1\n",
    "keep:\n",
    "match: {}",
    "${HOME}",
    "${",
    "0 */10 * * * *",
    "* * * * * *",
    "\"seq\":",
    "\"hash\":\"",
    "\"record\":\"end\"",
];

/// One input made from `seeds`: a seed, spoilt one to six times.
pub fn bytes(rng: &mut Rng, seeds: &[Vec<u8>]) -> Vec<u8> {
    let mut input = rng.pick(seeds).cloned().unwrap_or_default();
    for _ in 0..rng.between(1, 6) {
        spoil(rng, &mut input, seeds);
    }
    input.truncate(MAX_BYTES);
    input
}

fn spoil(rng: &mut Rng, input: &mut Vec<u8>, seeds: &[Vec<u8>]) {
    let at = index(rng, input.len() + 1);
    let end = (at + index(rng, 16)).min(input.len());
    let token = rng.pick(TOKENS).copied().unwrap_or_default().as_bytes();
    match rng.below(10) {
        0 => {
            if let Some(byte) = input.get_mut(at) {
                *byte ^= 1 << rng.below(8);
            }
        }
        1 => drop(input.drain(at..end)),
        2 => drop(input.splice(at..at, token.iter().copied())),
        3 => drop(input.splice(at..end, token.iter().copied())),
        4 => input.truncate(at),
        5 => {
            let piece = input[at..end].to_vec();
            let times = index(rng, 200);
            let repeated: Vec<u8> = std::iter::repeat_n(piece, times).flatten().collect();
            drop(input.splice(at..at, repeated));
        }
        6 => replace_value(rng, input, token),
        7 => {
            let other = rng.pick(seeds).cloned().unwrap_or_default();
            let from = index(rng, other.len() + 1);
            input.truncate(at);
            input.extend_from_slice(&other[from..]);
        }
        8 => {
            let noise = rng.next_u64().to_le_bytes();
            drop(input.splice(at..at, noise));
        }
        _ => {
            let (open, close) =
                if rng.chance(0.5) { (&b"["[..], &b"]"[..]) } else { (&b"{\"a\":"[..], &b"}"[..]) };
            let depth = 1 << rng.below(12);
            let deep = [open.repeat(depth), token.to_vec(), close.repeat(depth)].concat();
            drop(input.splice(at..end, deep));
        }
    }
}

/// Puts a token in the place of what stands after a colon, up to the next comma or line break.
fn replace_value(rng: &mut Rng, input: &mut Vec<u8>, token: &[u8]) {
    let colons: Vec<usize> =
        input.iter().enumerate().filter(|(_, byte)| **byte == b':').map(|(at, _)| at + 1).collect();
    let Some(start) = rng.pick(&colons).copied() else { return };
    let length = input[start..].iter().position(|byte| b",}\n".contains(byte)).unwrap_or(0);
    drop(input.splice(start..start + length, token.iter().copied()));
}

pub fn index(rng: &mut Rng, limit: usize) -> usize {
    usize::try_from(rng.below(limit as u64)).expect("below a usize")
}
