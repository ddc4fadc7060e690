//! Every route with every role, with and without a fleet: denied unless the table of routes allows it.

use watchtower_auth::Role;
use watchtower_gateway::{Need, ROUTES, Route};

use super::support::{FileGateway, YARD, osmand, position};

/// A request of a route that is accepted if its sender may send it.
fn request(gateway: &FileGateway, route: &Route, token: &str) -> u16 {
    let bearer = format!("Bearer {token}");
    let authorization = [("Authorization", bearer.as_str())];
    let with_header = !token.is_empty() && !route.path.contains("{token}");
    let headers = if with_header { &authorization[..] } else { &[] };
    let path = route.path.replace("{id}", "yard").replace("{source}", "osmand").replace("{token}", token);
    let (path, body) = match (route.method, route.path) {
        (_, path_of) if path_of.starts_with("/in/") => (osmand(&path, "T1"), String::new()),
        (_, "/v1/events") => (path, position("T1")),
        (_, path_of) if path_of.contains("geofences") && route.method != "DELETE" => (path, YARD.to_owned()),
        (_, "/v1/vehicles/{id}") => ("/v1/vehicles/T1".to_owned(), r#"{"name":"MACK","fleet":"VPC"}"#.to_owned()),
        _ => (path, String::new()),
    };
    gateway.request(route.method, &path, headers, &body).status
}

/// Whether a holder of the role may use the route; with a fleet, for what is of no fleet.
fn expected(route: &Route, role: Option<Role>, fleet: bool) -> u16 {
    let needed = match route.need {
        Need::Nothing => return 200,
        Need::Role(needed) => needed,
        Need::Source => Role::Ingest,
    };
    match role {
        // Without a token, the path of a token in the path is another one.
        None if route.path.contains("{token}") => 404,
        None => 401,
        Some(role) if !role.includes(needed) => 403,
        // No geofence is of a fleet, and T1 is in none.
        Some(_) if fleet => 403,
        Some(_) => 200,
    }
}

#[test]
fn every_route_is_for_the_roles_of_the_table() {
    let gateway = FileGateway::start("require_tokens = true", "");
    let mut walked = 0;
    for role in [None, Some(Role::Ingest), Some(Role::Read), Some(Role::Admin)] {
        for fleet in [false, true] {
            let token = match role {
                None => String::new(),
                Some(role) if fleet => gateway.token(&["--role", role.name(), "--fleet", "VPC"]),
                Some(role) => gateway.token(&["--role", role.name()]),
            };
            for route in &ROUTES {
                let status = request(&gateway, route, &token);
                assert_eq!(status, expected(route, role, fleet), "{} {} {role:?} {fleet}", route.method, route.path);
                walked += 1;
            }
        }
    }
    assert_eq!(walked, 8 * ROUTES.len());
}
