//! The client of a bot token: who it is, posting and updating.

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{RequestBuilder, Url};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::Error;
use crate::http::{Answer, Http, send};
use crate::metadata::Metadata;
use crate::options::{Options, SettingsError};
use crate::text::{MAX_TEXT, MAX_UPDATE_TEXT, clip};

/// JSON in UTF-8; Slack warns of a missing character set.
pub(crate) const JSON: &str = "application/json; charset=utf-8";
const FORM: &str = "application/x-www-form-urlencoded";

/// A client of a workspace, by the token of a bot. Cloning shares its connections.
#[derive(Clone, Debug)]
pub struct Client {
    pub(crate) http: Http,
    base: Url,
    token: SecretString,
}

/// A message to post.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    /// The channel's ID, such as `C0123456789`; Slack accepts a public channel's name, too.
    pub channel: &'a str,
    /// mrkdwn; beside blocks, what notifications show. Clipped to [`MAX_TEXT`]; a message that is to be edited is best
    /// clipped to [`MAX_UPDATE_TEXT`] by the caller.
    pub text: &'a str,
    /// Blocks of the Block Kit: an array.
    pub blocks: Option<&'a Value>,
    /// `ts` of the message whose thread this belongs to; never that of a reply.
    pub thread_ts: Option<&'a str>,
    /// What the message is found by.
    pub metadata: Option<&'a Metadata>,
}

/// New contents of a message.
#[derive(Clone, Copy, Debug)]
pub struct Update<'a> {
    /// The channel's ID as the post returned it; a name is refused.
    pub channel: &'a str,
    /// `ts` of the message.
    pub ts: &'a str,
    /// mrkdwn, clipped to [`MAX_UPDATE_TEXT`].
    pub text: &'a str,
    /// Blocks; without them, those of before are removed.
    pub blocks: Option<&'a Value>,
    /// Without it, the message keeps its metadata.
    pub metadata: Option<&'a Metadata>,
}

/// Where a message is.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Posted {
    /// The channel's ID.
    pub channel: String,
    /// Name of the message within the channel: epoch seconds with six digits, to be kept as text.
    pub ts: String,
}

/// The workspace and the bot of a token.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Identity {
    /// The workspace's ID, such as `T0123456789`.
    pub team_id: String,
    /// The workspace's name.
    pub team: String,
    /// The bot user's ID, such as `U0123456789`.
    pub user_id: String,
    /// The bot's ID, such as `B0123456789`; none for the token of a user.
    pub bot_id: Option<String>,
    /// The scopes of the token, such as `chat:write`; empty if the server does not list them.
    #[serde(skip)]
    pub scopes: Vec<String>,
}

/// Fields of `chat.postMessage` and of an incoming webhook.
/// Source: <https://docs.slack.dev/reference/methods/chat.postMessage>.
#[derive(Serialize)]
pub(crate) struct PostBody<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    channel: Option<&'a str>,
    text: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    blocks: Option<&'a Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thread_ts: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<&'a Metadata>,
    /// No preview of pages and images that a text links to: it could be anything, and is fetched by Slack.
    unfurl_links: bool,
    unfurl_media: bool,
    /// Neither URLs nor names in a text become links: only what is in `<..>`.
    parse: &'static str,
    link_names: bool,
}

impl<'a> PostBody<'a> {
    pub(crate) fn new(channel: Option<&'a str>, text: &'a str, message: &Message<'a>) -> Self {
        let Message { channel: _, text: _, blocks, thread_ts, metadata } = *message;
        Self {
            channel,
            text,
            blocks,
            thread_ts,
            metadata,
            unfurl_links: false,
            unfurl_media: false,
            parse: "none",
            link_names: false,
        }
    }
}

/// Fields of `chat.update`, whose defaults of `parse` and `link_names` are not those of the post.
/// Source: <https://docs.slack.dev/reference/methods/chat.update>.
#[derive(Serialize)]
struct UpdateBody<'a> {
    channel: &'a str,
    ts: &'a str,
    text: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    blocks: Option<&'a Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<&'a Metadata>,
    parse: &'static str,
    link_names: bool,
}

impl Client {
    /// A client of a bot token (`xoxb-..`). Nothing is sent yet.
    ///
    /// # Errors
    /// If the base URL, the token, the time limits or the certificates cannot be used.
    pub fn new(token: SecretString, options: &Options) -> Result<Self, SettingsError> {
        let client = Self { http: Http::new(options)?, base: options.base()?, token };
        client.bearer().ok_or(SettingsError::Token)?;
        Ok(client)
    }

