//! `watchtower-bench`: that it measures what it says. The numbers are of sizes that are worth nothing.

use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::LazyLock;

use serde_json::Value;

/// The program, built beside this one and in its profile if it is not there yet.
static PROGRAM: LazyLock<PathBuf> = LazyLock::new(|| {
    let product = PathBuf::from(env!("CARGO_BIN_EXE_watchtower"));
    let folder = product.parent().expect("a program is in a folder");
    let profile = match folder.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => "dev",
        Some(profile) => profile,
    };
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Command::new(cargo);
    // With tests of the whole workspace, as they were built: other features would compile all rooms again.
    build.args(["build", "--quiet", "--workspace", "--bins", "--tests", "--profile", profile]);
    // So would what is set for this test alone, by cargo and by scripts/timed: build scripts of ring and others look at it.
    let of_this_test = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "RUSTC_BOOTSTRAP"];
    for (name, _) in std::env::vars() {
        if of_this_test.iter().any(|prefix| name.starts_with(prefix)) {
            build.env_remove(name);
        }
    }
    let built = build.arg("--target-dir").arg(folder.parent().expect("cargo's layout")).status().unwrap();
    assert!(built.success(), "watchtower-bench cannot be built");
    folder.join("watchtower-bench")
});

fn bench(args: &[&str]) -> Output {
    let mut command = Command::new(&*PROGRAM);
    command.args(args).env_remove("WATCHTOWER_DATA").output().unwrap()
}

/// The JSON that a benchmark prints.
fn json(args: &[&str]) -> Value {
    let output = bench(&[args, &["--json"]].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The result of that name.
fn result<'a>(report: &'a Value, name: &str) -> &'a Value {
    let results = report["results"].as_array().unwrap();
    results.iter().find(|result| result["name"] == name).unwrap_or_else(|| panic!("no {name} in {report:#}"))
}

#[test]
fn the_engine_and_its_baseline_find_the_same_enters_and_exits() {
    let report = json(&["engine", "--quick", "--turns", "1", "--size", "0.02"]);
    assert_eq!(report["bench"], "engine");
    assert!(report["machine"]["cores"].as_u64().unwrap() >= 1);
    for workload in ["workload-w", "realistic"] {
        let baseline = result(&report, &format!("{workload}/rstar+geo"));
        assert!(baseline["enters"].as_u64().unwrap() > 100, "{baseline}");
        assert!(baseline["exits"].as_u64().unwrap() > 10, "{baseline}");
        for run in ["membership/workers=1", "membership/workers=2", "all/workers=1", "all/workers=2"] {
            let engine = result(&report, &format!("{workload}/{run}"));
            for member in ["enters", "exits", "events"] {
                assert_eq!(engine[member], baseline[member], "{member} of {engine}");
            }
            for member in ["events_per_s", "cpu_us_per_event", "ratio"] {
                assert!(engine[member].as_f64().unwrap() > 0.0, "{member} of {engine}");
            }
            assert_eq!(engine["baseline"], "rstar+geo");
        }
    }
}

#[test]
fn the_kernel_has_a_result_for_every_walk() {
    let report = json(&["kernel", "--quick", "--size", "0.01", "--geofences", "100", "1000"]);
    for geofences in ["100", "1000"] {
        assert_eq!(result(&report, &format!("{geofences}/index"))["geofences"].to_string(), geofences);
        for walk in ["10m", "50m", "teleport"] {
            let result = result(&report, &format!("{geofences}/{walk}"));
            assert!(result["ratio"].as_f64().unwrap() > 0.0, "{result}");
        }
    }
    let notes = report["notes"].to_string();
    assert!(notes.contains("left out: countries"), "{notes}");
}

#[test]
fn files_are_measured_as_they_are() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).display().to_string();
    let square = "[[[3,6],[4,6],[4,7],[3,7],[3,6]]]";
    let feature = format!(
        r#"{{"type":"Feature","id":7,"properties":{{}},"geometry":{{"type":"Polygon","coordinates":{square}}}}}"#
    );
    std::fs::write(path("fences.geojson"), feature).unwrap();
    // On the border is inside: two enter, one of them leaves.
    std::fs::write(path("events.csv"), "ts,entity,lon,lat\n1767225600000,a,3,6.5\n1767225600001,b,5,5\n1767225601000,a,2.9,6.5\n1767225601001,b,3.5,6.5\n").unwrap();
    let files = ["--events-csv", &path("events.csv"), "--geofences", &path("fences.geojson")];
    let report = json(&[&["engine", "--quick", "--workers", "1", "--views", "membership"][..], &files].concat());
    for name in ["files/membership/workers=1", "files/rstar+geo"] {
        let result = result(&report, name);
        assert_eq!((&result["enters"], &result["exits"]), (&2.into(), &1.into()), "{result}");
    }
    std::fs::write(path("events.csv"), "ts,entity,lon,lat\n1767225600000,a,north,6.5\n").unwrap();
    let output = bench(&[&["engine"][..], &files].concat());
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("line 2: expected lon to be degrees, found \"north\""), "{said}");
}

#[test]
fn late_events_end_in_the_same_visits() {
    let report = json(&["late", "--quick", "--turns", "1", "--size", "0.05"]);
    let on_time = result(&report, "late=0%");
    for late in ["late=1%", "late=10%"] {
        let late = result(&report, late);
        assert_eq!((&late["enters"], &late["exits"]), (&on_time["enters"], &on_time["exits"]), "{late}");
        assert!(late["ratio"].as_f64().unwrap() > 0.0, "{late}");
    }
}

#[test]
fn what_the_gateway_acknowledges_is_in_its_log() {
    let report = json(&["gateway", "--quick", "--turns", "2", "--size", "0.05", "--rate", "500", "--seconds", "1"]);
    for (name, positions) in [("batch=500", 2_500), ("single/rate=500", 500)] {
        let gateway = result(&report, name);
        assert_eq!(gateway["baseline"], "axum+xadd");
        for result in [gateway, result(&report, &format!("{name}/axum+xadd"))] {
            assert_eq!(result["events"], positions, "{result}");
            assert!(
                result["events_per_s"].as_f64().unwrap() > 0.0 && result["cpu_us_per_event"].is_number(),
                "{result}"
            );
        }
    }
    let single = result(&report, "single/rate=500");
    assert_eq!(single["count"], 1_000, "of both turns: {single}");
    let [p50, p99, most] = ["p50_ms", "p99_ms", "max_ms"].map(|member| single[member].as_f64().unwrap());
    assert!(0.0 < p50 && p50 <= p99 && p99 <= most, "{single}");
}

#[test]
fn events_go_through_the_daemon_to_where_others_see_them() {
    let report = json(&["drain", "--quick", "--turns", "1", "--size", "0.02"]);
    for archive in ["off", "on"] {
        let drain = result(&report, &format!("membership/bin64/archive={archive}"));
        for member in ["engine_cpu_s", "redis_cpu_s", "postgres_cpu_s", "events_per_s", "ratio"] {
            assert!(drain[member].is_number(), "{member} of {drain}");
        }
    }
    let report = json(&["live", "--quick", "--size", "0.02", "--rate", "1000", "--seconds", "1"]);
    let live = result(&report, "rate=1000");
    assert_eq!(live["count"], 1000, "{live}");
    let [p50, p99] = ["p50_ms", "p99_ms"].map(|member| live[member].as_f64().unwrap());
    assert!(0.0 < p50 && p50 <= p99, "{live}");
}
