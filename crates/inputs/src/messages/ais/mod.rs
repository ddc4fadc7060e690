//! AIS: AIVDM and AIVDO sentences, one a line, with or without tag blocks. The vehicle is the MMSI, nine digits.
//!
//! A report has only the second of the minute in which it was sent. Its minute is that of its reception: of the tag
//! block (`c:`) if there is one, else of the message. Sentences of other kinds have nothing to report.

mod assembly;
mod bits;
mod report;
mod sentence;

use std::collections::HashMap;

use watchtower_core::events::{Event, Reason, Rejection};

use super::Format;
use super::collect::Items;
use super::json::text;
use super::message::{Item, Message, MessageError, Options};
use assembly::{Assembly, Broken, Whole};
use bits::Bits;
use sentence::Sentence;

/// Reads sentences.
pub(super) fn read(message: &Message<'_>, options: &Options) -> Result<Vec<Item>, MessageError> {
    let text = text(Format::Ais, message.body)?;
    if !text.contains('!') {
        let fault = "expected sentences, one a line, as in !AIVDM,1,1,,A,13u?etPv2;0n:dDPwUM1U1Cb069D,0*24";
        return Err(MessageError::unreadable(Format::Ais, "body", fault));
    }
    let mut reader = Reader { items: Items::new(message, options), options, message, names: HashMap::new() };
    let mut assembly = Assembly::default();
    for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim_ascii().is_empty()) {
        match Sentence::read(line) {
            Ok(None) => {}
            Ok(Some(sentence)) => {
                let (whole, broken) = assembly.take(sentence, index, line);
                broken.into_iter().try_for_each(|broken| reader.broken(broken))?;
                whole.map_or(Ok(()), |whole| reader.whole(&whole, index))?;
            }
            Err(detail) => reader.broken(Broken { index, detail, lines: vec![line] })?,
        }
    }
    assembly.finish().into_iter().try_for_each(|broken| reader.broken(broken))?;
    Ok(reader.items.finish())
}

/// Reads messages once they are whole.
struct Reader<'m> {
    items: Items,
    options: &'m Options,
    message: &'m Message<'m>,
    /// The last name of each vessel: one that is repeated is no event.
    names: HashMap<String, Event<'static>>,
}

impl Reader<'_> {
    fn whole(&mut self, whole: &Whole<'_>, index: usize) -> Result<(), MessageError> {
        let bits = match Bits::read(&whole.payload, whole.fill) {
            Ok(bits) => bits,
            Err(detail) => return self.broken(Broken { index, detail, lines: whole.lines.clone() }),
        };
        let received_at = whole.time.unwrap_or(self.message.received_at);
        let vehicle_id = report::vehicle_of(&bits);
        for result in report::events(&bits, received_at, self.options.vessel_names, &self.options.limits) {
            if let (Ok(event @ Event::Vehicle(_)), Some(vehicle_id)) = (&result, &vehicle_id) {
                if self.names.get(vehicle_id) == Some(event) {
                    continue;
                }
                self.names.insert(vehicle_id.clone(), event.clone());
            }
            let lines = if result.is_err() { whole.lines.join("\n") } else { String::new() };
            self.items.push(index, lines.as_bytes(), vehicle_id.as_deref(), result)?;
        }
        Ok(())
    }

    fn broken(&mut self, Broken { index, detail, lines }: Broken<'_>) -> Result<(), MessageError> {
        let rejection = Rejection::new(Reason::Malformed, format!("expected an AIS sentence: {detail}"));
        self.items.push(index, lines.join("\n").as_bytes(), None, Err(rejection))
    }
}

#[cfg(test)]
mod tests;
