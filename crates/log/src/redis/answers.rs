//! Error answers of Redis that pass by themselves.
//!
//! | answer | situation | what ends it |
//! |---|---|---|
//! | `LOADING` | Redis starts and reads its file, or a replica its primary's copy | the file is read |
//! | `BUSY` | a script or a function runs longer than `busy-reply-threshold` | it ends, or `SCRIPT KILL` |
//! | `MASTERDOWN` | a replica that does not answer from old data has lost its primary | the primary is back, or the replica is promoted |
//! | `READONLY` | a failover: this server is a replica now | it is promoted, or the address names the new primary |
//! | `UNBLOCKED` | the same, to a command that was waiting | as above |
//! | `TRYAGAIN`, `CLUSTERDOWN` | a cluster moves slots, or does not serve all of them | the cluster is whole again |
//! | `OOM` | `maxmemory` is reached: what would take memory is refused | entries are trimmed, or `maxmemory` is raised |
//! | `MISCONF` | the last snapshot failed, and writes are refused until one succeeds | the disk has room |
//! | `NOREPLICAS` | fewer replicas than `min-replicas-to-write` are connected | they connect |
//! | `ERR max number of clients reached` | `maxclients` connections are open | others close theirs |
//! | `EXECABORT` | a command between MULTI and EXEC got one of these | what ends that one |
//!
//! Crate redis 1.8.1 advises against a retry after an EXECABORT, whatever is inside; it calls an answer of its own code
//! list by a name ("BusyLoading") and any other by its code; and of an error answer to AUTH or SELECT it keeps the text
//! at most. So the codes are looked at here, of each command that was refused.

use redis::ServerError;

/// Codes of the answers that pass by themselves, but for those of [`passes`].
const PASSING: [&str; 10] = [
    "LOADING",
    "BUSY",
    "MASTERDOWN",
    "READONLY",
    "UNBLOCKED",
    "TRYAGAIN",
    "CLUSTERDOWN",
    "OOM",
    "MISCONF",
    "NOREPLICAS",
];

/// The code of an answer for which memory is short.
const OUT_OF_MEMORY: &str = "OOM";

/// Redis names the reason for a transaction's end behind these words.
const CAUSE: &str = "because of: ";

/// The code and the text of an error answer, of an EXECABORT those of its cause if it is named.
fn cause(message: &str) -> (&str, &str) {
    let (code, text) = message.split_once(' ').unwrap_or((message, ""));
    match text.split_once(CAUSE) {
        Some((_, inside)) if code == "EXECABORT" => cause(inside),
        _ => (code, text),
    }
}

/// Whether an error answer, without its leading `-`, passes by itself.
pub fn passes(message: &str) -> bool {
    let (code, text) = cause(message);
    PASSING.contains(&code) || (code == "ERR" && text.starts_with("max number of clients"))
}

/// Whether an error reply, without its leading `-`, means that memory is short.
pub fn is_out_of_memory(message: &str) -> bool {
    cause(message).0 == OUT_OF_MEMORY
}

/// The error answers in an error of the crate, as Redis wrote them, one for each command that was refused; none if it
/// is another error. An EXECABORT that does not name its cause is left out where the cause is there beside it.
pub fn error_answers(error: &redis::RedisError) -> Vec<String> {
    let refused = error.clone().into_server_errors();
    let text = |error: &ServerError| format!("{} {}", error.code(), error.details().unwrap_or_default());
    let mut answers: Vec<String> =
        refused.iter().flat_map(|errors| errors.iter().map(|(_, error)| text(error))).collect();
    if answers.len() > 1 {
        answers.retain(|answer| cause(answer).0 != "EXECABORT");
    }
    answers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_is_told_from_what_does_not() {
        for message in [
            "LOADING Redis is loading the dataset in memory",
            "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.",
            "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
            "READONLY You can't write against a read only replica.",
            "UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)",
            "TRYAGAIN Multiple keys request during rehashing of slot",
            "CLUSTERDOWN Hash slot not served",
            "OOM command not allowed when used memory > 'maxmemory'.",
            "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk.",
            "NOREPLICAS Not enough good replicas to write.",
            "ERR max number of clients reached",
            "ERR max number of clients + cluster connections reached",
            "EXECABORT Transaction discarded because of: LOADING Redis is loading the dataset in memory",
        ] {
            assert!(passes(message), "{message}");
        }
        for message in [
            "",
            "ERR no such key",
            "ERR unknown command 'XREAD'",
            "NOAUTH Authentication required.",
            "WRONGPASS invalid username-password pair or user is disabled.",
            "NOPERM this user has no permissions to run the 'xread' command",
            "WRONGTYPE Operation against a key holding the wrong kind of value",
            "CROSSSLOT Keys in request don't hash to the same slot",
            "MOVED 3999 127.0.0.1:6381",
            "EXECABORT Transaction discarded because of previous errors.",
            "EXECABORT Transaction discarded because of: NOPERM this user has no permissions",
        ] {
            assert!(!passes(message), "{message}");
        }
    }

    #[test]
    fn memory_is_short_inside_a_transaction_too() {
        assert!(is_out_of_memory("OOM command not allowed when used memory > 'maxmemory'."));
        assert!(is_out_of_memory("EXECABORT Transaction discarded because of: OOM command not allowed"));
        assert!(!is_out_of_memory("LOADING Redis is loading the dataset in memory"));
    }

    #[test]
    fn an_error_of_the_crate_holds_what_redis_wrote() {
        let message = "NOREPLICAS Not enough good replicas to write.";
        let (code, text) = message.split_once(' ').unwrap();
        let refused = redis::make_extension_error(code.to_owned(), Some(text.to_owned()));
        assert_eq!(error_answers(&refused), [message]);
        let broken = redis::RedisError::from(std::io::Error::from(std::io::ErrorKind::BrokenPipe));
        assert!(error_answers(&broken).is_empty());
    }
}
