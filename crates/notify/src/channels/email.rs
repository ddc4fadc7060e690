//! Mail over SMTP: one message for each event, plain text and HTML.
//!
//! `Message-ID` is made of the key of the delivery, so that a mail server or reader that has seen it can drop a repeated
//! one; corrections refer to the subject's first message by `References`, so that readers show them as one conversation.

use std::time::Duration;

use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart, SinglePart};
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use secrecy::ExposeSecret;
use sha2::{Digest, Sha256};
use watchtower_core::outbox::AlertEvent;

use super::{Fault, SendError, Sent, Surroundings};
use crate::message::{Escape, Texts};
use crate::notice::Notice;
use crate::options::Email;

/// Longest subject line, characters.
const MAX_SUBJECT_CHARS: usize = 120;

#[derive(Debug)]
pub(crate) struct Sender {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
    to: Vec<Mailbox>,
    line: Texts,
    plain: Texts,
    html: Texts,
}

impl Sender {
    pub(super) fn open(options: &Email, timeout: Duration, around: &Surroundings) -> Result<Self, String> {
        let Email { url, from, to, ca_file } = options;
        let mailbox = |text: &String| text.parse::<Mailbox>().map_err(|error| format!("{text}: {error}"));
        let url = url.expose_secret();
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::from_url(url)
            .map_err(|_| "the url is not one of a mail server".to_owned())?
            .timeout(Some(timeout));
        if let Some(path) = ca_file {
            let failed = |fault: String| format!("ca_file {}: {fault}", path.display());
            let pem = std::fs::read(path).map_err(|error| failed(error.to_string()))?;
            let certificate = Certificate::from_pem(&pem).map_err(|error| failed(error.to_string()))?;
            let host = host(url).ok_or("the url has no host")?;
            let parameters = TlsParameters::builder(host).add_root_certificate(certificate).build();
            let parameters = parameters.map_err(|error| failed(error.to_string()))?;
            let is_wrapped = url.starts_with("smtps:");
            builder = builder.tls(if is_wrapped { Tls::Wrapper(parameters) } else { Tls::Required(parameters) });
        }
        let texts = |escape| Texts::new(around.zone.clone(), escape);
        Ok(Self {
            transport: builder.build(),
            from: mailbox(from)?,
            to: to.iter().map(mailbox).collect::<Result<_, _>>()?,
            line: texts(Escape::Line),
            plain: texts(Escape::Nothing),
            html: texts(Escape::Html),
        })
    }

    pub(super) async fn send(&self, notice: &Notice) -> Result<Sent, SendError> {
        let message = self.message(notice).map_err(SendError::impossible)?;
        match self.transport.send(message).await {
            Ok(_) => Ok(notice.external_ref.clone().or_else(|| Some(self.message_id(&notice.key)))),
            Err(error) => {
                // 5xx is about this message or its recipients; what else fails is about the server.
                let fault = if error.is_permanent() { Fault::Refused } else { Fault::Away { retry_after: None } };
                Err(SendError { text: error.to_string(), fault })
            }
        }
    }

    fn message_id(&self, key: &str) -> String {
        format!("<{key}@{}>", self.from.email.domain())
    }

    fn message(&self, notice: &Notice) -> Result<Message, String> {
        let subject: String = self
            .line
            .text(notice)
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .take(MAX_SUBJECT_CHARS)
            .collect();
        let severity = notice.text("severity").to_uppercase();
        let mut builder = Message::builder()
            .from(self.from.clone())
            .subject(format!("[{severity}] {subject}"))
            .message_id(Some(self.message_id(&notice.key)));
        for to in &self.to {
            builder = builder.to(to.clone());
        }
        if let Some(first) = notice.external_ref.clone().filter(|_| notice.event != AlertEvent::Raised) {
            builder = builder.in_reply_to(first.clone()).references(first);
        }
        let name = HeaderName::new_from_ascii_str("Auto-Submitted");
        let builder = builder.raw_header(HeaderValue::new(name, "auto-generated".to_owned()));
        let facts = facts(notice);
        let plain = format!("{}\n\n{}", self.plain.text(notice), facts.join("\n"));
        let html = format!("<p>{}</p>\n<pre>{}</pre>\n", self.html.text(notice), html_escaped(&facts.join("\n")));
        // The boundary between the parts is a function of the delivery, too: every attempt sends the same bytes.
        let parts = MultiPart::alternative()
            .boundary(boundary(&notice.key))
            .singlepart(SinglePart::builder().header(ContentType::TEXT_PLAIN).body(plain))
            .singlepart(SinglePart::builder().header(ContentType::TEXT_HTML).body(html));
        builder.multipart(parts).map_err(|error| error.to_string())
    }
}

/// What a reader of the mail may look up.
fn facts(notice: &Notice) -> Vec<String> {
    let row = notice.latest();
    let cell = |name: &str| row[name].as_str().filter(|text| !text.is_empty()).map(|text| format!("{name}: {text}"));
    let names = ["rule_id", "kind", "vehicle_id", "geofence_id", "severity", "at"];
    let mut facts: Vec<String> = names.iter().filter_map(|name| cell(name)).collect();
    facts.push(format!("subject: {}", notice.subject));
    facts.push(format!("event: {}, revision {}", notice.event.name(), notice.revision));
    facts
}

fn html_escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn boundary(key: &str) -> String {
    Sha256::digest(key)[..16].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The host in a URL.
fn host(url: &str) -> Option<String> {
    let parsed = reqwest::Url::parse(url).ok()?;
    parsed.host_str().map(str::to_owned)
}
