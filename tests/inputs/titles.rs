//! Lines above the header of a CSV.

use watchtower_core::events::Limits;
use watchtower_inputs::{FileFormat, FileReport, open_vehicles, open_with};

use super::field::reading;
use super::forms::{file, read};
use super::spellings::summary;

use FileFormat::{Csv, GeoJson};

const HEADER: &str = "Device;Time;Latitude;Longitude;Speed (km/h)\n";
const ROWS: &str = "T1;20.11.2026 06:00:01;6,5;3,36;41\nT1;20.11.2026 06:01:01;6,5;3,37;42\n";

/// What becomes of a file of positions, and its summary.
fn positions(words: &str, content: &str) -> (Vec<String>, String) {
    let (_folder, path) = file("report.csv", content);
    let found = super::field::outcomes(&path, Csv, &reading(words));
    let Ok(mut source) = open_with(&path, Csv, &reading(words), &Limits::default()) else {
        return (found, String::new());
    };
    let mut report = FileReport::new(&path, Csv);
    while let Some(record) = source.next_record().unwrap() {
        report.count(&record);
    }
    report.finish(source.as_ref());
    (found, report.to_string())
}

#[test]
fn the_header_is_found_below_the_title_of_a_report() {
    let plain = positions("zone:UTC", &format!("{HEADER}{ROWS}")).0;
    assert_eq!(plain.len(), 2);
    for (above, first, count) in [
        ("Positions of T1\n\n", "first line", ", once, at 1 (Positions of T1)"),
        ("Report;;;;\nPeriod: 20.11.2026 - 21.11.2026\n;;;;\n", "spreadsheet", ", 3 times, first at 1 (Report;;;;)"),
        ("\n\nTotal, km;12,5\n", "blank lines first", ", once, at 3 (Total, km;12,5)"),
        ("sep=;\nPositions\n", "with a separator", ", once, at 2 (Positions)"),
        ("\u{feff}\"Positions, all\"\n", "with a mark", r#", once, at 1 (\"Positions, all\")"#),
    ] {
        let (found, text) = positions("zone:UTC", &format!("{above}{HEADER}{ROWS}"));
        assert_eq!(found, plain, "{first}");
        let line = format!("lines above the header, left out{count}");
        assert!(text.contains(&line), "{first}:\n{text}");
    }
    // The order of day and month is that of the rows.
    let rows = ROWS.replace("20.11.2026", "03/04/2026").replace("06:01:01", "06:01:01\nT1;23/04/2026 06:00;6,5;3,36;1");
    let (found, _) = positions("zone:UTC", &format!("Positions;from 11/23/2026\n\n{HEADER}{rows}"));
    assert!(found[0].starts_with("T1 260403"), "{found:?}");
    // By number there need be no header.
    let (found, text) = positions("columns:vehicle_id=1,ts=2,lon=4,lat=3 zone:UTC", &format!("Positions\n{ROWS}"));
    assert!(found.len() == 2 && text.contains("left out, once, at 1"), "{found:?}\n{text}");
}

#[test]
fn rows_are_never_taken_for_titles() {
    // Two files one behind the other, the first without a header.
    let (found, _) = positions("zone:UTC", &format!("{ROWS}{HEADER}{ROWS}"));
    assert!(found.len() == 1 && found[0].contains("line 1 looks like a row"), "{found:?}");
    assert!(found[0].contains("the header is in line 3"), "{found:?}");
    let circles = "A;6,5;3,4;200\nname;lat;lng;Radius (m)\nB;6,6;3,5;100\n";
    let found = read("circles.csv", GeoJson, "", circles);
    assert!(found.len() == 1 && found[0].contains("line 1 looks like a row (A;6,5;3,4;200)"), "{found:?}");
    let (_folder, path) = file("v.csv", "T1,Mack,VPC\nid,name,fleet\nT2,,\n");
    let fault = open_vehicles(&path, &reading(""), &Limits::default()).err().unwrap().to_string();
    assert!(fault.contains("line 1 looks like a row (T1,Mack,VPC)"), "{fault}");
}

#[test]
fn a_header_is_looked_for_in_the_first_twenty_lines() {
    let (found, _) = positions("zone:UTC", &format!("{}{HEADER}{ROWS}", "-\n".repeat(19)));
    assert_eq!(found.len(), 2, "{found:?}");
    let (found, _) = positions("zone:UTC", &format!("{}{HEADER}{ROWS}", "-\n".repeat(20)));
    assert!(found.len() == 1 && found[0].contains("missing vehicle_id, ts, lon, lat"), "{found:?}");
    // What is reported is what the likeliest line lacks.
    let header = HEADER.replace("Device;", "Reg. mark;");
    let (found, _) = positions("zone:UTC", &format!("Positions\n\n{header}{ROWS}"));
    assert!(found[0].contains("line 3: missing vehicle_id;"), "{found:?}");
}

#[test]
fn geofences_and_vehicles_have_titles_too() {
    let circles = "Depots of Lagos\n\nname;lat;lng;Radius (m)\nA;6,5;3,4;200\nB;6,6;3,5;100\n";
    assert_eq!(read("circles.csv", GeoJson, "", circles), ["A: circle 200", "B: circle 100"]);
    let text = summary("circles.csv", circles);
    assert!(text.contains("lines above the header, left out, once, at 1 (Depots of Lagos)"), "{text}");
    let (_folder, path) = file("v.csv", "Our fleet,,\n\nid,name,fleet\nT1,Mack,VPC\n");
    let mut source = open_vehicles(&path, &reading(""), &Limits::default()).unwrap();
    assert!(source.next_record().unwrap().unwrap().result.is_ok());
    assert!(source.next_record().unwrap().is_none());
    assert_eq!(source.notes().remarks.len(), 1);
}

#[test]
fn a_quote_that_is_not_closed_costs_the_rows_up_to_64_kib() {
    let row = |id: usize| format!("{id},POINT (3.36 6.5),50\n");
    let rows: String = (0..10_000).map(row).collect();
    let found = read("fences.csv", GeoJson, "", format!("id,wkt,radius_m\nbad,\"POINT (3 6),50\n{rows}"));
    assert!(found[0].starts_with("malformed a quote is not closed"), "{}", found[0]);
    assert!(found.len() > 7_000 && found[1..].iter().all(|outcome| outcome.contains("circle 50")), "{}", found.len());
}
