//! One request to the server of a feed, within limits of time and size.

use std::time::Duration;

use reqwest::header::{
    ETAG, HeaderMap, HeaderName, HeaderValue, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED, RETRY_AFTER,
};
use reqwest::{Client, Method, StatusCode, Url};
use secrecy::ExposeSecret;
use watchtower_auth::tls;
use watchtower_core::retry_after::retry_after;

use super::cursor;
use super::options::Poll;
use crate::now_ms;

/// Time limit for a connection.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);

/// A fetch failed. Texts hold no URL: it may have a key in it.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    /// The TLS settings, a header or the URL cannot be used.
    #[error("{0}")]
    Settings(String),
    /// There is no answer, or it broke off.
    #[error("no answer: {0}")]
    Broken(String),
    /// The answer is no success.
    #[error("the answer has status {status}{}", advice(*status))]
    Status {
        status: StatusCode,
        /// What `Retry-After` asks for.
        retry_after: Option<Duration>,
    },
    /// The body is too large.
    #[error("the answer has more than {most} bytes ([gateway] max_inflated)")]
    TooLarge { most: usize },
}

fn advice(status: StatusCode) -> &'static str {
    match status.as_u16() {
        300..=399 => ": redirects are not followed, set url to where it leads",
        401 | 403 => ": is the token in headers right?",
        _ => "",
    }
}

/// What makes an answer recognizable: `ETag` and `Last-Modified`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Validators {
    etag: Option<HeaderValue>,
    modified: Option<HeaderValue>,
}

/// An answer with a body.
pub(super) struct Answer {
    pub(super) body: Vec<u8>,
    pub(super) validators: Validators,
}

/// Fetches one feed.
#[derive(Debug)]
pub(super) struct Fetcher {
    client: Client,
    headers: HeaderMap,
}

impl Fetcher {
    /// A client with the headers of a feed.
    ///
    /// # Errors
    /// If the certificates or a header cannot be used.
    pub(super) fn new(poll: &Poll) -> Result<Self, FetchError> {
        let tls = tls::client_config(poll.ca_file.as_deref())
            .map_err(|fault| FetchError::Settings(format!("ca_file: {fault}")))?;
        let client = Client::builder()
            .tls_backend_preconfigured(tls)
            // A redirect would carry the headers, and with them the token, to another server.
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .connect_timeout(CONNECT_WITHIN)
            .timeout(poll.timeout)
            .user_agent(concat!("watchtower/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| FetchError::Settings(without_url(error)))?;
        let mut headers = HeaderMap::new();
        for (name, value) in &poll.headers {
            let unusable = || FetchError::Settings(format!("headers: {name} cannot be sent"));
            let header = HeaderName::try_from(name.as_str()).map_err(|_| unusable())?;
            let mut value = HeaderValue::from_str(value.expose_secret()).map_err(|_| unusable())?;
            value.set_sensitive(true);
            headers.insert(header, value);
        }
        Ok(Self { client, headers })
    }

    /// The answer to a request; None if it is the one that `known` is of.
    ///
    /// # Errors
    /// If there is none, it is no success, or it is larger than `most` bytes.
    pub(super) async fn fetch(
        &self,
        poll: &Poll,
        cursor: &str,
        known: &Validators,
        most: usize,
    ) -> Result<Option<Answer>, FetchError> {
        let url = cursor::in_url(poll.url.expose_secret(), cursor);
        let url = Url::parse(&url).map_err(|_| FetchError::Settings("url: not a URL with this cursor".to_owned()))?;
        let method = if poll.body.is_some() { Method::POST } else { Method::GET };
        let mut request = self.client.request(method, url).headers(self.headers.clone());
        if let Some(body) = &poll.body {
            request = request.body(cursor::in_body(body.expose_secret(), cursor));
        }
        for (name, value) in [(IF_NONE_MATCH, &known.etag), (IF_MODIFIED_SINCE, &known.modified)] {
            if let Some(value) = value {
                request = request.header(name, value);
            }
        }
        let mut response = request.send().await.map_err(broken)?;
        let status = response.status();
        if status == StatusCode::NOT_MODIFIED {
            return Ok(None);
        }
        if status != StatusCode::OK {
            let header = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
            let retry_after = header.and_then(|value| retry_after(value, now_ms().div_euclid(1000)));
            return Err(FetchError::Status { status, retry_after });
        }
        let header = |name: HeaderName| response.headers().get(name).cloned();
        let validators = Validators { etag: header(ETAG), modified: header(LAST_MODIFIED) };
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(broken)? {
            if body.len() + chunk.len() > most {
                return Err(FetchError::TooLarge { most });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Some(Answer { body, validators }))
    }
}

fn broken(error: reqwest::Error) -> FetchError {
    FetchError::Broken(without_url(error))
}

/// The text of an error and of its causes, without the URL.
fn without_url(error: reqwest::Error) -> String {
    let error = error.without_url();
    let causes = std::iter::successors(std::error::Error::source(&error), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
