//! What a gateway of the pipeline needs: its address, its files, the right to append, and tokens.

use watchtower_core::Findings;
use watchtower_daemon::Places;
use watchtower_gateway::{Options, Trust};
use watchtower_log::BackendError;
use watchtower_store::tokens::{TokenError, Tokens};

use super::{PATIENCE, listener};

/// A difference of clocks that is reported, seconds: requests between two machines take less.
const MAX_SKEW_S: i64 = 5;

/// Checks everything that a gateway with this configuration needs, whether `watchtower gateway` or `watchtower run` serves
/// it. Secrets, variables and URLs were checked when the configuration was read. Changes nothing.
pub(super) async fn check(places: &Places, gateway: &Options, findings: &mut Findings) {
    address(gateway, findings).await;
    match watchtower_gateway::check_tls(gateway) {
        Ok(true) => findings.good("[gateway] tls_certificate and tls_key fit together"),
        Ok(false) if gateway.listen.ip().is_loopback() => {}
        Ok(false) => findings.warning(
            "[gateway] listen is no loopback address, and tokens are sent to it without encryption: set tls_certificate \
             and tls_key, or put a proxy with TLS before it",
        ),
        Err(error) => findings.wrong(error.to_string()),
    }
    sources(gateway, findings);
    match tokio::time::timeout(PATIENCE, rights(places, gateway, findings)).await {
        Ok(Ok(())) => {}
        // What is wrong with the server itself is among the findings about it.
        Ok(Err(error)) => findings.wrong(format!("the gateway cannot append: {error}")),
        Err(_) => {
            findings.wrong(format!("the gateway cannot append: the log did not answer within {} s", PATIENCE.as_secs()))
        }
    }
    match tokio::time::timeout(PATIENCE, valid_tokens(places)).await {
        Ok(Ok(valid)) => tokens(valid, gateway.needs_tokens(), findings),
        // What keeps the store from being read is among the findings about it.
        Ok(Err(_)) | Err(_) if !gateway.needs_tokens() => {}
        Ok(Err(error)) => findings.warning(format!(
            "the tokens of the gateway cannot be read ({error}): until they can, requests with a token are answered with \
             503"
        )),
        Err(_) => findings.warning("the tokens of the gateway were not read in time"),
    }
}

async fn address(gateway: &Options, findings: &mut Findings) {
    let listen = gateway.listen;
    match listener::try_bind(listen).await {
        Ok(()) => findings.good(format!("{listen} is free for the gateway")),
        Err(taken) if taken.is_in_use => findings.warning(format!(
            "[gateway] listen: cannot listen on {listen}: {} (it is in use if the gateway runs)",
            taken.cause
        )),
        Err(taken) => findings.wrong(format!("[gateway] listen: cannot listen on {listen}: {}", taken.cause)),
    }
    if let Some(metrics) = gateway.metrics
        && let Err(taken) = listener::try_bind(metrics).await
    {
        findings.warning(format!(
            "[gateway] metrics: cannot listen on {metrics}: {}; a gateway of its own serves without /metrics then",
            taken.cause
        ));
    }
}

fn sources(gateway: &Options, findings: &mut Findings) {
    for source in &gateway.sources {
        let (name, format) = (&source.name, source.format.name());
        let secrets = match &source.trust {
            Trust::Signed(_, keys) => format!(", secrets: {}", keys.0.len()),
            Trust::None | Trust::Token | Trust::Bearer | Trust::Basic | Trust::Path => String::new(),
        };
        findings.good(format!("source {name}: {format} at /in/{name}{secrets}"));
    }
    for feed in &gateway.feeds {
        findings.good(format!("source {}: {}", feed.name, feed.supply));
    }
}

/// Whether a gateway may append, and whether its clock agrees with that of the log.
async fn rights(places: &Places, gateway: &Options, findings: &mut Findings) -> Result<(), BackendError> {
    let fetched: Vec<&str> = gateway.feeds.iter().map(|feed| feed.name.as_str()).collect();
    if let Some(theirs) = places.log.check_appending(&fetched, findings).await? {
        clock(jiff::Timestamp::now().as_millisecond() - theirs, findings);
    }
    Ok(())
}

/// Reports how far the clock of this machine is ahead of that of Redis, milliseconds.
fn clock(ahead_ms: i64, findings: &mut Findings) {
    let seconds = ahead_ms.abs() / 1000;
    let direction = if ahead_ms > 0 { "ahead of" } else { "behind" };
    match seconds {
        0..MAX_SKEW_S => findings.good("the clock of this machine agrees with that of Redis"),
        _ => findings.warning(format!(
            "the clock of this machine is {seconds} s {direction} that of Redis: arrivals of events are ours, and signed \
             requests may differ by at most {} s; is NTP on?",
            watchtower_auth::signature::TOLERANCE_S
        )),
    }
}

/// Number of valid tokens; `None` if their table was not created yet.
async fn valid_tokens(places: &Places) -> Result<Option<usize>, TokenError> {
    let tokens = Tokens::new(&places.store)?;
    if !tokens.are_created().await? {
        return Ok(None);
    }
    let now = jiff::Timestamp::now().as_millisecond();
    Ok(Some(tokens.list().await?.iter().filter(|token| token.is_valid(now)).count()))
}

/// Reports how many tokens are valid, and whether there are those that requests need.
fn tokens(valid: Option<usize>, are_needed: bool, findings: &mut Findings) {
    match valid {
        None if are_needed => findings.warning(
            "the table of the gateway's tokens does not exist yet: until it does, requests with a token are answered with \
             503; the first `run`, `migrate` or `token create` creates it",
        ),
        None => findings.good("the table of the gateway's tokens is made by the first `run`"),
        Some(0) if are_needed => findings.warning(
            "the gateway demands tokens, and there is none: `watchtower token create --role ingest --name NAME` makes one",
        ),
        Some(valid) => findings.good(format!("{valid} valid tokens of the gateway")),
    }
}

#[cfg(test)]
mod tests {
    use watchtower_core::Severity;

    use super::*;

    #[test]
    fn a_missing_table_of_tokens_is_a_warning_only_to_who_uses_them() {
        let found = |valid, are_needed| {
            let mut findings = Findings::default();
            tokens(valid, are_needed, &mut findings);
            findings.0.remove(0).severity
        };
        assert_eq!((found(None, true), found(None, false)), (Severity::Warning, Severity::Good));
        assert_eq!((found(Some(0), true), found(Some(0), false)), (Severity::Warning, Severity::Good));
        assert_eq!((found(Some(2), true), found(Some(2), false)), (Severity::Good, Severity::Good));
    }

    #[test]
    fn clocks_that_differ_are_reported_with_the_direction() {
        let found = |ahead_ms| {
            let mut findings = Findings::default();
            clock(ahead_ms, &mut findings);
            findings.0.remove(0)
        };
        assert_eq!((found(900).severity, found(-900).severity), (Severity::Good, Severity::Good));
        assert!(found(3_600_000).text.contains("3600 s ahead of"));
        assert!(found(-90_000).text.contains("90 s behind"));
        assert_eq!(found(90_000).severity, Severity::Warning);
    }
}
