//! Messages that are sent in several sentences, put together again.
//!
//! Sentences of a message have its id and channel in common, and come in any order. Where two stations are merged
//! into one stream, both may use the same id at the same time: sentences are put together per station, if tag blocks
//! name it. If none does and a sentence may belong to either of two messages, all of them are refused: one message
//! made of two would be a vessel that does not exist.

use watchtower_model::Millis;

use super::sentence::{Sentence, Tags};

/// After so many further sentences the rest of a message no longer comes: an id is used again after ten messages.
const MAX_LINES_APART: usize = 256;

/// Messages of which sentences are missing.
#[derive(Default)]
pub(super) struct Assembly<'a> {
    pending: Vec<Pending<'a>>,
    /// Tag blocks of groups, whose later sentences have only the number of their group.
    groups: Vec<(&'a str, Tags<'a>)>,
}

/// A message of which a sentence is there.
struct Pending<'a> {
    station: Option<&'a str>,
    time: Option<Millis>,
    sequence: &'a str,
    channel: &'a str,
    parts: Vec<Option<Part<'a>>>,
    /// The record of its first sentence.
    first: usize,
}

/// A sentence of a message.
#[derive(Clone, PartialEq, Eq)]
struct Part<'a> {
    payload: &'a str,
    fill: usize,
    line: &'a str,
}

/// A whole message.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Whole<'a> {
    /// When a station received it, if a tag block states it.
    pub(super) time: Option<Millis>,
    pub(super) payload: String,
    /// Bits of the last character that hold nothing.
    pub(super) fill: usize,
    /// Its lines.
    pub(super) lines: Vec<&'a str>,
}

/// Sentences that cannot become a message.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Broken<'a> {
    /// The record of the first of them.
    pub(super) index: usize,
    pub(super) detail: String,
    pub(super) lines: Vec<&'a str>,
}

impl<'a> Assembly<'a> {
    /// Takes a sentence, which is the record `index`: the message that it completes, and what is given up.
    pub(super) fn take(
        &mut self,
        mut sentence: Sentence<'a>,
        index: usize,
        line: &'a str,
    ) -> (Option<Whole<'a>>, Vec<Broken<'a>>) {
        self.share_tags(&mut sentence.tags);
        let part = Part { payload: sentence.payload, fill: sentence.fill, line };
        if sentence.total == 1 {
            return (Some(whole(sentence.tags.time, vec![part])), Vec::new());
        }
        let mut broken = self.expired(index);
        let at = usize::from(sentence.number) - 1;
        let lacking: Vec<usize> = (0..self.pending.len()).filter(|&of| self.pending[of].lacks(&sentence)).collect();
        let same = lacking.windows(2).all(|two| self.pending[two[0]].parts == self.pending[two[1]].parts);
        match lacking.first() {
            Some(&first) if same => {
                let pending = &mut self.pending[first];
                pending.parts[at] = Some(part);
                pending.time = pending.time.or(sentence.tags.time);
                if pending.parts.iter().any(Option::is_none) {
                    return (None, broken);
                }
                let complete = self.pending.remove(first);
                (Some(whole(complete.time, complete.parts.into_iter().flatten().collect())), broken)
            }
            Some(_) => {
                let detail = "may be part of either of two messages: name the stations in tag blocks (\\s:NAME*hh\\)";
                broken.push(Broken { index, detail: detail.to_owned(), lines: vec![line] });
                for of in lacking.into_iter().rev() {
                    broken.push(self.pending.remove(of).given_up(detail.to_owned()));
                }
                (None, broken)
            }
            None => {
                let mut parts = vec![None; usize::from(sentence.total)];
                parts[at] = Some(part);
                let Tags { station, time, group: _ } = sentence.tags;
                let Sentence { sequence, channel, .. } = sentence;
                self.pending.push(Pending { station, time, sequence, channel, parts, first: index });
                (None, broken)
            }
        }
    }

    /// What is left at the end.
    pub(super) fn finish(self) -> Vec<Broken<'a>> {
        self.pending.into_iter().map(Pending::incomplete).collect()
    }

    fn expired(&mut self, index: usize) -> Vec<Broken<'a>> {
        let (expired, pending) = std::mem::take(&mut self.pending)
            .into_iter()
            .partition(|pending| index.saturating_sub(pending.first) > MAX_LINES_APART);
        self.pending = pending;
        Vec::into_iter(expired).map(Pending::incomplete).collect()
    }

    /// The sentences of a group have the tags of its first.
    fn share_tags(&mut self, tags: &mut Tags<'a>) {
        let Some(group) = tags.group else { return };
        match self.groups.iter().rposition(|(of, _)| *of == group) {
            Some(known) if tags.station.is_none() && tags.time.is_none() => *tags = self.groups[known].1,
            Some(known) => self.groups[known].1 = *tags,
            None => self.groups.push((group, *tags)),
        }
        if self.groups.len() > MAX_LINES_APART {
            self.groups.remove(0);
        }
    }
}

