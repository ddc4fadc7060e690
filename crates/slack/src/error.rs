//! What a caller has to do when a request fails.

use std::time::Duration;

use serde::Deserialize;

use crate::cure::cure;

/// Wait where Slack limits the rate without stating how long: its windows are minutes.
const DEFAULT_WAIT: Duration = Duration::from_secs(30);
/// A longer wait is taken as this: a later request is refused again if it has to be.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);
/// Length of an error code of Slack that is repeated in a text, characters.
const MAX_CODE: usize = 100;

/// A request failed. No text has a token, a URL or the text of a message in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Slack refused the request for its rate, and did nothing. Send it again after the wait, and pass the wait to
    /// [`Buckets::limited`](crate::Buckets::limited).
    #[error("Slack limits the rate: the next request is accepted in {} s", after.as_secs())]
    RateLimited {
        /// What `Retry-After` states, at most an hour; 30 s without it.
        after: Duration,
    },
    /// The request was sent and its reply is lost: Slack may have done it, or may still do it. Look the message up
    /// ([`Client::find`](crate::Client::find)) before it is posted again; an update may be repeated as it is.
    #[error("the request may have been carried out: {cause}")]
    Ambiguous {
        /// How the reply was lost.
        cause: String,
    },
    /// Slack did nothing, because the request did not arrive or came at a bad moment. Send it again later.
    #[error("the request was not carried out: {cause}")]
    Transient {
        /// What prevented it.
        cause: String,
    },
    /// Slack did nothing and would refuse the same request again. An operator has to act.
    #[error("Slack refused the request ({error}): {cure}")]
    Refused {
        /// Slack's code, such as `channel_not_found`, or `http_404` for a status without one.
        error: String,
        /// What the operator has to do: a sentence.
        cure: String,
    },
    /// What answered does not answer as Slack does. A request that reached Slack through it may have been carried out.
    #[error("the answer is not Slack's: {cause}")]
    Malformed {
        /// What is wrong with it.
        cause: String,
    },
}

impl Error {
    /// Whether the request may have been carried out all the same, so that a message has to be looked up before it is
    /// posted again.
    pub fn may_have_happened(&self) -> bool {
        match self {
            Self::Ambiguous { .. } | Self::Malformed { .. } => true,
            Self::RateLimited { .. } | Self::Transient { .. } | Self::Refused { .. } => false,
        }
    }

    /// A rate limit with what `Retry-After` states.
    pub(crate) fn limited(after: Option<Duration>) -> Self {
        Self::RateLimited { after: after.unwrap_or(DEFAULT_WAIT).min(LONGEST_WAIT) }
    }

    /// A code of Slack with what the operator has to do.
    pub(crate) fn refused(code: &str) -> Self {
        Self::Refused { error: code.to_owned(), cure: cure(code).to_owned() }
    }
}

/// What every answer of the Web API begins with.
#[derive(Debug, Deserialize)]
pub(crate) struct Envelope {
    pub(crate) ok: bool,
    error: Option<String>,
    /// The scopes that the method needs, with `missing_scope`.
    needed: Option<String>,
    /// The scopes that the token has, with `missing_scope`.
    provided: Option<String>,
}

impl Envelope {
    /// What an answer with `ok: false` means.
    pub(crate) fn failure(self, retry_after: Option<Duration>) -> Error {
        let Self { ok: _, error, needed, provided } = self;
        let code = printable(error.as_deref().unwrap_or("no_error_code"));
        match code.as_str() {
            // With status 200, too: neither slack_sdk 3.48.0 nor @slack/web-api 8.2.0 notices that.
            "ratelimited" | "rate_limited" => Error::limited(retry_after),
            // "It's possible some aspect of the operation succeeded before the error was raised."
            "internal_error" | "fatal_error" | "service_unavailable" => {
                Error::Ambiguous { cause: format!("Slack reports {code}") }
            }
            // The request was truncated on its way, or the workspace is moved to another organization.
            "request_timeout" | "team_added_to_org" | "org_login_required" | "external_channel_migrating" => {
                Error::Transient { cause: format!("Slack reports {code}") }
            }
            "missing_scope" => {
                let needed = printable(needed.as_deref().unwrap_or("a scope that it does not name"));
                let provided = printable(provided.as_deref().filter(|text| !text.is_empty()).unwrap_or("none"));
                let cure = format!(
                    "Add the bot scope {needed} to the app and install it again; the token has these scopes: {provided}."
                );
                Error::Refused { error: code, cure }
            }
            other => Error::refused(other),
        }
    }
}

/// A text of the server that is safe in a log: short and without control characters.
pub(crate) fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(MAX_CODE).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(json: &str) -> Error {
        serde_json::from_str::<Envelope>(json).unwrap().failure(None)
    }

    #[test]
    fn codes_of_slack_are_what_the_caller_has_to_do() {
        for code in ["ratelimited", "rate_limited"] {
            let error = failure(&format!(r#"{{"ok":false,"error":"{code}"}}"#));
            assert_eq!(error, Error::RateLimited { after: DEFAULT_WAIT });
        }
        assert!(matches!(failure(r#"{"ok":false,"error":"fatal_error"}"#), Error::Ambiguous { .. }));
        assert!(matches!(failure(r#"{"ok":false,"error":"request_timeout"}"#), Error::Transient { .. }));
        assert!(matches!(failure(r#"{"ok":false,"error":"a_new_code"}"#), Error::Refused { .. }));
        assert!(matches!(failure(r#"{"ok":false}"#), Error::Refused { .. }));
    }

    #[test]
    fn a_missing_scope_is_named_with_those_that_are_there() {
        let error = failure(r#"{"ok":false,"error":"missing_scope","needed":"files:write","provided":"chat:write"}"#);
        let text = error.to_string();
        assert!(text.contains("scope files:write") && text.contains("these scopes: chat:write."), "{text}");
    }

    #[test]
    fn waits_are_bounded() {
        assert_eq!(Error::limited(Some(Duration::from_secs(7))), Error::RateLimited { after: Duration::from_secs(7) });
        assert_eq!(Error::limited(Some(Duration::from_secs(1 << 40))), Error::RateLimited { after: LONGEST_WAIT });
    }

    #[test]
    fn a_code_is_short_and_has_no_control_characters() {
        let error = failure(&format!(r#"{{"ok":false,"error":"a\n\u001b[31m{}"}}"#, "x".repeat(500)));
        let Error::Refused { error, .. } = error else { panic!("{error:?}") };
        assert!(error.len() <= MAX_CODE && error.starts_with("a[31mx"), "{error}");
    }
}
