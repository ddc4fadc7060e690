//! Names that vessels report: left out, or passed on once and never over a fleet that was set elsewhere.

use super::support::FileGateway;
use crate::support::daemon::wait_until;

/// The name of vessel 657123456, in two sentences.
const STATIC_DATA: &str = "!AIVDO,2,1,3,A,59jc`P02:N2WDp48000h4Lu>10ThuB01@E=@001600000000000D0D0@0000,0*65\n\
                           !AIVDO,2,2,3,A,00000000000,2*25\n";

#[test]
fn names_of_vessels_pass_once_and_never_over_a_fleet() {
    let source = "[[source]]\nname = \"coast\"\nformat = \"ais\"\ntrust = \"none\"\nvessel_names = true\n";
    let mut gateway = FileGateway::start("", source);
    let send = |gateway: &FileGateway, path: &str| {
        let answer = gateway.post(path, &[], STATIC_DATA);
        assert_eq!(answer.status, 200, "{answer:?}");
        gateway.entries()
    };
    assert_eq!(send(&gateway, "/in/ais"), 0, "left out unless wanted");
    assert_eq!(send(&gateway, "/in/coast"), 1);
    assert_eq!(send(&gateway, "/in/coast"), 1, "a repeated name");
    let daemon = gateway.one.spawn(&[], &[]);
    daemon.wait_until_ready();
    let vehicle = r#"{"name":"LAGOS PILOT 2","fleet":"NPA"}"#;
    assert_eq!(gateway.request("PUT", "/v1/vehicles/657123456", &[], vehicle).status, 200);
    let in_fleet = "SELECT count(*) FROM vehicles WHERE fleet = 'NPA'";
    wait_until("the vessel is in a fleet", || gateway.one.number(in_fleet) == Some(1));
    gateway.restart();
    assert_eq!(send(&gateway, "/in/coast"), 2, "a process that remembers no name sees the fleet");
    assert_eq!(daemon.stop().code(), Some(0));
}
