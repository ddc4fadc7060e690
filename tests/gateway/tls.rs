//! TLS and HTTP/2, with curl as the client.

use std::process::Command;

use super::support::{FileGateway, osmand};
use crate::support::daemon::{Daemon, wait_until};
use crate::support::file::OneFile;
use crate::support::servers::free_port;

/// Whether a program is there; a test that needs it is left out otherwise.
fn has(program: &str) -> bool {
    let found = Command::new(program).arg("version").output().is_ok();
    if !found {
        println!("skipped: there is no {program}");
    }
    found
}

/// The version of HTTP and the status that curl prints for a request.
fn curl(arguments: &[&str]) -> String {
    let mut command = Command::new("curl");
    let output = command.args(["-s", "-o", "/dev/null", "-w", "%{http_version} %{http_code}"]).args(arguments).output();
    String::from_utf8(output.unwrap().stdout).unwrap()
}

#[test]
fn both_versions_of_http_are_spoken_without_tls() {
    if !has("curl") {
        return;
    }
    let gateway = FileGateway::start("", "");
    let url = format!("http://127.0.0.1:{}{}", gateway.port, osmand("/in/osmand", "T1"));
    assert_eq!(curl(&["--http1.1", &url]), "1.1 200");
    assert_eq!(curl(&["--http2-prior-knowledge", &url]), "2 200");
    assert_eq!(gateway.entries(), 2);
}

#[test]
fn with_a_certificate_tls_is_spoken_and_nothing_else() {
    if !has("curl") || !has("openssl") {
        return;
    }
    let port = free_port();
    let one = OneFile::new(1, "");
    let (certificate, key) = (one.beside("cert.pem"), one.beside("key.pem"));
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"])
        .args(["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"])
        .arg("-keyout")
        .arg(&key)
        .arg("-out")
        .arg(&certificate)
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    one.configure(&format!(
        "[gateway]\nlisten = \"127.0.0.1:{port}\"\ntls_certificate = \"{}\"\ntls_key = \"{}\"",
        certificate.display(),
        key.display()
    ));
    let _daemon = Daemon::spawn(one.command("gateway", &[]), port, one.path().parent().unwrap());
    let url = format!("https://localhost:{port}{}", osmand("/in/osmand", "T1"));
    let trusted = ["--cacert", certificate.to_str().unwrap()];
    let with = |version: &str| curl(&[&[version, &url][..], &trusted].concat());
    wait_until("the gateway answers", || with("--http1.1") == "1.1 200");
    assert_eq!(with("--http2"), "2 200");
    assert_eq!(curl(&[&url]), "0 000", "who does not trust the certificate ends the connection");
    let plain = format!("http://127.0.0.1:{port}/healthz");
    assert!(!curl(&[&plain]).ends_with(" 200"));
}
