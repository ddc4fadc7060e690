//! How Slack is reached.

use std::path::PathBuf;
use std::time::Duration;

use reqwest::Url;

/// Slack's own base URL.
const BASE_URL: &str = "https://slack.com/api/";

/// How Slack is reached. No request takes longer than its time limits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// What the names of methods are appended to: `https://slack.com/api/`, or that of a compatible server.
    pub base_url: String,
    /// Time limit for a connection [5 s].
    pub connect_timeout: Duration,
    /// Time limit for a request with its answer [30 s]; longer than that for a connection, or a request that was never
    /// sent counts as one that may have been carried out.
    pub timeout: Duration,
    /// PEM file with the authorities that are trusted instead of the public ones.
    pub ca_file: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            base_url: BASE_URL.to_owned(),
            connect_timeout: Duration::from_secs(5),
            timeout: Duration::from_secs(30),
            ca_file: None,
        }
    }
}

/// A client cannot be made of these settings. No text has a token or the URL of a webhook in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// The URL cannot be used.
    #[error("{what} is not usable: {fault}")]
    Url {
        /// Which one: the base URL, or that of a webhook.
        what: &'static str,
        /// What is wrong with it.
        fault: &'static str,
    },
    /// The token has characters that no token has.
    #[error("the Slack token has a character that cannot be sent in a header, such as a line break")]
    Token,
    /// The time limits contradict each other.
    #[error("the time limit of a connection has to be shorter than that of a request")]
    Timeouts,
    /// The certificates cannot be used.
    #[error("cannot use the certificate authorities: {fault}")]
    Tls {
        /// What is wrong with them.
        fault: String,
    },
}

/// A URL that a secret may be sent to: `https`, or `http` to this machine.
///
/// # Errors
/// If it is none.
pub(crate) fn checked_url(what: &'static str, url: &str) -> Result<Url, SettingsError> {
    let unusable = |fault| SettingsError::Url { what, fault };
    let url = Url::parse(url).map_err(|_| unusable("it is no URL"))?;
    let host = url.host_str().ok_or_else(|| unusable("it names no host"))?;
    let is_here = matches!(host, "localhost" | "127.0.0.1" | "[::1]");
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_here => Ok(url),
        "http" => Err(unusable("http would send the token unencrypted; use https")),
        _ => Err(unusable("it does not begin with https://")),
    }
}

impl Options {
    /// The base URL, which ends with a slash.
    ///
    /// # Errors
    /// If it cannot be used.
    pub(crate) fn base(&self) -> Result<Url, SettingsError> {
        let mut base = checked_url("the Slack base URL", &self.base_url)?;
        if !base.path().ends_with('/') {
            base.set_path(&format!("{}/", base.path()));
        }
        Ok(base)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_sent_over_tls_or_to_this_machine() {
        let base = |url: &str| Options { base_url: url.to_owned(), ..Options::default() }.base();
        assert_eq!(base(BASE_URL).unwrap().as_str(), BASE_URL);
        assert_eq!(base("https://slack.example/api").unwrap().as_str(), "https://slack.example/api/");
        assert_eq!(base("http://127.0.0.1:8080").unwrap().as_str(), "http://127.0.0.1:8080/");
        for url in ["http://slack.com/api/", "ftp://slack.com/", "slack.com/api", "", "http://127.0.0.1.example/"] {
            assert!(base(url).is_err(), "{url}");
        }
    }
}
