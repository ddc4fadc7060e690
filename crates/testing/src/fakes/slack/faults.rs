//! What a test makes go wrong.

/// How a request goes wrong.
#[derive(Clone, Debug)]
pub enum Fault {
    /// It is carried out, and the connection ends without an answer.
    LoseReply,
    /// It is carried out, and the connection ends within the body of the answer.
    BreakReply,
    /// It is carried out, and nothing is answered for as long as the client waits.
    Hang,
    /// It is answered with status 500 and not carried out.
    ErrorBefore,
    /// It is carried out and answered with status 500.
    ErrorAfter,
    /// It is answered with status 429 and this `Retry-After`, and not carried out.
    Limited {
        /// Seconds or a date; None leaves the header out.
        retry_after: Option<String>,
    },
    /// It is answered with status 200 and `ok: false, error: ratelimited`, and not carried out.
    LimitedInBody {
        /// Seconds or a date; None leaves the header out.
        retry_after: Option<String>,
    },
    /// It is answered with `ok: false` and this code, and not carried out.
    Code(&'static str),
    /// It is answered with this, and not carried out.
    Answer {
        /// Status of HTTP.
        status: u16,
        /// Headers beside the content type, which is HTML.
        headers: Vec<(&'static str, String)>,
        /// The body.
        body: String,
    },
}

impl Fault {
    /// Whether the request is carried out all the same.
    pub(super) fn is_carried_out(&self) -> bool {
        match self {
            Self::LoseReply | Self::BreakReply | Self::Hang | Self::ErrorAfter => true,
            Self::ErrorBefore
            | Self::Limited { .. }
            | Self::LimitedInBody { .. }
            | Self::Code(_)
            | Self::Answer { .. } => false,
        }
    }
}
