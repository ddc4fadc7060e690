//! Names and values of a query or form (application/x-www-form-urlencoded).

use std::borrow::Cow;

/// Splits `a=1&b=2`; nothing is decoded yet.
pub(super) fn pairs(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.split('&').filter(|pair| !pair.is_empty()).map(|pair| pair.split_once('=').unwrap_or((pair, "")))
}

/// Decodes a name or value of a query or form. `plus_is_space`: what forms and most queries mean by `+`.
///
/// # Errors
/// If what it encodes is not UTF-8. A percent sign that no two digits follow stands for itself.
pub fn decoded(text: &str, plus_is_space: bool) -> Result<Cow<'_, str>, String> {
    if !text.contains(['%', '+']) {
        return Ok(Cow::Borrowed(text));
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let escaped = if *first == b'%' { tail.first_chunk::<2>().and_then(hexadecimal) } else { None };
        match (first, escaped) {
            (_, Some(byte)) => bytes.push(byte),
            (b'+', None) if plus_is_space => bytes.push(b' '),
            (_, None) => bytes.push(*first),
        }
        rest = if escaped.is_some() { &tail[2..] } else { tail };
    }
    String::from_utf8(bytes).map(Cow::Owned).map_err(|fault| {
        let at = fault.utf8_error().valid_up_to();
        format!("expected UTF-8 behind the percent signs, found another byte after {at} decoded ones")
    })
}

/// The first value of a name that has one, decoded; `+` is a space. Nothing if it is not UTF-8.
pub(super) fn value(query: Option<&str>, wanted: &str) -> Option<String> {
    let mut pairs = pairs(query.unwrap_or_default());
    let (_, value) = pairs.find(|(name, value)| *name == wanted && !value.is_empty())?;
    decoded(value, true).ok().map(Cow::into_owned)
}

fn hexadecimal(digits: &[u8; 2]) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let value = digit(digits[0])? * 16 + digit(digits[1])?;
    u8::try_from(value).ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_is_decoded() {
        for (text, plain) in
            [("a", "a"), ("a+b", "a b"), ("%41%c3%A9", "Aé"), ("50%", "50%"), ("%4", "%4"), ("%zz", "%zz"), ("", "")]
        {
            assert_eq!(decoded(text, true).unwrap(), plain, "{text}");
        }
        assert_eq!(decoded("2026-11-23T06:00:00+01:00", false).unwrap(), "2026-11-23T06:00:00+01:00");
        assert!(decoded("%ff", true).is_err());
        assert_eq!(pairs("a=1&&b&c=x=y").collect::<Vec<_>>(), [("a", "1"), ("b", ""), ("c", "x=y")]);
    }
}
