//! Vectors of the schemes' own documentation, and what senders do differently.

use super::*;

const NOW: i64 = 1_614_265_330;
const BODY: &[u8] = br#"{"test": 2432232314}"#;
/// Secret, identifier, time and signature of the Standard Webhooks specification's example.
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
const SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

fn headers<'a>(pairs: &'a [(&'a str, &'a str)]) -> impl Fn(&str) -> Option<&'a str> {
    |name| pairs.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
}

fn standard(family: &str, signature: &str, timestamp: i64, secrets: &[&str]) -> Result<Option<String>, SignatureError> {
    let keys: Vec<_> = secrets.iter().map(|secret| key(secret).unwrap()).collect();
    let names = ["id", "timestamp", "signature"].map(|part| format!("{family}-{part}"));
    let timestamp = timestamp.to_string();
    let pairs = [(names[0].as_str(), ID), (&names[1], timestamp.as_str()), (&names[2], signature)];
    verify(&Scheme::StandardWebhooks, &keys, headers(&pairs), BODY, NOW)
}

#[test]
fn the_example_of_standard_webhooks_is_accepted_and_made() {
    assert_eq!(standard("webhook", SIGNATURE, NOW, &[SECRET]), Ok(Some(ID.to_owned())));
    assert_eq!(standard("svix", SIGNATURE, NOW, &[SECRET]), Ok(Some(ID.to_owned())));
    assert_eq!(sign_standard(&[key(SECRET).unwrap()], ID, NOW, BODY), SIGNATURE);
}

#[test]
fn one_of_several_signatures_and_secrets_is_enough_however_they_are_separated() {
    let other = "v1,AAAA";
    for parts in [
        format!("{other} {SIGNATURE}"),
        format!("{other}  {SIGNATURE}"),
        format!("{other}, {SIGNATURE}"),
        format!("{other},{SIGNATURE}"),
        format!("v1a,AAAA {SIGNATURE}"),
        format!("{SIGNATURE} v1a,AAAA"),
        format!("v2,v1 {SIGNATURE}"),
    ] {
        assert!(standard("webhook", &parts, NOW, &["whsec_AAAA", SECRET]).is_ok(), "{parts}");
    }
    assert_eq!(standard("webhook", SIGNATURE, NOW, &["whsec_AAAA"]), Err(SignatureError::Wrong));
    assert_eq!(standard("webhook", "v1a,AAAA", NOW, &[SECRET]), Err(SignatureError::Wrong));
    assert_eq!(standard("webhook", &SIGNATURE.replace("v1,", "v2,"), NOW, &[SECRET]), Err(SignatureError::Wrong));
    assert_eq!(standard("webhook", SIGNATURE, NOW, &[]), Err(SignatureError::Wrong));
}

#[test]
fn a_signature_is_accepted_within_five_minutes_both_ways() {
    let keys = [key(SECRET).unwrap()];
    let at = |timestamp: i64| standard("webhook", &sign_standard(&keys, ID, timestamp, BODY), timestamp, &[SECRET]);
    for offset in [-300, 0, 300] {
        assert!(at(NOW + offset).is_ok(), "{offset}");
    }
    for offset in [-301, 301] {
        assert_eq!(at(NOW + offset), Err(SignatureError::Skewed { ahead_s: offset }));
    }
    let text = at(NOW + 3600).unwrap_err().to_string();
    assert_eq!(text, "signed 3600 s ahead, 300 s are accepted: is the sender's local time sent as UTC?");
    let text = at(NOW - 1000).unwrap_err().to_string();
    assert_eq!(text, "signed 1000 s behind, 300 s are accepted: are both clocks right?");
    assert!(matches!(at(i64::MIN), Err(SignatureError::Skewed { .. })));
}

#[test]
fn a_secret_without_its_prefix_is_base64_or_text() {
    assert!(standard("webhook", SIGNATURE, NOW, &[&SECRET["whsec_".len()..]]).is_ok());
    let signed = sign_standard(&[b"plain text".to_vec()], ID, NOW, BODY);
    assert!(standard("webhook", &signed, NOW, &["plain text"]).is_ok());
    // The text of a secret with its prefix is no key.
    let signed = sign_standard(&[SECRET.as_bytes().to_vec()], ID, NOW, BODY);
    assert_eq!(standard("webhook", &signed, NOW, &[SECRET]), Err(SignatureError::Wrong));
}

