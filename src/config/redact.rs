//! Connection strings without their passwords.

use super::connection::{Pairs, Shape, hosts, is_port, shape, split_host};

/// What stands for anything that may be secret.
const HIDDEN: &str = "***";

/// Parameters whose values may be shown. Of all others they are hidden, and of those that
/// [`SECRET_PARAMETERS`] does not name the name too: it may be a piece of a password that was not encoded.
const SHOWN_PARAMETERS: [&str; 21] = [
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
    "port",
    "protocol",
    "sslmode",
    "sslnegotiation",
    "sslrootcert",
    "target_session_attrs",
    "tcp_user_timeout",
    "user",
    "db",
];

/// Parameters that are shown without their values.
const SECRET_PARAMETERS: [&str; 4] = ["password", "pass", "passfile", "sslpassword"];

/// The schemes whose URLs are understood; of any other no more than the scheme is shown.
const SCHEMES: [&str; 4] = ["redis", "rediss", "postgres", "postgresql"];

/// A connection string with `***` for its password: a `redis` or `postgres` URL, or `host=.. password=..`.
///
/// The text may be malformed, and a password in it not encoded (`postgres://u:p@ss/w?rd@host/db`). Where it
/// is not certain what belongs to the password, more is hidden rather than less; of a text that is neither a
/// URL nor pairs, all of it. What cannot be told is a password that stands in the place of a host or port and
/// reads as one.
pub fn redacted(text: &str) -> String {
    let text = text.trim();
    match shape(text) {
        Shape::Url { scheme, rest } if SCHEMES.contains(&scheme.to_ascii_lowercase().as_str()) => {
            let only_password = scheme.to_ascii_lowercase().starts_with("redis");
            format!("{scheme}://{}", redacted_rest(rest, only_password))
        }
        Shape::Url { scheme, .. } => format!("{scheme}://{HIDDEN}"),
        Shape::Pairs => redacted_pairs(text),
        Shape::Other if text.is_empty() => String::new(),
        Shape::Other => HIDDEN.to_owned(),
    }
}

/// What follows `://`. `only_password`: what stands before the `@` is a password even without a colon, as
/// in the mistaken `redis://password@host`.
fn redacted_rest(rest: &str, only_password: bool) -> String {
    let Some(at) = rest.rfind('@') else { return redacted_target(rest) };
    let user_info = &rest[..at];
    if user_info.contains('?') {
        // Either the password has a `?`, or a parameter an `@`.
        return HIDDEN.to_owned();
    }
    let shown = match user_info.split_once(':') {
        // Without a password the user is none: `redis://password:@host`.
        Some((_, "")) if only_password => HIDDEN.to_owned(),
        Some((user, _)) if !user.contains(['/', '#']) => format!("{user}:{HIDDEN}"),
        None if !only_password && !user_info.contains(['/', '#']) => user_info.to_owned(),
        Some(_) | None => HIDDEN.to_owned(),
    };
    format!("{shown}@{}", redacted_target(&rest[at + 1..]))
}

/// `host:port,host:port/path?parameters`. What stands where a host and a port should be is shown only if it
/// reads as one.
fn redacted_target(target: &str) -> String {
    let mut start = 0;
    for host in hosts(target).split(',') {
        let (name, port) = split_host(host);
        if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._%:[]".contains(&byte)) {
            return format!("{}{HIDDEN}", &target[..start]);
        }
        if port.is_some_and(|port| !is_port(port)) {
            return format!("{}:{HIDDEN}", &target[..start + name.len()]);
        }
        start += host.len() + 1;
    }
    if let Some((before, _)) = target.split_once('#') {
        return format!("{}#{HIDDEN}", redacted_target(before));
    }
    match target.split_once('?') {
        Some((before, query)) => {
            let parameters = query.split('&').map(|parameter| match parameter.split_once('=') {
                Some((key, _)) => redacted_parameter(key, parameter),
                None => HIDDEN.to_owned(),
            });
            format!("{before}?{}", joined(parameters, "&"))
        }
        None => target.to_owned(),
    }
}