impl<'a> Pending<'a> {
    /// Whether it may be the message of this sentence, and does not have it yet.
    fn lacks(&self, sentence: &Sentence<'_>) -> bool {
        self.station == sentence.tags.station
            && self.sequence == sentence.sequence
            && self.channel == sentence.channel
            && self.parts.len() == usize::from(sentence.total)
            && self.parts[usize::from(sentence.number) - 1].is_none()
    }

    fn incomplete(self) -> Broken<'a> {
        let missing: Vec<String> =
            (1..).zip(&self.parts).filter(|(_, part)| part.is_none()).map(|(number, _)| format!("{number}")).collect();
        let detail = format!(
            "sentence {} of {} is missing: the sentences of a message have to be in one body",
            missing.join(", "),
            self.parts.len()
        );
        self.given_up(detail)
    }

    fn given_up(self, detail: String) -> Broken<'a> {
        let lines = self.parts.into_iter().flatten().map(|part| part.line).collect();
        Broken { index: self.first, detail, lines }
    }
}

fn whole(time: Option<Millis>, parts: Vec<Part<'_>>) -> Whole<'_> {
    let payload = parts.iter().map(|part| part.payload).collect();
    let fill = parts.last().map_or(0, |part| part.fill);
    Whole { time, payload, fill, lines: parts.into_iter().map(|part| part.line).collect() }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// The payloads of whole messages, and the details of what is given up.
    fn assembled(lines: &[&str]) -> (Vec<String>, Vec<String>) {
        let (mut assembly, mut payloads, mut details) = (Assembly::default(), Vec::new(), Vec::new());
        for (index, line) in lines.iter().enumerate() {
            let (whole, broken) = assembly.take(Sentence::read(line).unwrap().unwrap(), index, line);
            payloads.extend(whole.map(|whole| whole.payload));
            details.extend(broken.into_iter().map(|broken| broken.detail));
        }
        details.extend(assembly.finish().into_iter().map(|broken| broken.detail));
        (payloads, details)
    }

    #[test]
    fn sentences_come_in_any_order_and_between_others() {
        let lines = ["!AIVDM,2,2,1,A,2,0", "!AIVDM,1,1,,A,9,0", "!AIVDM,2,1,1,B,3,0", "!AIVDM,2,1,1,A,1,0"];
        let (payloads, details) = assembled(&lines);
        assert_eq!(payloads, ["9", "12"]);
        assert_eq!(details, ["sentence 2 of 2 is missing: the sentences of a message have to be in one body"]);
        let three = ["!AIVDM,3,2,,A,2,0", "!AIVDM,3,3,,A,3,0", "!AIVDM,3,1,,A,1,0"];
        assert_eq!(assembled(&three).0, ["123"]);
    }

    #[test]
    fn stations_do_not_disturb_each_other() {
        let mixed = [
            "\\s:a\\!AIVDM,2,1,1,A,1,0",
            "\\s:b\\!AIVDM,2,1,1,A,3,0",
            "\\s:b\\!AIVDM,2,2,1,A,4,0",
            "\\s:a\\!AIVDM,2,2,1,A,2,0",
        ];
        assert_eq!(assembled(&mixed), (vec!["34".to_owned(), "12".to_owned()], vec![]));
        let grouped = [
            "\\g:1-2-7,s:a\\!AIVDM,2,1,1,A,1,0",
            "\\g:1-2-8,s:b\\!AIVDM,2,1,1,A,3,0",
            "\\g:2-2-8\\!AIVDM,2,2,1,A,4,0",
            "\\g:2-2-7\\!AIVDM,2,2,1,A,2,0",
        ];
        assert_eq!(assembled(&grouped).0, ["34", "12"]);
    }

    #[test]
    fn what_may_be_of_two_messages_is_refused() {
        let mixed = ["!AIVDM,2,1,1,A,1,0", "!AIVDM,2,1,1,A,3,0", "!AIVDM,2,2,1,A,4,0", "!AIVDM,2,2,1,A,2,0"];
        let (payloads, details) = assembled(&mixed);
        assert_eq!(payloads, [""; 0]);
        assert_eq!(details.len(), 4);
        assert!(details[0].starts_with("may be part of either of two messages"), "{details:?}");
        // Two stations that heard the same message: it is there twice.
        let same = ["!AIVDM,2,1,1,A,1,0", "!AIVDM,2,1,1,A,1,0", "!AIVDM,2,2,1,A,2,0", "!AIVDM,2,2,1,A,2,0"];
        assert_eq!(assembled(&same).0.len(), 2, "{:?}", assembled(&same));
    }

    #[test]
    fn a_sentence_that_was_lost_does_not_wait_for_ever() {
        let single = "!AIVDM,1,1,,A,9,0";
        let mut lines = vec!["!AIVDM,2,1,1,A,1,0"];
        lines.extend([single; MAX_LINES_APART + 1]);
        lines.extend(["!AIVDM,2,1,1,A,3,0", "!AIVDM,2,2,1,A,4,0"]);
        let (payloads, details) = assembled(&lines);
        assert_eq!(payloads.last().map(String::as_str), Some("34"));
        assert_eq!(details.len(), 1);
    }
}