    /// The workspace and the bot of the token, with its scopes.
    ///
    /// # Errors
    /// If the token is not valid, or Slack cannot be asked.
    pub async fn auth_test(&self) -> Result<Identity, Error> {
        let answer = send(self.form("auth.test", &[])).await?;
        let scopes = answer.scopes.clone().unwrap_or_default();
        let mut identity: Identity = answer.of_method()?;
        identity.scopes =
            scopes.split(',').map(str::trim).filter(|scope| !scope.is_empty()).map(str::to_owned).collect();
        Ok(identity)
    }

    /// Posts a message (`chat.postMessage`, scope `chat:write`), as plain mrkdwn without previews of links.
    ///
    /// # Errors
    /// All kinds. After one that [may have happened](Error::may_have_happened), [`Self::find`] the message before it is
    /// posted again.
    pub async fn post(&self, message: &Message<'_>) -> Result<Posted, Error> {
        let text = clip(message.text, MAX_TEXT);
        self.json("chat.postMessage", &PostBody::new(Some(message.channel), &text, message)).await?.of_method()
    }

    /// Replaces the contents of a message (`chat.update`, scope `chat:write`). Readers are not notified.
    ///
    /// # Errors
    /// All kinds. An update that may have happened can be repeated: it sets a value.
    pub async fn update(&self, update: &Update<'_>) -> Result<Posted, Error> {
        let Update { channel, ts, text, blocks, metadata } = *update;
        let text = &clip(text, MAX_UPDATE_TEXT);
        let body = UpdateBody { channel, ts, text, blocks, metadata, parse: "none", link_names: false };
        self.json("chat.update", &body).await?.of_method()
    }

    /// Sends a method with JSON.
    ///
    /// # Errors
    /// If there is no answer.
    pub(crate) async fn json(&self, method: &str, body: &impl Serialize) -> Result<Answer, Error> {
        let body = serde_json::to_vec(body).expect("texts, booleans and JSON are serializable");
        send(self.method(method).header(CONTENT_TYPE, JSON).body(body)).await
    }

    /// A method with a form, which all that read demand.
    pub(crate) fn form(&self, method: &str, fields: &[(&str, &str)]) -> RequestBuilder {
        let mut encoded = self.base.clone();
        encoded.set_query(None);
        encoded.query_pairs_mut().extend_pairs(fields);
        let body = encoded.query().unwrap_or_default().to_owned();
        self.method(method).header(CONTENT_TYPE, FORM).body(body)
    }

    fn method(&self, method: &str) -> RequestBuilder {
        let url = self.base.join(method).expect("names of methods are relative URLs");
        let bearer = self.bearer().expect("the token was checked when the client was made");
        self.http.post(url).header(AUTHORIZATION, bearer)
    }

    fn bearer(&self) -> Option<HeaderValue> {
        let mut value = HeaderValue::from_str(&format!("Bearer {}", self.token.expose_secret())).ok()?;
        value.set_sensitive(true);
        Some(value)
    }

    /// Whether what Slack names is reached without TLS: only a server of this machine is.
    pub(crate) fn is_plain(&self) -> bool {
        self.base.scheme() == "http"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_is_in_no_text() {
        let client = Client::new("xoxb-secret".to_owned().into(), &Options::default()).unwrap();
        let request = client.form("auth.test", &[]).build().unwrap();
        assert_eq!(request.headers()[AUTHORIZATION], "Bearer xoxb-secret");
        for text in [format!("{client:?}"), format!("{request:?}")] {
            assert!(!text.contains("secret"), "{text}");
        }
        assert_eq!(Client::new("xoxb\n".to_owned().into(), &Options::default()).unwrap_err(), SettingsError::Token);
    }

    #[test]
    fn a_time_limit_for_connections_is_the_shorter_one() {
        let options = Options { connect_timeout: Options::default().timeout, ..Options::default() };
        assert_eq!(Client::new("xoxb-1".to_owned().into(), &options).unwrap_err(), SettingsError::Timeouts);
    }

    #[test]
    fn fields_of_forms_are_encoded() {
        let client = Client::new("xoxb-1".to_owned().into(), &Options::default()).unwrap();
        let request = client.form("conversations.history", &[("cursor", "a:b=&c"), ("limit", "1")]).build().unwrap();
        assert_eq!(request.url().as_str(), "https://slack.com/api/conversations.history");
        assert_eq!(request.body().unwrap().as_bytes().unwrap(), b"cursor=a%3Ab%3D%26c&limit=1");
    }
}
