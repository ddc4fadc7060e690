//! The payload of an AIS message: six bits a character (IEC 61162-1, ITU-R M.1371).

/// Bits, six a byte.
pub(super) struct Bits {
    sixes: Vec<u8>,
    /// How many there are, without those that only fill the last character.
    length: usize,
}

impl Bits {
    /// Removes the armour. `fill`: how many bits of the last character hold nothing.
    pub(super) fn read(payload: &str, fill: usize) -> Result<Self, String> {
        let sixes: Option<Vec<u8>> = payload.bytes().map(six).collect();
        let sixes = sixes.ok_or_else(|| "the payload has a character that none may have".to_owned())?;
        let length = (sixes.len() * 6).saturating_sub(fill);
        Ok(Self { sixes, length })
    }

    /// How many bits there are.
    pub(super) fn length(&self) -> usize {
        self.length
    }

    /// A number of `count` (at most 30) bits from `start`; nothing if it is not all there.
    pub(super) fn unsigned(&self, start: usize, count: usize) -> Option<u32> {
        if start + count > self.length {
            return None;
        }
        let bit = |at: usize| u32::from(self.sixes[at / 6] >> (5 - at % 6) & 1);
        Some((start..start + count).fold(0, |number, at| number << 1 | bit(at)))
    }

    /// The same in two's complement.
    pub(super) fn signed(&self, start: usize, count: usize) -> Option<i32> {
        let number = i64::from(self.unsigned(start, count)?);
        let number = if number >> (count - 1) == 1 { number - (1 << count) } else { number };
        i32::try_from(number).ok()
    }

    /// A text of so many characters, without the `@` and spaces at its end.
    pub(super) fn text(&self, start: usize, characters: usize) -> Option<String> {
        let mut text = String::with_capacity(characters);
        for index in 0..characters {
            let six = u8::try_from(self.unsigned(start + 6 * index, 6)?).ok()?;
            if six == 0 {
                break;
            }
            text.push(char::from(if six < 32 { six + 64 } else { six }));
        }
        Some(text.trim().to_owned())
    }
}

/// The six bits of a character of the armour.
fn six(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'W' => Some(byte - 48),
        b'`'..=b'w' => Some(byte - 56),
        _ => None,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_big_endian_and_end_where_the_payload_does() {
        let bits = Bits::read("0Ww`", 2).unwrap();
        assert_eq!(bits.length(), 22);
        assert_eq!(bits.unsigned(0, 22), Some(39 << 10 | 63 << 4 | 0b1010));
        assert_eq!(bits.unsigned(0, 23), None);
        assert_eq!(bits.signed(12, 6), Some(-1));
        assert_eq!(bits.signed(6, 6), Some(-25));
        assert!(Bits::read("0X", 0).is_err());
        assert_eq!(Bits::read("", 5).unwrap().unsigned(0, 1), None);
    }

    #[test]
    fn texts_end_at_the_first_at_sign() {
        // A, B, a space, a bracket, @, C.
        let bits = Bits::read("12Pa03", 0).unwrap();
        assert_eq!(bits.text(0, 6).as_deref(), Some("AB )"));
        assert_eq!(bits.text(0, 7).as_deref(), Some("AB )"));
    }
}
