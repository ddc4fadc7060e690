//! One request with its answer, within limits of time and size, never repeated.

use std::time::Duration;

use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{Client, RequestBuilder, StatusCode};
use serde::de::DeserializeOwned;
use watchtower_auth::tls;
use watchtower_core::retry_after::retry_after;

use crate::error::{Envelope, Error};
use crate::options::{Options, SettingsError};

/// Size of an answer, bytes. A page of history is the largest one that is asked for.
const MAX_ANSWER: usize = 1 << 20;
/// A connection without a request is closed after this time, before Slack closes it: a request that meets a closing
/// connection loses its reply.
const IDLE: Duration = Duration::from_secs(10);
/// Header with the scopes of a token, separated by commas.
const SCOPES: &str = "x-oauth-scopes";

/// Sends requests.
#[derive(Clone, Debug)]
pub(crate) struct Http(Client);

/// An answer of any status.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    /// What `Retry-After` states.
    retry_after: Option<Duration>,
    pub(crate) scopes: Option<String>,
    pub(crate) body: Vec<u8>,
}

impl Http {
    /// A client with these time limits and authorities.
    ///
    /// # Errors
    /// If they cannot be used.
    pub(crate) fn new(options: &Options) -> Result<Self, SettingsError> {
        if options.connect_timeout >= options.timeout {
            return Err(SettingsError::Timeouts);
        }
        let tls = tls::client_config(options.ca_file.as_deref()).map_err(|fault| SettingsError::Tls { fault })?;
        let client = Client::builder()
            .tls_backend_preconfigured(tls)
            // A redirect would carry the token, and the message, to another server.
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .pool_idle_timeout(IDLE)
            .connect_timeout(options.connect_timeout)
            .timeout(options.timeout)
            .user_agent(concat!("watchtower/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| SettingsError::Tls { fault: text(error) })?;
        Ok(Self(client))
    }

    /// A POST request.
    pub(crate) fn post(&self, url: reqwest::Url) -> RequestBuilder {
        self.0.post(url)
    }
}

/// Sends a request and reads its answer.
///
/// # Errors
/// `Transient` if it was not sent, `Ambiguous` if there is no answer, or it broke off, `Malformed` if it is too large.
pub(crate) async fn send(request: RequestBuilder) -> Result<Answer, Error> {
    let mut response = request.send().await.map_err(failure)?;
    let status = response.status();
    let header = |headers: &HeaderMap, name: &str| headers.get(name)?.to_str().ok().map(str::to_owned);
    let now_s = jiff::Timestamp::now().as_second();
    let retry_after = header(response.headers(), RETRY_AFTER.as_str()).and_then(|value| retry_after(&value, now_s));
    let scopes = header(response.headers(), SCOPES);
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(failure)? {
        if body.len() + chunk.len() > MAX_ANSWER {
            return Err(Error::Malformed { cause: format!("it has more than {MAX_ANSWER} bytes") });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Answer { status, retry_after, scopes, body })
}

impl Answer {
    /// An answer whose status does not by itself mean a failure.
    ///
    /// # Errors
    /// `RateLimited` for 429, `Ambiguous` for 408 and 5xx.
    pub(crate) fn checked(self) -> Result<Self, Error> {
        match self.status.as_u16() {
            429 => Err(Error::limited(self.retry_after)),
            408 | 500..=599 => {
                Err(Error::Ambiguous { cause: format!("the answer has status {}", self.status.as_u16()) })
            }
            _ => Ok(self),
        }
    }

    /// The answer of a method of the Web API.
    ///
    /// # Errors
    /// As [`Self::checked`]; what `ok: false` means; `Refused` for another status than 200, and `Malformed` for a body
    /// that is not what the method returns.
    pub(crate) fn of_method<T: DeserializeOwned>(self) -> Result<T, Error> {
        let answer = self.checked()?;
        let envelope: Envelope = match serde_json::from_slice(&answer.body) {
            Ok(envelope) => envelope,
            Err(_) if !answer.status.is_success() => return Err(answer.refused()),
            Err(error) => return Err(malformed(error)),
        };
        if !envelope.ok {
            return Err(envelope.failure(answer.retry_after));
        }
        if !answer.status.is_success() {
            return Err(answer.refused());
        }
        serde_json::from_slice(&answer.body).map_err(malformed)
    }

    /// A refusal for the status alone.
    pub(crate) fn refused(&self) -> Error {
        Error::refused(&format!("http_{}", self.status.as_u16()))
    }
}

/// The place of a fault in an answer, without the answer's text.
fn malformed(error: serde_json::Error) -> Error {
    let what = match error.classify() {
        serde_json::error::Category::Data => "its JSON lacks what the method returns",
        serde_json::error::Category::Io | serde_json::error::Category::Syntax | serde_json::error::Category::Eof => {
            "it is no JSON"
        }
    };
    Error::Malformed { cause: format!("{what} (line {}, column {})", error.line(), error.column()) }
}

fn failure(error: reqwest::Error) -> Error {
    // Neither a request that could not be built nor one without a connection has reached Slack.
    let was_sent = !error.is_connect() && !error.is_builder();
    let cause = text(error);
    if was_sent { Error::Ambiguous { cause } } else { Error::Transient { cause } }
}

/// The text of an error and of its causes, without the URL: that of a webhook is a secret.
fn text(error: reqwest::Error) -> String {
    let error = error.without_url();
    let causes = std::iter::successors(std::error::Error::source(&error), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn answer(status: u16, body: &str) -> Result<Value, Error> {
        let status = StatusCode::from_u16(status).unwrap();
        Answer { status, retry_after: None, scopes: None, body: body.as_bytes().to_vec() }.of_method()
    }

    #[test]
    fn a_status_and_a_body_are_read_together() {
        assert!(answer(200, r#"{"ok":true,"ts":"1.0"}"#).is_ok());
        assert!(matches!(answer(429, ""), Err(Error::RateLimited { .. })));
        for status in [408, 500, 502, 503, 504] {
            assert!(matches!(answer(status, r#"{"ok":true}"#), Err(Error::Ambiguous { .. })), "{status}");
        }
        let code = |result| match result {
            Err(Error::Refused { error, .. }) => error,
            other => panic!("{other:?}"),
        };
        assert_eq!(code(answer(401, r#"{"ok":false,"error":"invalid_auth"}"#)), "invalid_auth");
        assert_eq!(code(answer(404, "<html>")), "http_404");
        assert_eq!(code(answer(302, "")), "http_302");
        assert_eq!(code(answer(403, r#"{"ok":true}"#)), "http_403");
        for body in ["", "ok", "<html>", "[]", r#"{"ok":1}"#, r#"{"ok":true"#] {
            assert!(matches!(answer(200, body), Err(Error::Malformed { .. })), "{body}");
        }
    }
}
