//! `[[source]]` with `url` or `mqtt`.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;
use watchtower_core::events::Limits;
use watchtower_inputs::SpeedUnit;
use watchtower_inputs::messages::{self, Format, Records};

use super::cursor::CURSOR;

/// Events and refusals of one answer: the largest feeds of a city have some ten thousand vehicles.
const MAX_EVENTS: usize = 1_000_000;

/// A source that is fetched or subscribed to.
#[derive(Clone, Debug)]
pub struct Feed {
    /// Its name: lower-case letters, digits, `-` and `_`.
    pub name: String,
    /// Where its data comes from.
    pub supply: Supply,
    /// Zone of times that name none, as it was configured.
    pub time_zone: Option<String>,
    /// Unit of speeds that name none.
    pub speed_unit: Option<SpeedUnit>,
    /// The vehicle of records that name none.
    pub vehicle_id: Option<String>,
}

/// Where the data of a feed comes from.
#[derive(Clone, Debug)]
pub enum Supply {
    /// A URL that is fetched again and again.
    Poll(Box<Poll>),
    /// Topics of an MQTT broker.
    Mqtt(Box<Mqtt>),
}

impl fmt::Display for Supply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Poll(poll) => {
                let format = match &poll.content {
                    Content::Snapshot(format) => format.name(),
                    Content::Records(_) => "json",
                };
                write!(f, "{format} from {}", super::cursor::server(&poll.url))
            }
            Self::Mqtt(mqtt) => write!(f, "owntracks from {}:{}", mqtt.host, mqtt.port),
        }
    }
}

/// A URL that is fetched again and again.
#[derive(Clone)]
pub struct Poll {
    /// The URL, `http://` or `https://`; `{cursor}` in it stands for the cursor.
    pub url: SecretString,
    /// Headers of each request: lower-case name, value.
    pub headers: Vec<(String, SecretString)>,
    /// Body of each request, which is a POST then; `{cursor}` in it stands for the cursor. None: a GET.
    pub body: Option<SecretString>,
    /// PEM file of the authorities that have signed the certificate of the server; None: the public ones.
    pub ca_file: Option<PathBuf>,
    /// What the answers hold.
    pub content: Content,
    /// The cursor of the first request.
    pub first_cursor: String,
    /// Wait between the end of a fetch and the next one.
    pub every: Duration,
    /// Time limit for a request, its answer included.
    pub timeout: Duration,
}

impl fmt::Debug for Poll {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { url, headers, body: _, ca_file: _, content, first_cursor: _, every, timeout: _ } = self;
        let names: Vec<&str> = headers.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("Poll")
            .field("server", &super::cursor::server(url))
            .field("headers", &names)
            .field("content", content)
            .field("every", every)
            .finish_non_exhaustive()
    }
}

/// What the answers of a URL hold.
#[derive(Clone, Debug)]
pub enum Content {
    /// The present state, whole in each answer, in a format of messages.
    Snapshot(Format),
    /// JSON records at configured places, with or without a cursor.
    Records(Records),
}

/// Topics of an MQTT broker, with payloads of OwnTracks.
#[derive(Clone, Debug)]
pub struct Mqtt {
    /// Host of the broker.
    pub host: String,
    /// Port of the broker.
    pub port: u16,
    /// Whether TLS is spoken.
    pub tls: bool,
    /// PEM file of the authorities that have signed the certificate of the broker; None: the public ones.
    pub ca_file: Option<PathBuf>,
    /// Topic filters.
    pub topics: Vec<String>,
    /// Client identifier; None: one of the pipeline and the source.
    pub client_id: Option<String>,
    /// User and password.
    pub credentials: Option<(String, SecretString)>,
}

impl Feed {
    /// How messages of this feed are read.
    pub fn reading(&self, gateway: &crate::Options, limits: &Limits) -> messages::Options {
        let zone = self.time_zone.as_deref();
        messages::Options {
            time_zone: zone.map(|zone| watchtower_inputs::parse_time_zone(zone).expect("the configuration checks it")),
            speed_unit: self.speed_unit,
            vehicle_id: self.vehicle_id.clone(),
            vessel_names: false,
            limits: limits.clone(),
            max_events: gateway.max_events.max(MAX_EVENTS),
            max_json_depth: gateway.max_json_depth,
        }
    }
}

/// Checks a URL that is to be fetched; it is not repeated in the fault, for it may hold a key.
///
/// # Errors
/// What is expected instead.
pub fn check_url(url: &str) -> Result<(), String> {
    let expected = || "expected http://host/path or https://host/path".to_owned();
    let parsed = reqwest::Url::parse(&url.replace(CURSOR, "0")).map_err(|_| expected())?;
    if !matches!(parsed.scheme(), "http" | "https") || !parsed.has_host() {
        return Err(expected());
    }
    if !parsed.username().is_empty() || parsed.password().is_some() {
        return Err("expected no user and password in the URL: put them into headers, as Authorization".to_owned());
    }
    if parsed.fragment().is_some() {
        return Err("expected no # in the URL; in a value it is written %23".to_owned());
    }
    Ok(())
}

/// Host, port and whether TLS is spoken, of `mqtt://host:1883` or `mqtts://host:8883`.
///
/// # Errors
/// What is expected instead.
pub fn check_broker(url: &str) -> Result<(String, u16, bool), String> {
    let expected =
        || "expected mqtt://host:1883 or mqtts://host:8883; user and password are keys of their own".to_owned();
    let parsed = reqwest::Url::parse(url).map_err(|_| expected())?;
    let tls = match parsed.scheme() {
        "mqtt" => false,
        "mqtts" => true,
        _ => return Err(expected()),
    };
    let bare = parsed.username().is_empty()
        && parsed.password().is_none()
        && matches!(parsed.path(), "" | "/")
        && parsed.query().is_none();
    let host = parsed.host_str().filter(|host| bare && !host.is_empty()).ok_or_else(expected)?;
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    Ok((host, parsed.port().unwrap_or(if tls { 8883 } else { 1883 }), tls))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_of_http_and_hold_no_password() {
        for url in ["http://127.0.0.1:80/feed.pb", "https://api.example/feed?after={cursor}&key=x"] {
            assert_eq!(check_url(url), Ok(()), "{url}");
        }
        for url in ["", "feed.pb", "ftp://a/b", "https://", "https://me:secret@a/b", "https://a/b#c"] {
            let fault = check_url(url).unwrap_err();
            assert!(!fault.contains("secret"), "{fault}");
        }
    }

    #[test]
    fn brokers_have_a_host_and_a_port() {
        assert_eq!(check_broker("mqtt://broker"), Ok(("broker".to_owned(), 1883, false)));
        assert_eq!(check_broker("mqtts://broker:9999/"), Ok(("broker".to_owned(), 9999, true)));
        assert_eq!(check_broker("mqtt://[::1]:7"), Ok(("::1".to_owned(), 7, false)));
        for url in ["broker", "broker:1883", "http://broker", "mqtt://", "mqtt://a:secret@b", "mqtt://b/topic"] {
            assert!(check_broker(url).is_err(), "{url}");
        }
    }
}
