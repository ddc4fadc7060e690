//! Signatures of webhooks: HMAC-SHA-256 over the raw body, verified and made.
//!
//! | scheme | signed text | header | time |
//! |---|---|---|---|
//! | Standard Webhooks | `id.timestamp.body` | `webhook-signature: v1,<base64> v1,<base64> ..` (or `svix-..`) | `webhook-timestamp`, s |
//! | GitHub | body | `X-Hub-Signature-256: sha256=<hex>` | none |
//! | Slack v0 | `v0:timestamp:body` | `X-Slack-Signature: v0=<hex>` | `X-Slack-Request-Timestamp`, s |
//! | plain | body | any, hexadecimal or base64, perhaps behind a prefix | none |
//!
//! Any of several secrets may have signed, so that a secret can be replaced without a gap. Signatures are compared in
//! constant time. The bytes of the body are signed, never what is parsed from them. Of a Standard Webhooks header every
//! part is tried, whatever separates the parts; parts of other versions (`v1a,`) are passed over. A fraction of the
//! signed second is ignored, and a secret without `whsec_` may be base64, as the libraries of the standard do.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::encoding::{from_base64, from_hex, to_base64, to_hex};

/// How far the signed time may be from ours, both ways, seconds; exactly so much is accepted.
pub const TOLERANCE_S: i64 = 300;

/// What a secret of Standard Webhooks begins with; base64 follows.
const STANDARD_PREFIX: &str = "whsec_";
/// Offsets of time zones are looked for in bodies of at most this many bytes: each takes another digest, and all of them
/// together no longer than that of the largest body.
const MAX_BODY_OF_OFFSETS: usize = 8 << 10;
/// Offsets of time zones from UTC, from -12 h to +14 h, in quarter hours.
const OFFSETS: std::ops::RangeInclusive<i64> = -48..=56;

/// How a sender signs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// <https://www.standardwebhooks.com>; the headers of Svix, its origin, are accepted too.
    StandardWebhooks,
    /// `X-Hub-Signature-256` of GitHub and WebSub.
    GitHub,
    /// The requests of Slack.
    Slack,
    /// The digest of the body in a header.
    Plain {
        /// Name of the header.
        header: String,
        /// Text before the digest, as `sha256=`; may be empty.
        prefix: String,
        /// How the digest is written.
        encoding: Encoding,
    },
}

/// How a digest is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// Hexadecimal digits of either case.
    Hex,
    /// Base64 with or without padding.
    Base64,
}

/// Why a signature is not accepted. No text holds a secret or a signature.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// A header is missing or empty.
    #[error("header {0} is missing")]
    Missing(String),
    /// A header cannot be read.
    #[error("header {header} is not {expected}")]
    Unreadable {
        /// Name of the header.
        header: String,
        /// What it should hold.
        expected: &'static str,
    },
    /// The signed time is too far from ours.
    #[error("{}", skew_text(*ahead_s))]
    Skewed {
        /// By how much the signed time is ahead of ours, seconds; negative if it is behind.
        ahead_s: i64,
    },
    /// Another time is signed than the header has.
    #[error("{header} is not the signed time, which is {}: is the sender's local time signed as UTC?", side_text(*ahead_s))]
    OtherTime {
        /// Name of the header.
        header: String,
        /// By how much the signed time is ahead of that in the header, seconds; negative if it is behind.
        ahead_s: i64,
    },
    /// No secret gives this signature.
    #[error("the signature fits none of the secrets: is it the secret of this source, and is the body unchanged?")]
    Wrong,
}

fn side_text(ahead_s: i64) -> String {
    format!("{} s {}", ahead_s.unsigned_abs(), if ahead_s > 0 { "ahead" } else { "behind" })
}

fn skew_text(ahead_s: i64) -> String {
    let amount = ahead_s.unsigned_abs();
    let quarter_hours = (amount + 450) / 900 * 900;
    let is_zone = amount >= 900 && amount.abs_diff(quarter_hours) <= 60;
    let hint = if is_zone { ": is the sender's local time sent as UTC?" } else { ": are both clocks right?" };
    format!("signed {}, {TOLERANCE_S} s are accepted{hint}", side_text(ahead_s))
}

