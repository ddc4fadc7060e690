//! The description of the gateway against the gateway: schemathesis makes requests of it, valid and invalid ones, and
//! compares the answers with what is described.

use std::process::Command;

use crate::gateway::support::FileGateway;
use crate::support::{cases, number, python};

const SCHEMATHESIS: &str = "schemathesis==4.32.5";
/// No status of 5xx; no status, content type, header or schema of an answer that is not described; what is no method of
/// an address is refused with the methods that are.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
                      response_headers_conformance,response_schema_conformance,unsupported_method,allow_header_conformance";

#[test]
fn no_request_of_schemathesis_has_an_answer_that_is_not_described() {
    let Some(program) = python::program(SCHEMATHESIS, "schemathesis") else { return };
    let gateway = FileGateway::start("", "");
    let folder = tempfile::tempdir().unwrap();
    let seed = number("WATCHTOWER_SEED").unwrap_or(7);
    let output = Command::new(program)
        .current_dir(folder.path())
        .arg("run")
        .arg(format!("http://127.0.0.1:{}/openapi.json", gateway.port))
        .args(["--checks", CHECKS, "--no-color", "--continue-on-failure", "--generation-database", "none"])
        .args(["--max-examples", &cases(12, 10).to_string(), "--seed", &seed.to_string()])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "seed {seed}\n{text}\n{}", String::from_utf8_lossy(&output.stderr));
    let line = text.lines().find(|line| line.contains(" generated, ")).unwrap_or_else(|| panic!("{text}"));
    let generated: u64 = line.split_whitespace().next().unwrap().parse().unwrap();
    println!("schemathesis: {}; {} entries in the log", line.trim(), gateway.entries());
    // Every address, and messages that were accepted or kept as refused ones.
    assert!(generated > 200 && gateway.entries() > 20, "{text}");
}
