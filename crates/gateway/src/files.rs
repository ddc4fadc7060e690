//! Open files: each connection is one, and the process may have only so many.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tracing::warn;

/// Files beside those of connections: the log, the store, feeds, and what the process opens for a moment.
const OTHERS: u64 = 200;

/// The number of connections that the process may have, at most `wanted`. Its soft limit of open files is raised as far as
/// needed and allowed: without it, idle clients could take all files, and nobody else would be served.
pub(crate) fn connections(wanted: usize) -> usize {
    let needed = wanted as u64 + OTHERS;
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let Some(mut limit) = current.filter(|current| *current < needed) else { return wanted };
    let raised = maximum.map_or(needed, |maximum| maximum.min(needed));
    if raised > limit && setrlimit(Resource::Nofile, Rlimit { current: Some(raised), maximum }).is_ok() {
        limit = raised;
    }
    // With a very low limit, some for others and some for connections.
    let allowed = limit.saturating_sub(OTHERS).max(limit / 4).max(1);
    let allowed = usize::try_from(allowed).unwrap_or(usize::MAX).min(wanted);
    if allowed < wanted {
        warn!(
            "[gateway] max_connections is {wanted}, but the process may have only {limit} open files: serves {allowed} \
             connections at a time; see LimitNOFILE of systemd, or ulimit -n"
        );
    }
    allowed
}
