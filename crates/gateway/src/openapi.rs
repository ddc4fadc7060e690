//! `/openapi.json`, derived from the table of routes.

use axum::response::Response;
use serde_json::{Map, Value, json};

use crate::answer::answer;
use crate::schemas;
use crate::table::{Need, ROUTES, Route};

/// The description of the interface.
pub(crate) async fn page() -> Response {
    answer(axum::http::StatusCode::OK, &document())
}

fn document() -> Value {
    let mut paths = Map::new();
    for route in &ROUTES {
        let path = paths.entry(route.path).or_insert_with(|| Value::Object(Map::new()));
        path[route.method.to_ascii_lowercase()] = operation(route);
    }
    json!({
        "openapi": "3.1.0",
        "info": {"title": "Watch Tower gateway", "version": env!("CARGO_PKG_VERSION")},
        "paths": paths,
        "components": {
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "basic": {"type": "http", "scheme": "basic", "description": "Any user; the token is the password."},
            },
            "schemas": schemas::all(),
        },
    })
}

fn operation(route: &Route) -> Value {
    let names = route.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let in_path = names.map(|name| parameter("path", name, schemas::of_parameter(name)));
    let parameters: Vec<Value> = in_path.chain(beside_the_path(route)).collect();
    let mut operation = json!({
        "summary": route.summary,
        "parameters": parameters,
        "responses": responses(route),
    });
    if !route.body.is_empty() {
        let content = route
            .body
            .iter()
            .map(|media_type| ((*media_type).to_owned(), json!({"schema": schemas::of_body(route.path, media_type)})));
        operation["requestBody"] = json!({"required": true, "content": content.collect::<Map<_, _>>()});
    }
    operation["security"] = match route.need {
        Need::Nothing => json!([]),
        Need::Role(_) | Need::Source => json!([{"bearer": []}, {"basic": []}, {}]),
    };
    operation
}

fn parameter(place: &str, name: &str, schema: Value) -> Value {
    json!({"name": name, "in": place, "required": place == "path", "schema": schema})
}

/// Parameters of the query and headers that change what a request does.
fn beside_the_path(route: &Route) -> Vec<Value> {
    let is_edit = is_edit(route);
    let mut found = Vec::new();
    if matches!(route.need, Need::Role(_)) && route.method == "POST" || route.path.starts_with("/in/") {
        found.push(parameter("header", "Idempotency-Key", json!({"type": "string", "minLength": 1, "maxLength": 256})));
    }
    if is_edit {
        let names = ["If-Match", "If-None-Match"];
        found.extend(names.map(|name| parameter("header", name, json!({"type": "string"}))));
    }
    if is_edit && route.method == "DELETE" {
        found.push(parameter("query", "valid_from", schemas::time()));
    }
    if route.path.starts_with("/in/") {
        let mut message = parameter("query", "message", schemas::message());
        message["description"] = "The names and values of the message, if its format has them in the query.".into();
        found.push(message);
    }
    found
}

/// Whether the address is that of one geofence or vehicle, whose version can be demanded.
fn is_edit(route: &Route) -> bool {
    route.path.starts_with("/v1/") && route.path.ends_with("{id}")
}

fn responses(route: &Route) -> Value {
    let schema = |name: &str| json!({"application/json": {"schema": {"$ref": format!("#/components/schemas/{name}")}}});
    let refusal = |description: &str| json!({"description": description, "content": schema("Failure")});
    let text = |description: &str| json!({"description": description, "content": {"text/plain": {}}});
    let unavailable = refusal("The log or the store does not answer; send the request again after Retry-After.");
    let headers = json!({"description": "The headers are too large: more than 64 KiB, or than 100."});
    let mut responses = match (route.need, route.path) {
        (Need::Nothing, "/readyz") => json!({"200": text("Ready."), "503": unavailable}),
        (Need::Nothing, "/openapi.json") => {
            json!({"200": {"description": "This description.", "content": {"application/json": {}}}})
        }
        (Need::Nothing, "/schemas/alert.json") => {
            json!({"200": {"description": "The schema.", "content": {"application/json": {}}}})
        }
        (Need::Nothing, _) => json!({"200": text("The page.")}),
        (Need::Role(_) | Need::Source, _) => json!({
            "200": {"description": "The log has acknowledged.", "content": schema("Received")},
            "400": refusal("The request cannot be read."),
            "401": refusal("There is no valid token or signature."),
            "403": refusal("The token is not for this."),
            "404": refusal("There is no such source."),
            "408": refusal("The body did not arrive in time."),
            "413": refusal("The request exceeds a limit."),
            "415": refusal("The encoding of the body is not gzip."),
            "422": {"description": "All events were refused.", "content": schema("Received")},
            "429": refusal("Too many requests; send it again after Retry-After."),
            "503": unavailable,
        }),
    };
    responses["405"] = refusal("The method is not one of this address; Allow lists those.");
    responses["431"] = headers;
    if route.need == Need::Source {
        responses["200"]["content"]["application/json"]["schema"] = schemas::of_source_answer();
    }
    if is_edit(route) {
        responses["412"] = refusal("It was changed meanwhile; ETag is its current version.");
    }
    responses
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn every_route_is_described() {
        let document = document();
        for route in &ROUTES {
            let operation = &document["paths"][route.path][route.method.to_ascii_lowercase()];
            assert_eq!(operation["summary"], route.summary);
            let in_path = |parameter: &&Value| parameter["in"] == "path";
            let count = operation["parameters"].as_array().unwrap().iter().filter(in_path).count();
            assert_eq!(count, route.path.matches('{').count());
            assert!(operation["responses"]["200"].is_object());
        }
    }
}
