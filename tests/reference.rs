//! The reference answers for real positions: computed elsewhere, with GEOS.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::data_dir;

/// Positions, and how often their vehicles enter and leave the neighbourhoods of Austin.
const ANSWERS: [(&str, usize, usize); 2] =
    [("bus_austin_2016-11-24_27.csv.gz", 52_010, 51_838), ("bus_austin_messy.csv.gz", 48_894, 48_562)];

/// The answers count every fix.
fn config(out: &Path) -> PathBuf {
    let path = out.with_extension("toml");
    let rules = "pipeline = \"lagos\"\n[rules]\nrefuse_zero = false\nisolated_after = \"0s\"\n\
                 outliers = \"use\"\nmax_accuracy_m = 0\n";
    std::fs::write(&path, rules).unwrap();
    path
}

fn replay(data: &Path, positions: &str, out: &Path, more: &[&str]) {
    let output = Command::new(env!("CARGO_BIN_EXE_watchtower"))
        .arg("replay")
        .arg("--positions")
        .arg(data.join("positions").join(positions))
        .arg("--geofences")
        .arg(data.join("geofences/city_austin_neighbourhoods.geojson.gz"))
        .arg("--out")
        .arg(out)
        .arg("--config")
        .arg(config(out))
        .args(more)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn files(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files: Vec<_> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.file_name().unwrap().into(), std::fs::read(&path).unwrap()))
        .collect();
    files.sort();
    files
}

#[test]
fn real_buses_enter_and_leave_as_often_as_they_should_in_any_order_on_any_number_of_workers() {
    let Some(data) = data_dir() else { return };
    for (positions, enters, exits) in ANSWERS {
        let dir = tempfile::tempdir().unwrap();
        let plain = dir.path().join("plain");
        replay(&data, positions, &plain, &[]);
        let visits = std::fs::read_to_string(plain.join("visits.csv")).unwrap();
        let visits: Vec<_> = visits.lines().skip(1).map(|line| line.split(',').collect::<Vec<_>>()).collect();
        assert_eq!(visits.len(), enters, "{positions}: visits");
        assert_eq!(visits.iter().filter(|visit| !visit[3].is_empty()).count(), exits, "{positions}: ended visits");
        let expected = files(&plain);
        for (shuffle, workers) in [("1", "1"), ("2", "2"), ("3", "4")] {
            let out = dir.path().join(shuffle);
            replay(&data, positions, &out, &["--shuffle", shuffle, "--workers", workers]);
            for ((name, expected), (_, found)) in expected.iter().zip(files(&out)) {
                assert!(
                    *expected == found,
                    "{positions}: {} differs, seed {shuffle}, {workers} workers",
                    name.display()
                );
            }
        }
    }
}
