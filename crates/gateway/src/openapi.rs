//! `/openapi.json`, derived from the table of routes.

use axum::response::Response;
use serde_json::{Map, Value, json};

use crate::answer::answer;
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
            "schemas": {"Received": received(), "Failure": failure()},
        },
    })
}

fn received() -> Value {
    json!({
        "type": "object",
        "required": ["accepted", "refused"],
        "properties": {
            "accepted": {"type": "integer", "description": "Number of events that are in the log."},
            "refused": {
                "type": "array",
                "description": "The refused events; they are kept in rejected_events.",
                "items": {
                    "type": "object",
                    "required": ["index", "reason", "detail"],
                    "properties": {
                        "index": {"type": "integer"},
                        "reason": {"type": "string"},
                        "detail": {"type": "string"},
                    },
                },
            },
            "repeated": {"type": "boolean", "description": "The delivery was acknowledged before; nothing was added."},
            "cut_at_antimeridian": {"type": "array", "items": {"type": "string"}},
            "cut_off": {"type": "array", "items": {"type": "string"}},
        },
    })
}

fn failure() -> Value {
    json!({
        "type": "object",
        "required": ["error", "detail"],
        "properties": {
            "error": {"type": "string"},
            "detail": {"type": "string"},
            "events": {"type": "array", "items": {"type": "integer"}, "description": "Indices of forbidden events."},
        },
    })
}

fn operation(route: &Route) -> Value {
    let names = route.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let parameters: Vec<Value> = names
        .map(|name| json!({"name": name, "in": "path", "required": true, "schema": {"type": "string", "minLength": 1}}))
        .collect();
    let mut operation = json!({
        "summary": route.summary,
        "parameters": parameters,
        "responses": responses(route),
    });
    if let Some(media_type) = route.body {
        operation["requestBody"] = json!({"required": true, "content": {media_type: {"schema": {}}}});
    }
    operation["security"] = match route.need {
        Need::Nothing => json!([]),
        Need::Role(_) => json!([{"bearer": []}, {"basic": []}, {}]),
        Need::Source => json!([{"bearer": []}, {"basic": []}, {}]),
    };
    operation
}

fn responses(route: &Route) -> Value {
    let schema = |name: &str| json!({"application/json": {"schema": {"$ref": format!("#/components/schemas/{name}")}}});
    let refusal = |description: &str| json!({"description": description, "content": schema("Failure")});
    let unavailable = refusal("The log or the store does not answer; send the request again after Retry-After.");
    let mut responses = match (route.need, route.path) {
        (Need::Nothing, "/readyz") => json!({"200": {"description": "Ready."}, "503": unavailable}),
        (Need::Nothing, _) => return json!({"200": {"description": "The page."}}),
        (Need::Role(_) | Need::Source, _) => json!({
            "200": {"description": "The log has acknowledged.", "content": schema("Received")},
            "400": refusal("The request cannot be read."),
            "401": refusal("There is no valid token or signature."),
            "403": refusal("The token is not for this."),
            "404": refusal("There is no such source."),
            "405": refusal("The method is not one of this address."),
            "408": refusal("The body did not arrive in time."),
            "413": refusal("The request exceeds a limit."),
            "415": refusal("The encoding of the body is not gzip."),
            "422": {"description": "All events were refused.", "content": schema("Received")},
            "429": refusal("Too many requests; send it again after Retry-After."),
            "503": unavailable,
        }),
    };
    if route.path.starts_with("/v1/") && route.path.ends_with("{id}") {
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
            assert_eq!(operation["parameters"].as_array().unwrap().len(), route.path.matches('{').count());
            assert!(operation["responses"]["200"].is_object());
        }
    }
}
