//! One AIS sentence and the tag block before it: `\s:station,c:1795435200*5B\!AIVDM,1,1,,A,..,0*24`.

use watchtower_model::Millis;

use crate::nmea::checked;

/// The most sentences that one message is sent in.
const MAX_PARTS: u8 = 9;

/// A sentence, or the part of a message that it is.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Sentence<'a> {
    pub(super) tags: Tags<'a>,
    /// How many sentences the message has.
    pub(super) total: u8,
    /// Which of them this is, from 1.
    pub(super) number: u8,
    /// What is the same in the sentences of a message: an id, and the radio channel.
    pub(super) sequence: &'a str,
    pub(super) channel: &'a str,
    pub(super) payload: &'a str,
    /// Bits of the last character that hold nothing.
    pub(super) fill: usize,
}

/// What the tag block before a sentence states.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tags<'a> {
    /// The receiver.
    pub(super) station: Option<&'a str>,
    /// When it received the sentence, epoch milliseconds.
    pub(super) time: Option<Millis>,
    /// The id of the group of sentences that share a tag block.
    pub(super) group: Option<&'a str>,
}

impl<'a> Sentence<'a> {
    /// Reads a line; nothing if its sentence is of another kind.
    pub(super) fn read(line: &'a str) -> Result<Option<Self>, String> {
        let (tags, line) = match line.trim().strip_prefix('\\').map(|rest| rest.split_once('\\')) {
            None => (Tags::default(), line.trim()),
            Some(Some((block, sentence))) => (Tags::read(block)?, sentence),
            Some(None) => return Err("a tag block that does not end".to_owned()),
        };
        let Some(start) = line.find(['!', '$']) else { return Err("no sentence".to_owned()) };
        let fields: Vec<&str> = checked(&line[start + 1..])?.split(',').collect();
        let kind = fields[0].get(2..).unwrap_or_default();
        if !matches!(kind, "VDM" | "VDO") {
            return Ok(None);
        }
        let [_, total, number, sequence, channel, payload, fill] = *fields else {
            return Err(format!("expected 7 fields, found {}", fields.len()));
        };
        let digit = |name: &str, text: &str, most: u8| {
            let digit = text.parse::<u8>().ok().filter(|digit| *digit <= most);
            digit.ok_or_else(|| format!("{name}: expected a digit up to {most}, found {text:.8}"))
        };
        let (total, number) = (digit("sentences", total, MAX_PARTS)?, digit("sentence", number, MAX_PARTS)?);
        if number == 0 || number > total {
            return Err(format!("sentence {number} of {total}"));
        }
        let fill = if fill.is_empty() { 0 } else { digit("fill bits", fill, 5)? };
        Ok(Some(Self { tags, total, number, sequence, channel, payload, fill: fill.into() }))
    }
}

impl<'a> Tags<'a> {
    fn read(block: &'a str) -> Result<Self, String> {
        let mut tags = Self::default();
        for tag in checked(block)?.split(',') {
            match tag.split_once(':') {
                Some(("s", station)) => tags.station = Some(station),
                Some(("c", time)) => tags.time = time_of(time),
                Some(("g", group)) => tags.group = group.rsplit('-').next(),
                Some(_) | None => {}
            }
        }
        Ok(tags)
    }
}

/// Seconds, or milliseconds where there are more than ten digits.
fn time_of(text: &str) -> Option<Millis> {
    let number = text.parse::<Millis>().ok().filter(|number| *number > 0)?;
    if text.len() > 10 { Some(number) } else { number.checked_mul(1000) }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn summed(text: &str) -> String {
        format!("{text}*{:02X}", text.bytes().fold(0, |sum, byte| sum ^ byte))
    }

    #[test]
    fn a_sentence_with_its_tags() {
        let line = format!("\\{}\\!{}\r", summed("g:1-2-77,s:lagos,c:1795435200"), summed("AIVDM,2,1,3,B,55P5,0"));
        let expected = Sentence {
            tags: Tags { station: Some("lagos"), time: Some(1_795_435_200_000), group: Some("77") },
            total: 2,
            number: 1,
            sequence: "3",
            channel: "B",
            payload: "55P5",
            fill: 0,
        };
        assert_eq!(Sentence::read(&line), Ok(Some(expected)));
        let own = format!("!{}", summed("BSVDO,1,1,,,55P5,2"));
        assert_eq!(Sentence::read(&own).unwrap().unwrap().fill, 2);
        let milliseconds = format!("\\{}\\!AIVDM,1,1,,A,5,0", summed("c:1795435200123"));
        assert_eq!(Sentence::read(&milliseconds).unwrap().unwrap().tags.time, Some(1_795_435_200_123));
    }

    #[test]
    fn other_kinds_are_nothing_and_broken_ones_are_refused() {
        assert_eq!(Sentence::read("$GPGSV,1,1,00"), Ok(None));
        for (line, fault) in [
            ("garbage", "no sentence"),
            ("\\s:x", "a tag block that does not end"),
            ("\\s:x*00\\!AIVDM,1,1,,A,5,0", "the checksum is"),
            ("!AIVDM,1,1,,A,5,0*00", "the checksum is"),
            ("!AIVDM,1,1,,A,5", "expected 7 fields, found 6"),
            ("!AIVDM,2,3,,A,5,0", "sentence 3 of 2"),
            ("!AIVDM,0,0,,A,5,0", "sentence 0 of 0"),
            ("!AIVDM,x,1,,A,5,0", "sentences: expected a digit up to 9, found x"),
            ("!AIVDM,1,1,,A,5,6", "fill bits: expected a digit up to 5, found 6"),
        ] {
            let found = Sentence::read(line).unwrap_err();
            assert!(found.starts_with(fault), "{found}");
        }
    }
}
