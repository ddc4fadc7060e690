//! Incoming webhooks: a URL that posts to one channel, and nothing else.

use reqwest::Url;
use reqwest::header::CONTENT_TYPE;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use crate::client::{JSON, Message, PostBody};
use crate::error::{Error, printable};
use crate::http::{Http, send};
use crate::options::{Options, SettingsError, checked_url};
use crate::text::{MAX_TEXT, clip};

/// An incoming webhook. What it posts cannot be looked up, edited or replied to: Slack does not return its `ts`.
#[derive(Clone, Debug)]
pub struct Webhook {
    http: Http,
    /// A secret: the URL alone is enough to post.
    url: SecretString,
}

impl Webhook {
    /// A webhook by its URL, `https://hooks.slack.com/services/..`. Nothing is sent yet; the base URL is not used.
    ///
    /// # Errors
    /// If the URL, the time limits or the certificates cannot be used.
    pub fn new(url: SecretString, options: &Options) -> Result<Self, SettingsError> {
        let webhook = Self { http: Http::new(options)?, url };
        webhook.url()?;
        Ok(webhook)
    }

    /// Posts a text, mrkdwn clipped to [`MAX_TEXT`], with blocks of the Block Kit.
    /// Source: <https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks>.
    ///
    /// # Errors
    /// All kinds. Whether a post that may have happened did cannot be found out: sent again, it may be there twice.
    pub async fn post(&self, text: &str, blocks: Option<&Value>) -> Result<(), Error> {
        let url = self.url().expect("the URL was checked when the webhook was made");
        let text = clip(text, MAX_TEXT);
        let message = Message { channel: "", text: &text, blocks, thread_ts: None, metadata: None };
        let body = serde_json::to_vec(&PostBody::new(None, &text, &message)).expect("texts and JSON are serializable");
        let answer = send(self.http.post(url).header(CONTENT_TYPE, JSON).body(body)).await?.checked()?;
        let text = String::from_utf8_lossy(&answer.body);
        let code = printable(text.trim());
        let is_code = !code.is_empty() && code.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        match code.as_str() {
            "ok" if answer.status.is_success() => Ok(()),
            "rate_limited" | "ratelimited" => Err(Error::limited(None)),
            code if is_code => Err(Error::refused(code)),
            _ if answer.status.is_success() => Err(Error::Malformed { cause: "its text is not \"ok\"".to_owned() }),
            _ => Err(answer.refused()),
        }
    }

    fn url(&self) -> Result<Url, SettingsError> {
        checked_url("the URL of the Slack webhook", self.url.expose_secret())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_url_is_in_no_text() {
        let url = "https://hooks.slack.com/services/T1/B1/secret";
        let webhook = Webhook::new(url.to_owned().into(), &Options::default()).unwrap();
        assert!(!format!("{webhook:?}").contains("secret"));
        let error = Webhook::new("http://hooks.slack.com/secret".to_owned().into(), &Options::default()).unwrap_err();
        assert!(!error.to_string().contains("secret"), "{error}");
    }
}
