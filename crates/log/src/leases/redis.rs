//! The scripts by which leases change in Redis, each atomic.

use redis::Cmd;

use super::TTL;

/// Epoch milliseconds of the server, for the scripts.
const NOW: &str = "local t = redis.call('TIME') local now = t[1] * 1000 + math.floor(t[2] / 1000) ";

/// ARGV: owner, time to live [ms]. Term and cursor, or nothing while another owner's lease holds.
const TAKE: &str = "
local has = redis.call('HMGET', KEYS[1], 'owner', 'expires_ms', 'term', 'cursor')
if has[1] and has[1] ~= '' and has[1] ~= ARGV[1] and tonumber(has[2]) > now then return false end
local term = tonumber(has[3] or '0') + 1
redis.call('HSET', KEYS[1], 'owner', ARGV[1], 'expires_ms', string.format('%.0f', now + ARGV[2]), 'term', term)
return {term, has[4] or ''}";

/// ARGV: owner, term, time to live [ms].
const RENEW: &str = "
local has = redis.call('HMGET', KEYS[1], 'owner', 'term')
if has[1] ~= ARGV[1] or has[2] ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], 'expires_ms', string.format('%.0f', now + ARGV[3]))
return 1";

/// ARGV: owner, term, cursor.
const ADVANCE: &str = "
local has = redis.call('HMGET', KEYS[1], 'owner', 'term')
if has[1] ~= ARGV[1] or has[2] ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], 'cursor', ARGV[3])
return 1";

/// ARGV: owner, term. The term remains: it may never be given twice.
const RELEASE: &str = "
local has = redis.call('HMGET', KEYS[1], 'owner', 'term')
if has[1] ~= ARGV[1] or has[2] ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], 'owner', '')
return 1";

/// A script and its arguments.
pub(super) struct Script {
    /// What it does, as in `cannot <doing>`.
    pub(super) doing: &'static str,
    text: &'static str,
    arguments: Vec<String>,
}

impl Script {
    /// The command for the hash of a source.
    pub(super) fn on(self, key: &str) -> Cmd {
        let mut command = redis::cmd("EVAL");
        command.arg(format!("{NOW}{}", self.text)).arg(1).arg(key).arg(self.arguments);
        command
    }
}

pub(super) fn take(owner: &str) -> Script {
    let arguments = vec![owner.to_owned(), ttl()];
    Script { doing: "take the lease", text: TAKE, arguments }
}

pub(super) fn renew(owner: &str, term: i64) -> Script {
    let arguments = vec![owner.to_owned(), term.to_string(), ttl()];
    Script { doing: "renew the lease", text: RENEW, arguments }
}

pub(super) fn advance(owner: &str, term: i64, cursor: &str) -> Script {
    let arguments = vec![owner.to_owned(), term.to_string(), cursor.to_owned()];
    Script { doing: "advance the cursor", text: ADVANCE, arguments }
}

pub(super) fn release(owner: &str, term: i64) -> Script {
    let arguments = vec![owner.to_owned(), term.to_string()];
    Script { doing: "release the lease", text: RELEASE, arguments }
}

fn ttl() -> String {
    TTL.as_millis().to_string()
}
