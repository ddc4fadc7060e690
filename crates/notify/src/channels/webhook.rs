//! HTTP POST to a receiver, signed by Standard Webhooks.
//!
//! The addresses of the receiver are judged when it is connected to, after resolution ([`watchtower_auth::guard`]); an
//! address in the URL itself is judged before. Redirects are not followed, proxies of the environment are not used: both
//! would connect elsewhere. Of an answer only the status, `Retry-After` and a little of the body are read.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Client, StatusCode, Url};
use secrecy::ExposeSecret;
use watchtower_auth::guard::AddressGuard;
use watchtower_auth::{signature, tls};

use super::{Fault, SendError, Sent, Surroundings};
use crate::envelope::body;
use crate::message::{Escape, Texts};
use crate::notice::Notice;
use crate::options::{Format, Keys, Webhook};
use crate::retry::retry_after;

/// Time limit for a connection, TLS included.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// Bytes of the body of an answer that are read: a few for the error that is stored.
const MAX_ANSWER_BYTES: usize = 1 << 10;
/// Characters of that body that an error repeats.
const MAX_REPEATED_CHARS: usize = 200;

#[derive(Debug)]
pub(crate) struct Sender {
    client: Client,
    url: Url,
    headers: HeaderMap,
    keys: Keys,
    format: Format,
    guard: AddressGuard,
    texts: Texts,
}

impl Sender {
    pub(super) fn open(options: &Webhook, timeout: Duration, around: &Surroundings) -> Result<Self, String> {
        let Webhook { url, keys, format, guard, headers, ca_file } = options;
        Webhook::check_url(url).map_err(|fault| format!("url: {fault}"))?;
        let url = Url::parse(url.expose_secret()).map_err(|_| "url: not a URL".to_owned())?;
        let tls = tls::client_config(ca_file.as_deref()).map_err(|fault| format!("ca_file: {fault}"))?;
        let client = Client::builder()
            .tls_backend_preconfigured(tls)
            .dns_resolver(Arc::new(GuardedResolver(guard.clone())))
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .referer(false)
            .connect_timeout(CONNECT_WITHIN)
            .timeout(timeout)
            .user_agent(concat!("watchtower/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| error.without_url().to_string())?;
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            let unusable = || format!("headers: {name} cannot be sent");
            let header = HeaderName::try_from(name.as_str()).map_err(|_| unusable())?;
            let mut value = HeaderValue::from_str(value.expose_secret()).map_err(|_| unusable())?;
            value.set_sensitive(true);
            map.insert(header, value);
        }
        map.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let texts = Texts::new(around.zone.clone(), Escape::Nothing);
        Ok(Self { client, url, headers: map, keys: keys.clone(), format: *format, guard: guard.clone(), texts })
    }

    pub(super) async fn send(&self, notice: &Notice) -> Result<Sent, SendError> {
        let Some(body) = body(self.format, notice, &self.texts) else { return Ok(None) };
        self.judge_literal_address()?;
        let timestamp_s = Timestamp::now().as_second();
        let mut request = self.client.post(self.url.clone()).headers(self.headers.clone());
        request = request.header("webhook-id", &notice.key).header("webhook-timestamp", timestamp_s.to_string());
        let Keys(keys) = &self.keys;
        if !keys.is_empty() {
            let signature = signature::sign_standard(keys, &notice.key, timestamp_s, &body);
            request = request.header("webhook-signature", signature);
        }
        let mut response = request.body(body).send().await.map_err(unsent)?;
        let status = response.status();
        if status.is_success() {
            return Ok(None);
        }
        let header = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        let asked = header.and_then(|value| retry_after(value, Timestamp::now().as_millisecond()));
        let mut answer = Vec::new();
        while answer.len() < MAX_ANSWER_BYTES
            && let Ok(Some(chunk)) = response.chunk().await
        {
            answer.extend_from_slice(&chunk[..chunk.len().min(MAX_ANSWER_BYTES - answer.len())]);
        }
        Err(refused(status, asked, &String::from_utf8_lossy(&answer)))
    }

    /// Refuses an address in the URL, which no resolver sees.
    fn judge_literal_address(&self) -> Result<(), SendError> {
        let host = self.url.host_str().unwrap_or_default();
        let literal = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        match literal {
            Ok(address) if !self.guard.permits(address) => Err(SendError::away(not_permitted(&[address]))),
            Ok(_) | Err(_) => Ok(()),
        }
    }
}

fn not_permitted(addresses: &[IpAddr]) -> String {
    let addresses: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    format!(
        "{} is not on the public internet: name its network in allow if it is meant to be reached",
        addresses.join(", ")
    )
}

/// An attempt without an answer. The text names neither URL nor header.
fn unsent(error: reqwest::Error) -> SendError {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    SendError::away(text)
}

/// What follows from the status of an answer that is no success.
fn refused(status: StatusCode, asked: Option<Duration>, answer: &str) -> SendError {
    let said: String = answer.chars().filter(|c| !c.is_control()).take(MAX_REPEATED_CHARS).collect();
    let text = if said.trim().is_empty() { format!("answered {status}") } else { format!("answered {status}: {said}") };
    let fault = match status {
        StatusCode::GONE => Fault::Gone,
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS => {
            Fault::Away { retry_after: asked }
        }
        status if status.is_server_error() || asked.is_some() => Fault::Away { retry_after: asked },
        // A redirect is not followed, and about the endpoint rather than the message.
        status if status.is_redirection() => Fault::Away { retry_after: None },
        _ => Fault::Refused,
    };
    SendError { text, fault }
}

/// Resolves names with the system's resolver, and leaves out what may not be connected to.
#[derive(Debug)]
struct GuardedResolver(AddressGuard);

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let guard = self.0.clone();
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let (permitted, others): (Vec<SocketAddr>, Vec<SocketAddr>) =
                found.into_iter().partition(|address| guard.permits(address.ip()));
            if permitted.is_empty() {
                let others: Vec<IpAddr> = others.iter().map(SocketAddr::ip).collect();
                return Err(not_permitted(&others).into());
            }
            let addresses: Addrs = Box::new(permitted.into_iter());
            Ok(addresses)
        })
    }
}
