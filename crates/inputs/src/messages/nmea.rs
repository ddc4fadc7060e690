//! NMEA 0183 sentences of one receiver, one a line: RMC are positions, or GGA where there are no RMC.
//!
//! What a sentence is, is decided where files are read. Here a GGA without a date is refused: a message is read on its
//! own, so the date has to be in it.

use super::Format;
use super::collect::Items;
use super::form;
use super::json::text;
use super::message::{Item, Message, MessageError, Options};
use super::terms::terms;
use crate::nmea::Sentences;
use crate::reading::SpeedUnit;

/// Reads the sentences of the vehicle that the query or the source names.
pub(super) fn read(message: &Message<'_>, options: &Options) -> Result<Vec<Item>, MessageError> {
    let text = text(Format::Nmea, message.body)?;
    let mut terms = terms(message, options, SpeedUnit::Knots);
    terms.vehicle_id = form::value(message.query, "id").or(terms.vehicle_id);
    let Some(vehicle_id) = terms.vehicle_id.clone() else {
        let fault = "sentences name no vehicle: add ?id=.. to the address, or set vehicle_id of the source";
        return Err(MessageError::unreadable(Format::Nmea, "query", fault));
    };
    if !text.contains(['$', '!']) {
        let fault = "expected sentences, one a line, as in $GPRMC,120000,A,0626.4,N,00321.6,E,10,90,231126,,";
        return Err(MessageError::unreadable(Format::Nmea, "body", fault));
    }
    let has_rmc = text.lines().any(|line| line.contains("RMC,"));
    let mut sentences = Sentences::new(terms, &options.limits, has_rmc);
    let mut items = Items::new(message, options);
    for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim_ascii().is_empty()) {
        if let Some(result) = sentences.sentence(line, index as u64 + 1) {
            items.push(index, line.as_bytes(), Some(&vehicle_id), result)?;
        }
    }
    Ok(items.finish())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use watchtower_core::events::json::encode;

    const ARRIVAL: i64 = 1_795_435_205_000;

    /// The sentence with its sum.
    fn summed(body: &str) -> String {
        format!("${body}*{:02X}", body.bytes().fold(0, |sum, byte| sum ^ byte))
    }

    fn outcomes(lines: &[String]) -> Vec<(usize, Result<String, String>)> {
        let body = lines.join("\r\n");
        let message = Message { query: Some("id=T1"), ..Message::from_body(body.as_bytes(), ARRIVAL) };
        let items = read(&message, &Options::default()).unwrap();
        let without_arrival = |event| encode(&event).replace(r#","received_at":"2026-11-23T12:00:05Z""#, "");
        let outcome = |item: Item| (item.index, item.result.map(without_arrival).map_err(|refused| refused.detail));
        items.into_iter().map(outcome).collect()
    }

    const RMC: &str = "GPRMC,120000.00,A,0626.4000,N,00321.6000,E,10.0,90.0,231126,,,A";
    const GGA: &str = "GPGGA,120000.00,0626.4000,N,00321.6000,E,1,08,0.9,12.0,M,,M,,";
    const EVENT: &str = r#"{"type":"position","vehicle_id":"T1","ts":"2026-11-23T12:00:00Z","lon":3.36,"lat":6.44,"speed_kmh":18.52,"heading_deg":90.0,"altitude_m":12.0}"#;

    #[test]
    fn rmc_is_a_position_with_the_altitude_of_gga() {
        let lines = [summed(GGA), String::new(), summed(RMC), summed("GPGSV,1,1,00")];
        assert_eq!(outcomes(&lines), [(2, Ok(EVENT.to_owned()))]);
    }

    #[test]
    fn gga_takes_the_date_of_zda_and_is_refused_without() {
        let alone = outcomes(&[summed(GGA)]);
        assert_eq!(alone, [(0, Err("ts: GGA has no date: send RMC, or ZDA before it in the same message".to_owned()))]);
        let dated = outcomes(&[summed("GPZDA,120000.00,23,11,2026,00,00"), summed(GGA)]);
        let expected = EVENT.replace(r#""speed_kmh":18.52,"heading_deg":90.0,"#, "");
        assert_eq!(dated, [(1, Ok(expected))]);
    }

    #[test]
    fn a_receiver_without_a_fix_reports_nothing() {
        assert_eq!(outcomes(&[summed("GPRMC,120000.00,V,,,,,,,231126,,,N")]), []);
        assert_eq!(outcomes(&[summed("GPZDA,120000.00,23,11,2026,00,00"), summed(&GGA.replace("E,1,", "E,0,"))]), []);
    }

    #[test]
    fn years_are_the_nearest_to_the_arrival() {
        // A receiver after a rollover of 1 024 weeks is out by these, and not by a century.
        let found = outcomes(&[summed(&RMC.replace("231126", "090407"))]).remove(0).1.unwrap();
        assert!(found.contains(r#""ts":"2007-04-09T12:00:00Z""#), "{found}");
        let found = outcomes(&[summed(&RMC.replace("231126", "010180"))]).remove(0).1.unwrap();
        assert!(found.contains(r#""ts":"1980-01-01"#) || found.contains(r#""ts":"2080-01-01"#), "{found}");
    }

    #[test]
    fn a_wrong_sum_is_refused_and_a_body_without_sentences_is_an_error() {
        let wrong = summed(RMC).replace("10.0", "11.0");
        let refused = outcomes(&[wrong, "garbage".to_owned(), summed(RMC)]);
        let details: Vec<_> = refused.iter().map(|(index, outcome)| (*index, outcome.is_ok())).collect();
        assert_eq!(details, [(0, false), (1, false), (2, true)]);
        let read =
            |query, body: &[u8]| read(&Message { query, ..Message::from_body(body, ARRIVAL) }, &Options::default());
        assert!(read(Some("id=T1"), b"{}").unwrap_err().to_string().contains("expected sentences"));
        assert!(read(None, summed(RMC).as_bytes()).unwrap_err().to_string().contains("add ?id=.."));
    }
}