/// A secret as bytes of a key. One that begins with `whsec_` is base64 behind it, as Standard Webhooks has it; every other
/// is its text.
///
/// # Errors
/// If it is empty, or no base64 follows `whsec_`.
pub fn key(secret: &str) -> Result<Vec<u8>, &'static str> {
    match secret.strip_prefix(STANDARD_PREFIX) {
        _ if secret.is_empty() => Err("the secret is empty"),
        Some(encoded) => from_base64(encoded).ok_or("what follows whsec_ in the secret is not base64"),
        None => Ok(secret.as_bytes().to_vec()),
    }
}

/// Verifies the signature of a request: `header` gives the value of a header by its name in lower case, `now_s` is our
/// time, epoch seconds. Returns the identifier of the delivery, where the scheme signs one.
///
/// # Errors
/// If no secret fits, a header is missing, or the time is off.
pub fn verify<'a>(
    scheme: &Scheme,
    keys: &[Vec<u8>],
    header: impl Fn(&str) -> Option<&'a str>,
    body: &[u8],
    now_s: i64,
) -> Result<Option<String>, SignatureError> {
    let required = |name: &str| {
        let value = header(name).map(str::trim).filter(|value| !value.is_empty());
        value.ok_or_else(|| SignatureError::Missing(name.to_owned()))
    };
    match scheme {
        Scheme::StandardWebhooks => {
            let family = if header("webhook-id").is_some() { "webhook" } else { "svix" };
            let named = |part: &str| format!("{family}-{part}");
            // The name of the standard is what a sender should be told.
            let id = required(&named("id")).map_err(|_| SignatureError::Missing("webhook-id".to_owned()))?;
            let timestamp = whole_seconds(required(&named("timestamp"))?);
            let signatures = required(&named("signature"))?;
            let signed_s = check_time(&named("timestamp"), timestamp, now_s)?;
            let given = standard_signatures(signatures);
            verify_standard(keys, (id, timestamp, signed_s), body, &given).map_err(|ahead_s| match ahead_s {
                Some(ahead_s) => SignatureError::OtherTime { header: named("timestamp"), ahead_s },
                None => SignatureError::Wrong,
            })?;
            Ok(Some(id.to_owned()))
        }
        Scheme::GitHub => {
            let name = "x-hub-signature-256";
            let given = hex_behind(name, required(name)?, "sha256=")?;
            fits(keys, &[body], &[given]).then_some(None).ok_or(SignatureError::Wrong)
        }
        Scheme::Slack => {
            let timestamp = required("x-slack-request-timestamp")?;
            let given = hex_behind("x-slack-signature", required("x-slack-signature")?, "v0=")?;
            check_time("x-slack-request-timestamp", timestamp, now_s)?;
            let parts: [&[u8]; 4] = [b"v0:", timestamp.as_bytes(), b":", body];
            fits(keys, &parts, &[given]).then_some(None).ok_or(SignatureError::Wrong)
        }
        Scheme::Plain { header: name, prefix, encoding } => {
            let expected = match encoding {
                Encoding::Hex => "the configured prefix and hexadecimal digits",
                Encoding::Base64 => "the configured prefix and base64",
            };
            let unreadable = || SignatureError::Unreadable { header: name.clone(), expected };
            let digest = required(name)?.strip_prefix(prefix.as_str()).ok_or_else(unreadable)?;
            let given = match encoding {
                Encoding::Hex => from_hex(digest),
                Encoding::Base64 => from_base64(digest),
            };
            fits(keys, &[body], &[given.ok_or_else(unreadable)?]).then_some(None).ok_or(SignatureError::Wrong)
        }
    }
}

