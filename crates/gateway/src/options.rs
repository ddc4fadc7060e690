//! `[gateway]` and `[[source]]` of the configuration.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use watchtower_auth::signature::Scheme;
use watchtower_core::events::Limits;
use watchtower_inputs::SpeedUnit;
use watchtower_inputs::messages::{self, Format};

use crate::feeds::Feed;

/// The section `[gateway]`, and the sources.
#[derive(Clone, Debug)]
pub struct Options {
    /// Whether `watchtower run` serves it too.
    pub enabled: bool,
    /// Address of the gateway.
    pub listen: SocketAddr,
    /// Address of `/metrics` of a process that is nothing but a gateway; None: there is none.
    pub metrics: Option<SocketAddr>,
    /// Whether tokens are required on a loopback address as well.
    pub require_tokens: bool,
    /// PEM file of the certificate chain; with it, TLS is spoken.
    pub tls_certificate: Option<PathBuf>,
    /// PEM file of the key of that certificate.
    pub tls_key: Option<PathBuf>,
    /// Largest body as it is sent, bytes.
    pub max_body_bytes: usize,
    /// Largest body after it was inflated, bytes.
    pub max_inflated_bytes: usize,
    /// Greatest depth of JSON.
    pub max_json_depth: usize,
    /// Greatest number of events of a request.
    pub max_events: usize,
    /// Time limit for the TLS handshake and for the headers of a request.
    pub header_timeout: Duration,
    /// Time limit for the body of a request.
    pub read_timeout: Duration,
    /// Greatest number of connections; a further one takes the place of the one that was idle for longest.
    pub max_connections: usize,
    /// Requests per second of each source and of each token, on average; 0: any number.
    pub max_rate: u32,
    /// Vehicles that each source and each token may name while this process runs; further ones are refused.
    pub max_ids: usize,
    /// The configured sources that send.
    pub sources: Vec<Source>,
    /// The configured sources that are fetched or subscribed to.
    pub feeds: Vec<Feed>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            enabled: false,
            listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8420),
            metrics: Some(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9465)),
            require_tokens: false,
            tls_certificate: None,
            tls_key: None,
            max_body_bytes: 8 << 20,
            max_inflated_bytes: 32 << 20,
            max_json_depth: messages::DEFAULT_MAX_JSON_DEPTH,
            max_events: messages::DEFAULT_MAX_EVENTS,
            header_timeout: Duration::from_secs(10),
            read_timeout: Duration::from_secs(30),
            max_connections: 800,
            max_rate: 0,
            max_ids: 1_000_000,
            sources: Vec::new(),
            feeds: Vec::new(),
        }
    }
}

impl Options {
    /// Whether requests without a token are served: from this machine alone.
    pub fn is_open(&self) -> bool {
        self.listen.ip().is_loopback() && !self.require_tokens
    }

    /// Whether some request is accepted with a token only.
    pub fn needs_tokens(&self) -> bool {
        let by_token = |source: &Source| match source.trust {
            Trust::Token | Trust::Bearer | Trust::Basic | Trust::Path => true,
            Trust::None | Trust::Signed(..) => false,
        };
        !self.is_open() || self.sources.iter().any(by_token)
    }
}

/// A `[[source]]`: a sender of messages, at `/in/<name>`.
#[derive(Clone, Debug)]
pub struct Source {
    /// Its name: lower-case letters, digits, `-` and `_`.
    pub name: String,
    /// The format of its messages.
    pub format: Format,
    /// How its requests are authenticated.
    pub trust: Trust,
    /// Header that holds the identifier of a delivery, lower case; None: that of the scheme, or `idempotency-key`.
    pub delivery_header: Option<String>,
    /// How long identifiers of deliveries are remembered.
    pub remember: Duration,
    /// Requests per second; None: as `[gateway] max_rate` has it.
    pub max_rate: Option<u32>,
    /// Zone of times that name none, as it was configured.
    pub time_zone: Option<String>,
    /// Unit of speeds that name none.
    pub speed_unit: Option<SpeedUnit>,
    /// The vehicle of messages that name none.
    pub vehicle_id: Option<String>,
    /// Whether names that vessels report become vehicle events.
    pub vessel_names: bool,
}

/// How the requests of a source are authenticated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// Not at all: only on a loopback address.
    None,
    /// A token in any of the places below.
    Token,
    /// `Authorization: Bearer <token>`.
    Bearer,
    /// `Authorization: Basic`: any user, the token as the password.
    Basic,
    /// The token in the path: `/in/<name>/<token>`.
    Path,
    /// A signature of the body by any of the keys.
    Signed(Scheme, Keys),
}

/// Keys of signatures; never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Keys(pub Vec<Vec<u8>>);

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keys({})", self.0.len())
    }
}

impl Source {
    /// The source that is served without configuration at the name of its format.
    pub fn of_format(format: Format, trust: Trust) -> Self {
        Self {
            name: format.name().to_owned(),
            format,
            trust,
            delivery_header: None,
            remember: Self::REMEMBER,
            max_rate: None,
            time_zone: None,
            speed_unit: None,
            vehicle_id: None,
            vessel_names: false,
        }
    }

    /// How long identifiers are remembered unless configured: senders of webhooks retry for up to about three days.
    pub const REMEMBER: Duration = Duration::from_secs(5 * 24 * 60 * 60);

    /// How messages of this source are read.
    pub fn reading(&self, options: &Options, limits: &Limits) -> messages::Options {
        let zone = self.time_zone.as_deref();
        messages::Options {
            time_zone: zone.map(|zone| watchtower_inputs::parse_time_zone(zone).expect("the configuration checks it")),
            speed_unit: self.speed_unit,
            vehicle_id: self.vehicle_id.clone(),
            vessel_names: self.vessel_names,
            limits: limits.clone(),
            max_events: options.max_events,
            max_json_depth: options.max_json_depth,
        }
    }
}
