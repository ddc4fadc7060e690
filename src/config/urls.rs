//! The URLs of the servers: validates them, and explains the fault of an invalid one.
//!
//! Whatever their clients would refuse when they connect is refused here, with the correct notation.

use secrecy::SecretString;
use watchtower_log::redis::url::{UrlFault, url_fault};
use watchtower_store::postgres::connection_string::{
    ClientFault, Pairs, Shape, SslMode, client_fault, hosts, is_port, parameters, shape, split_host,
};

use super::kinds::{Value, Wrong, did_you_mean, either, text, wrong};
use super::nearest::nearest;

/// Form of a Redis URL, for messages.
const REDIS: &str = "redis://user:password@host:port/database (rediss:// with TLS)";

/// Form of a PostgreSQL URL, for messages.
const POSTGRES: &str = "postgres://user:password@host:port/database";

/// Hint for passwords with reserved characters.
const ENCODE: &str = "encode what means something in a URL in its user and password: \
                      @ as %40, : as %3A, / as %2F, ? as %3F, # as %23, % as %25";

/// The parameters that the PostgreSQL client knows.
const POSTGRES_PARAMETERS: [&str; 19] = [
    "application_name",
    "channel_binding",
    "connect_timeout",
    "dbname",
    "host",
    "hostaddr",
    "keepalives",
    "keepalives_idle",
    "keepalives_interval",
    "keepalives_retries",
    "load_balance_hosts",
    "options",
    "password",
    "port",
    "sslmode",
    "sslnegotiation",
    "target_session_attrs",
    "tcp_user_timeout",
    "user",
];

/// URL of the Redis that holds the log.
pub(super) fn redis_url(value: Value<'_>) -> Result<SecretString, Wrong> {
    let url = url_text(value, REDIS)?;
    let rest = after_scheme(url, &["redis", "rediss"], REDIS)?;
    redis_fault(url, rest).map_or_else(|| Ok(SecretString::from(url)), |fault| Err(found(&fault)))
}

/// URL of the PostgreSQL that holds the tables.
pub(super) fn store_url(value: Value<'_>) -> Result<SecretString, Wrong> {
    let url = url_text(value, POSTGRES)?;
    let fault = match shape(url) {
        Shape::Pairs => pairs_fault(url),
        Shape::Url { .. } | Shape::Other => {
            postgres_url_fault(after_scheme(url, &["postgres", "postgresql"], POSTGRES)?)
        }
    };
    fault
        .or_else(|| parameters_fault(url))
        .or_else(|| postgres_client_fault(url))
        .map_or_else(|| Ok(SecretString::from(url)), |fault| Err(found(&fault)))
}

/// The text of a URL, without surrounding white space, which variables often have.
fn url_text<'a>(value: Value<'a>, like: &str) -> Result<&'a str, Wrong> {
    let url = text(value, like)?.trim();
    if url.is_empty() {
        return Err(wrong(like, value));
    }
    if url.contains(char::is_control) {
        // The Redis client would silently ignore some of them.
        let hint = "between double quotes a backslash is written \\\\";
        return Err(format!("expected {like}, found a text with a character that is not printed; {hint}"));
    }
    Ok(url)
}

/// The fault of a URL. The URL itself is never repeated: it may hold a password.
fn found(fault: &str) -> Wrong {
    format!("found a URL with a fault: {fault}")
}

fn after_scheme<'a>(url: &'a str, schemes: &[&str], like: &str) -> Result<&'a str, Wrong> {
    match shape(url) {
        Shape::Url { scheme, rest } if schemes.contains(&scheme) => Ok(rest),
        Shape::Url { .. } => {
            let schemes = either(schemes.iter().map(|scheme| format!("{scheme}://")));
            Err(format!("expected {like}, found a URL of another kind; it must begin with {schemes}"))
        }
        // Its form is unknown, so none of it is shown.
        Shape::Pairs | Shape::Other => Err(format!("expected {like}, found a text that is no URL")),
    }
}