/// Verifies a signature of Standard Webhooks over an identifier, a time (as text, and epoch seconds) and a body. An error
/// is the offset of the time that is signed instead, in seconds, if that can be found: libraries sign a local time as
/// if it were UTC, and the header beside it has the right one.
fn verify_standard(
    keys: &[Vec<u8>],
    (id, timestamp, signed_s): (&str, &str, i64),
    body: &[u8],
    given: &[Vec<u8>],
) -> Result<(), Option<i64>> {
    let keys = with_decoded(keys);
    let is_signed = |timestamp: &str| {
        let parts: [&[u8]; 5] = [id.as_bytes(), b".", timestamp.as_bytes(), b".", body];
        fits(&keys, &parts, given)
    };
    if is_signed(timestamp) {
        return Ok(());
    }
    let mut offsets = OFFSETS.map(|quarters| quarters * 900).filter(|_| body.len() <= MAX_BODY_OF_OFFSETS);
    Err(offsets.find(|offset| is_signed(&(signed_s + offset).to_string())))
}

/// The keys, and of each that is itself base64 what it encodes: the libraries decode a secret without `whsec_`, too.
fn with_decoded(keys: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let decoded = keys.iter().filter_map(|key| from_base64(std::str::from_utf8(key).ok()?));
    decoded.filter(|key| !key.is_empty()).chain(keys.iter().cloned()).collect()
}

/// Epoch seconds without a fraction, which is never signed.
fn whole_seconds(timestamp: &str) -> &str {
    match timestamp.split_once('.') {
        Some((whole, fraction)) if fraction.bytes().all(|byte| byte.is_ascii_digit()) => whole,
        Some(_) | None => timestamp,
    }
}

/// The value of `webhook-signature` for a message: one part for each key, separated by exactly one space, which every
/// library reads.
pub fn sign_standard(keys: &[Vec<u8>], id: &str, timestamp_s: i64, body: &[u8]) -> String {
    let timestamp = timestamp_s.to_string();
    let parts: [&[u8]; 5] = [id.as_bytes(), b".", timestamp.as_bytes(), b".", body];
    let part = |key: &Vec<u8>| format!("v1,{}", to_base64(&digest(key, &parts).finalize().into_bytes()));
    keys.iter().map(part).collect::<Vec<_>>().join(" ")
}

/// The digest of a body in hexadecimal, as GitHub and many others send it.
pub fn sign_hex(key: &[u8], body: &[u8]) -> String {
    to_hex(&digest(key, &[body]).finalize().into_bytes())
}

fn digest(key: &[u8], parts: &[&[u8]]) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    parts.iter().for_each(|part| mac.update(part));
    mac
}

/// Whether any key gives any of the signatures. Each comparison takes constant time.
fn fits(keys: &[Vec<u8>], parts: &[&[u8]], given: &[Vec<u8>]) -> bool {
    keys.iter().any(|key| {
        let mac = digest(key, parts);
        given.iter().any(|given| mac.clone().verify_slice(given).is_ok())
    })
}

/// The signatures of version 1: what follows the word `v1`. It is base64, which has neither comma nor space.
fn standard_signatures(header: &str) -> Vec<Vec<u8>> {
    let words: Vec<&str> = header.split([' ', ',', '\t']).filter(|word| !word.is_empty()).collect();
    let pairs = words.windows(2).filter(|pair| pair[0] == "v1");
    pairs.filter_map(|pair| from_base64(pair[1])).collect()
}

fn hex_behind(header: &str, value: &str, prefix: &str) -> Result<Vec<u8>, SignatureError> {
    let expected = if prefix == "v0=" { "v0= and hexadecimal digits" } else { "sha256= and hexadecimal digits" };
    let unreadable = || SignatureError::Unreadable { header: header.to_owned(), expected };
    value.strip_prefix(prefix).and_then(from_hex).ok_or_else(unreadable)
}

/// The signed time, epoch seconds, if it is near enough to ours.
fn check_time(header: &str, timestamp: &str, now_s: i64) -> Result<i64, SignatureError> {
    let unreadable = || SignatureError::Unreadable { header: header.to_owned(), expected: "epoch seconds" };
    let signed: i64 = timestamp.parse().map_err(|_| unreadable())?;
    let ahead_s = signed.saturating_sub(now_s);
    if ahead_s.unsigned_abs() <= TOLERANCE_S.unsigned_abs() {
        Ok(signed)
    } else {
        Err(SignatureError::Skewed { ahead_s })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