#[test]
fn a_fraction_of_the_signed_second_is_ignored() {
    let at = |timestamp: &str| {
        let pairs = [("webhook-id", ID), ("webhook-timestamp", timestamp), ("webhook-signature", SIGNATURE)];
        verify(&Scheme::StandardWebhooks, &[key(SECRET).unwrap()], headers(&pairs), BODY, NOW)
    };
    assert_eq!(at("1614265330.75"), Ok(Some(ID.to_owned())));
    assert_eq!(at("1614265331.0"), Err(SignatureError::Wrong));
    for timestamp in ["1614265330.7s", "1614265330,5", ".5", "1.6e9"] {
        assert!(matches!(at(timestamp), Err(SignatureError::Unreadable { .. })), "{timestamp}");
    }
}

#[test]
fn a_local_time_that_is_signed_as_utc_is_named_with_its_offset() {
    let keys = [key(SECRET).unwrap()];
    let signed = |offset_s: i64, body: &[u8]| {
        let signature = sign_standard(&keys, ID, NOW + offset_s, body);
        let now = NOW.to_string();
        let pairs = [("svix-id", ID), ("svix-timestamp", now.as_str()), ("svix-signature", signature.as_str())];
        verify(&Scheme::StandardWebhooks, &keys, headers(&pairs), body, NOW)
    };
    for ahead_s in [3600, -12_600, 20_700, 50_400, -43_200] {
        let header = "svix-timestamp".to_owned();
        assert_eq!(signed(ahead_s, BODY), Err(SignatureError::OtherTime { header, ahead_s }));
    }
    let text = signed(3600, BODY).unwrap_err().to_string();
    assert!(text.contains("3600 s ahead") && text.contains("local time signed as UTC"), "{text}");
    assert_eq!(signed(60, BODY), Err(SignatureError::Wrong));
    assert_eq!(signed(3600, &vec![b' '; MAX_BODY_OF_OFFSETS + 1]), Err(SignatureError::Wrong));
}

#[test]
fn the_example_of_github_is_accepted() {
    let keys = [b"It's a Secret to Everybody".to_vec()];
    let signature = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    let check =
        |body: &[u8], value| verify(&Scheme::GitHub, &keys, headers(&[("x-hub-signature-256", value)]), body, NOW);
    assert_eq!(check(b"Hello, World!", signature), Ok(None));
    assert_eq!(check(b"Hello, World?", signature), Err(SignatureError::Wrong));
    assert!(matches!(check(b"Hello, World!", &signature[7..]), Err(SignatureError::Unreadable { .. })));
    assert!(matches!(check(b"Hello, World!", " "), Err(SignatureError::Missing(_))));
}

#[test]
fn the_example_of_slack_is_accepted() {
    let keys = [b"8f742231b10e8888abcd99yyyzzz85a5".to_vec()];
    let body = b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&\
                 channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&\
                 response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F\
                 96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";
    let signature = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503";
    let pairs = [("x-slack-signature", signature), ("x-slack-request-timestamp", "1531420618")];
    let check = |now| verify(&Scheme::Slack, &keys, headers(&pairs), body, now);
    assert_eq!(check(1_531_420_618), Ok(None));
    assert_eq!(check(1_531_420_618 + 301), Err(SignatureError::Skewed { ahead_s: -301 }));
    let early = verify(&Scheme::Slack, &keys, headers(&pairs[..1]), body, NOW);
    assert_eq!(early, Err(SignatureError::Missing("x-slack-request-timestamp".to_owned())));
}

#[test]
fn a_digest_in_any_header_is_hexadecimal_or_base64() {
    let body = b"body";
    let (hex, base64) = (sign_hex(b"key", body), to_base64(&from_hex(&sign_hex(b"key", body)).unwrap()));
    let scheme = |prefix: &str, encoding| Scheme::Plain { header: "x-sig".into(), prefix: prefix.into(), encoding };
    let check = |scheme: &Scheme, value: &str| {
        verify(scheme, &[b"old".to_vec(), b"key".to_vec()], headers(&[("x-sig", value)]), body, NOW)
    };
    assert_eq!(check(&scheme("", Encoding::Hex), &hex.to_uppercase()), Ok(None));
    assert_eq!(check(&scheme("sha256=", Encoding::Hex), &format!("sha256={hex}")), Ok(None));
    assert_eq!(check(&scheme("", Encoding::Base64), base64.trim_end_matches('=')), Ok(None));
    for wrong in [base64.as_str(), "sha256=", ""] {
        assert!(check(&scheme("sha256=", Encoding::Hex), wrong).is_err(), "{wrong}");
    }
    let changed = format!("{}{}", if hex.starts_with('0') { '1' } else { '0' }, &hex[1..]);
    assert_eq!(check(&scheme("", Encoding::Hex), &changed), Err(SignatureError::Wrong));
}

#[test]
fn an_empty_or_broken_secret_is_no_key() {
    assert!(key("").is_err() && key("whsec_a b").is_err());
    assert_eq!(key("plain").unwrap(), b"plain");
}