fn redacted_pairs(text: &str) -> String {
    let pairs = Pairs::new(text)
        .map(|pair| pair.map_or_else(|_| HIDDEN.to_owned(), |pair| redacted_parameter(pair.key, pair.written)));
    joined(pairs, " ")
}

fn redacted_parameter(key: &str, written: &str) -> String {
    if SHOWN_PARAMETERS.contains(&key) {
        written.to_owned()
    } else if SECRET_PARAMETERS.contains(&key) {
        format!("{key}={HIDDEN}")
    } else {
        HIDDEN.to_owned()
    }
}

/// Joined; what is hidden wholly is no new piece after something hidden.
fn joined(pieces: impl Iterator<Item = String>, separator: &str) -> String {
    let mut text = String::new();
    for piece in pieces {
        if piece == HIDDEN && text.ends_with(HIDDEN) {
            continue;
        }
        if !text.is_empty() {
            text.push_str(separator);
        }
        text.push_str(&piece);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_replaced_and_the_rest_is_kept() {
        for (text, shown) in [
            ("redis://127.0.0.1:6379", "redis://127.0.0.1:6379"),
            ("redis://:secret@cache:6379/2", "redis://:***@cache:6379/2"),
            ("rediss://fleet:secret@cache/0?protocol=resp3", "rediss://fleet:***@cache/0?protocol=resp3"),
            ("postgres://wt@db/lagos?sslmode=verify-full", "postgres://wt@db/lagos?sslmode=verify-full"),
            ("postgresql://wt:secret@a:5432,[::1]:5433/lagos", "postgresql://wt:***@a:5432,[::1]:5433/lagos"),
            (
                "postgres://wt@db/lagos?password=secret&sslmode=require",
                "postgres://wt@db/lagos?password=***&sslmode=require",
            ),
            ("host=db user=wt password=secret dbname=lagos", "host=db user=wt password=*** dbname=lagos"),
            (r"password = 'se \' cret' host=db", "password=*** host=db"),
            ("", ""),
        ] {
            assert_eq!(redacted(text), shown, "{text}");
        }
    }

    #[test]
    fn passwords_that_are_not_encoded_are_replaced_whole() {
        for (text, shown) in [
            ("postgres://u:p@ss@host/db", "postgres://u:***@host/db"),
            ("postgres://u:p/s:s@host/db", "postgres://u:***@host/db"),
            ("redis://:p#s@host", "redis://:***@host"),
            ("postgres://u:p?s@host/db", "postgres://***"),
            ("postgres://host/db?password=p@ss", "postgres://***"),
            ("postgres://host/db?password=p&s=s&user=u", "postgres://host/db?password=***&user=u"),
            ("host=db password=my secret user=u", "host=db password=***"),
            ("password='never closed host=db", "***"),
        ] {
            assert_eq!(redacted(text), shown, "{text}");
        }
    }

    #[test]
    fn of_what_is_no_url_nothing_is_shown() {
        for (text, shown) in [
            ("postgres://user:secret", "postgres://user:***"),
            ("postgres://user:secret/db", "postgres://user:***"),
            ("redis://secret@host", "redis://***@host"),
            ("redis://secret:@host", "redis://***@host"),
            ("redis://host#secret", "redis://host#***"),
            ("redis://my secret", "redis://***"),
            ("redis://host,se!cret", "redis://host,***"),
            ("redis://host:/secret", "redis://host:***"),
            ("mysql://user:secret@host/db", "mysql://***"),
            ("user:secret@host:5432/db", "***"),
            ("postgres:/user:secret@host", "***"),
            ("user:se=cret@host", "***"),
            ("secret", "***"),
        ] {
            assert_eq!(redacted(text), shown, "{text}");
        }
    }
}
