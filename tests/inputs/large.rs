//! Documents that are larger than what is held in memory.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::Command;

use flate2::Compression;
use flate2::write::GzEncoder;
use watchtower_core::events::Limits;
use watchtower_inputs::{FileFormat, MAX_DOCUMENT_BYTES, open_with};

use super::field::reading;

/// Memory of the program when it refuses a document, MiB; a quarter of the smallest document that it refuses.
const MOST_MIB: u64 = (MAX_DOCUMENT_BYTES >> 20) / 4;

/// Writes a file of so many bytes that begins with `start`; the rest of it takes no space.
fn sparse(path: &Path, start: &str, bytes: u64) {
    let mut file = File::create(path).unwrap();
    file.write_all(start.as_bytes()).unwrap();
    file.set_len(bytes).unwrap();
}

/// Writes a compressed file that begins with `start` and goes on with spaces.
fn compressed(path: &Path, start: &str, bytes: u64) {
    let mut encoder = GzEncoder::new(File::create(path).unwrap(), Compression::fast());
    encoder.write_all(start.as_bytes()).unwrap();
    let spaces = vec![b' '; 1 << 20];
    (0..bytes >> 20).for_each(|_| encoder.write_all(&spaces).unwrap());
    encoder.finish().unwrap();
}

/// Runs the program; what it printed, and the most memory it had, MiB. None without Python, which measures it.
fn run(arguments: &[&str]) -> Option<(String, u64)> {
    let script = "import resource, subprocess, sys\n\
        done = subprocess.run(sys.argv[1:], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)\n\
        print(done.stdout, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024)";
    let program = [&["-c", script, env!("CARGO_BIN_EXE_watchtower")], arguments].concat();
    let Ok(output) = Command::new("python3").args(program).output() else {
        println!("left out: no python3 to measure the memory of a process with");
        return None;
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let most = text.split_whitespace().last().unwrap().parse().unwrap();
    Some((text, most))
}

#[test]
fn a_document_that_is_too_large_is_refused_without_being_held() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let text = |name: &str| path(name).display().to_string();
    let too_large = MAX_DOCUMENT_BYTES + 1;
    sparse(&path("fences.geojson"), r#"{"type":"FeatureCollection","features":["#, too_large);
    sparse(&path("fences.kml"), "<kml><Document>", too_large);
    compressed(&path("fences.geojson.gz"), r#"{"type":"FeatureCollection","features":["#, too_large + (1 << 20));
    sparse(&path("one.json"), r#"{"lat":6.5,"lon":3.36,"notes":["#, too_large);
    for (option, name, cure) in [
        ("--geofences", "fences.geojson", "split it (ogr2ogr -f GeoJSONSeq"),
        ("--geofences", "fences.geojson.gz", "split it (ogr2ogr -f GeoJSONSeq"),
        ("--geofences", "fences.kml", "split it (ogr2ogr -f GeoJSONSeq"),
        ("--positions", "one.json", "write one object per line"),
    ] {
        let (file, out) = (text(name), text("out"));
        let Some((printed, most)) = run(&["replay", option, &file, "--dry-run", "--out", &out]) else { return };
        assert!(printed.contains("1 refused as too_large"), "{name}: {printed}");
        assert!(printed.contains("at most 256 MiB") && printed.contains(cure), "{name}: {printed}");
        assert!(most < MOST_MIB, "{name}: {most} MiB");
    }
}

#[test]
fn a_document_that_is_too_large_is_not_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fences.geojson");
    let limits = Limits::default();
    for (bytes, is_refused) in [(MAX_DOCUMENT_BYTES + 1, true), (2 << 20, false)] {
        sparse(&path, r#"{"type":"FeatureCollection","features":["#, bytes);
        let mut source = open_with(&path, FileFormat::GeoJson, &reading(""), &limits).unwrap();
        let rejection = source.next_record().unwrap().unwrap().result.unwrap_err();
        assert_eq!(rejection.reason.to_string() == "too_large", is_refused, "{rejection:?}");
        assert_eq!(source.progress().bytes_read < 1 << 20, is_refused, "{:?}", source.progress());
    }
}

/// Rows of geofences are held, too, however many there are.
#[test]
fn a_table_of_geofences_has_the_same_limit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fences.csv.gz");
    let mut encoder = GzEncoder::new(File::create(&path).unwrap(), Compression::fast());
    encoder.write_all(b"id,wkt\n").unwrap();
    let rows = "a,POINT EMPTY\n".repeat(1 << 16);
    (0..64).for_each(|_| encoder.write_all(rows.as_bytes()).unwrap());
    encoder.finish().unwrap();
    let limits = Limits::default();
    let mut source = open_with(&path, FileFormat::GeoJson, &reading(""), &limits).unwrap();
    let rejection = source.next_record().unwrap().unwrap().result.unwrap_err();
    assert_eq!(rejection.reason.to_string(), "too_large", "{rejection:?}");
    assert!(source.next_record().unwrap().is_none());
}