fn host_fault(host: &str) -> Option<String> {
    match split_host(host) {
        ("", _) => Some("it names no host".to_owned()),
        (_, Some(port)) if !is_port(port) => Some("what follows the host and a : must be a port, 1..=65535".to_owned()),
        (_, Some(_) | None) => None,
    }
}

fn redis_fault(url: &str, rest: &str) -> Option<String> {
    let target = rest.rsplit_once('@').map_or(rest, |(_, target)| target);
    if let Some(fault) = host_fault(hosts(target)) {
        return Some(fault);
    }
    match url_fault(url)? {
        UrlFault::Unreadable if rest.contains('@') => Some(ENCODE.to_owned()),
        UrlFault::Unreadable => Some("its host is no name and no address".to_owned()),
        UrlFault::UserWithoutPassword => {
            Some("it has a user without a password; a password alone is written redis://:password@host".to_owned())
        }
        UrlFault::Fragment => {
            Some("nothing can follow a #; certificates are always checked, a ca_file says whom to trust".to_owned())
        }
        UrlFault::Parameter(key) => {
            let hint = did_you_mean(nearest(&key, ["protocol"]));
            Some(format!("the only parameter is protocol=resp2 or protocol=resp3{hint}"))
        }
        UrlFault::Database => {
            Some("the database after the host must be a number, as in redis://host:6379/0".to_owned())
        }
        UrlFault::Refused => Some("the Redis client does not understand it".to_owned()),
    }
}

fn postgres_url_fault(rest: &str) -> Option<String> {
    if rest.matches('@').count() > 1 || rest.split_once('@').is_some_and(|(user, _)| user.contains(['/', '?', '#'])) {
        return Some(ENCODE.to_owned());
    }
    let hosts = hosts(rest.split_once('@').map_or(rest, |(_, target)| target));
    // Without hosts in the authority part, a parameter may name one.
    if hosts.is_empty() { None } else { hosts.split(',').find_map(host_fault) }
}

fn pairs_fault(text: &str) -> Option<String> {
    let pairs =
        "what is no URL is written key=value key='value with spaces', with a backslash before a ' or a backslash in it";
    Pairs::new(text).any(|pair| pair.is_err()).then(|| pairs.to_owned())
}

fn parameters_fault(url: &str) -> Option<String> {
    let (_, parameters) = parameters(url);
    parameters.iter().find_map(|parameter| match parameter.key {
        "sslmode" => ssl_mode_fault(parameter.value),
        "sslrootcert" => Some("the authorities to trust are named by the key `ca_file`, not by sslrootcert".to_owned()),
        "sslcert" | "sslkey" => Some("certificates of the client are not supported".to_owned()),
        key if POSTGRES_PARAMETERS.contains(&key) => None,
        // The name may be part of a password that is not encoded.
        key => match nearest(key, POSTGRES_PARAMETERS) {
            Some(meant) => Some(format!("it has an unknown parameter; did you mean `{meant}`?")),
            None => Some(format!("it has an unknown parameter (if that is a piece of the password: {ENCODE})")),
        },
    })
}

fn ssl_mode_fault(mode: &str) -> Option<String> {
    if SslMode::NAMES.iter().any(|(name, _)| *name == mode) {
        return None;
    }
    let modes = either(SslMode::NAMES.map(|(name, _)| name));
    Some(match mode {
        "verify-ca" => {
            "sslmode=verify-ca is not supported; use verify-full, which also checks the host's name".to_owned()
        }
        "allow" => "sslmode=allow is not supported; use prefer".to_owned(),
        _ => format!("sslmode must be {modes}{}", did_you_mean(nearest(mode, SslMode::NAMES.map(|(name, _)| name)))),
    })
}

fn postgres_client_fault(url: &str) -> Option<String> {
    Some(match client_fault(url)? {
        ClientFault::Value(key) => format!("the PostgreSQL client does not understand the value of {key}"),
        ClientFault::Unreadable => format!("the PostgreSQL client does not understand it ({ENCODE})"),
        ClientFault::NoHost => {
            "it names no host; a local socket is postgres:///database?host=/var/run/postgresql".to_owned()
        }
        ClientFault::Ports => "it names more ports than hosts".to_owned(),
    })
}
