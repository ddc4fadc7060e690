//! Answers: JSON objects with `error` and `detail` where a request fails.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

/// When a client should try again after an answer of 503, seconds.
const RETRY_AFTER_S: u64 = 5;

/// A request that fails: status, a word for programs, a sentence for people. Never holds a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) status: StatusCode,
    error: &'static str,
    detail: String,
    header: Header,
    /// Indices of the events that the answer is about.
    indices: Vec<usize>,
}

/// The header that a client needs to do better, besides the authentication that is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Header {
    None,
    /// Seconds to wait.
    RetryAfter(u64),
    /// The current version of what an edit is about.
    ETag(String),
    /// The methods of the address.
    Allow(String),
}

impl Failure {
    pub(crate) fn new(status: StatusCode, error: &'static str, detail: impl Into<String>) -> Self {
        Self { status, error, detail: detail.into(), header: Header::None, indices: Vec::new() }
    }

    /// The request cannot be read.
    pub(crate) fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_request", detail)
    }

    /// There is no valid token or signature.
    pub(crate) fn unauthorized(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", detail)
    }

    /// The token is not for this.
    pub(crate) fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", detail)
    }

    /// Nothing is at this address.
    pub(crate) fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", "nothing is at this address; /openapi.json lists what there is")
    }

    /// The method is not one of this address, which has these.
    pub(crate) fn method(allowed: &[&str]) -> Self {
        let detail = format!("expected {}", allowed.join(" or "));
        let failure = Self::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail);
        Self { header: Header::Allow(allowed.join(", ")), ..failure }
    }

    /// The request exceeds a limit.
    pub(crate) fn too_large(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", detail)
    }

    /// The log or the store does not do its part now.
    pub(crate) fn unavailable(detail: impl Into<String>) -> Self {
        let failure = Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail);
        Self { header: Header::RetryAfter(RETRY_AFTER_S), ..failure }
    }

    /// Too many requests.
    pub(crate) fn too_many(retry_after_s: u64) -> Self {
        let detail = format!("too many requests of this source; the next one is accepted in {retry_after_s} s");
        Self {
            header: Header::RetryAfter(retry_after_s),
            ..Self::new(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", detail)
        }
    }

    /// The version is not the expected one.
    pub(crate) fn precondition(current: Option<String>) -> Self {
        let detail = match &current {
            Some(_) => "it was changed meanwhile; the header ETag has its current version",
            None => "there is none of this identifier",
        };
        let header = current.map_or(Header::None, Header::ETag);
        Self { header, ..Self::new(StatusCode::PRECONDITION_FAILED, "precondition_failed", detail) }
    }

    /// The sentence for people.
    pub(crate) fn detail(&self) -> &str {
        &self.detail
    }

    /// The same about these events of the request.
    pub(crate) fn about(self, indices: Vec<usize>) -> Self {
        Self { indices, ..self }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let mut object = json!({"error": self.error, "detail": self.detail});
        if !self.indices.is_empty() {
            object["events"] = self.indices.into();
        }
        let mut response = answer(self.status, &object);
        let headers = response.headers_mut();
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer, Basic"));
        }
        let more = match self.header {
            Header::None => None,
            Header::RetryAfter(seconds) => Some((header::RETRY_AFTER, seconds.to_string())),
            Header::ETag(version) => Some((header::ETAG, format!("\"{version}\""))),
            Header::Allow(methods) => Some((header::ALLOW, methods)),
        };
        if let Some((name, Ok(value))) = more.map(|(name, text)| (name, HeaderValue::try_from(text))) {
            headers.insert(name, value);
        }
        response
    }
}

/// An answer of JSON.
pub(crate) fn answer(status: StatusCode, value: &Value) -> Response {
    let json = HeaderValue::from_static("application/json");
    (status, [(header::CONTENT_TYPE, json)], format!("{value}\n")).into_response()
}
