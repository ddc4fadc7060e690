//! What a Redis has of what a daemon and its gateways need.

use watchtower_core::Findings;
use watchtower_model::Millis;

use super::admin::Admin;
use super::durability::{Durability, evicts, info_value};
use super::{Options, RedisError, Server, announcement_key, delivery_prefix, source_key, stream_keys};
use crate::ClockSource;

/// The first version with exclusive bounds in XRANGE and ENTRIESREAD in XGROUP.
const OLDEST: (u32, u32) = (7, 0);
/// Commands that the daemon needs, with arguments that a dry run accepts; `{key}` stands for a key.
const COMMANDS: [&[&str]; 5] = [
    &["XREAD", "COUNT", "1", "STREAMS", "{key}", "0"],
    &["XRANGE", "{key}", "-", "+", "COUNT", "1"],
    &["XADD", "{key}", "*", "type", "clock"],
    &["XGROUP", "CREATE", "{key}", "watchtower", "0"],
    &["XINFO", "STREAM", "{key}"],
];
/// The command that each stream needs from a gateway.
const APPEND: &[&str] = &["XADD", "{key}", "*", "type", "clock"];

/// Checks what a daemon needs.
pub(crate) async fn daemon(
    pipeline: &str,
    options: &Options,
    clock: ClockSource,
    findings: &mut Findings,
) -> Result<(), RedisError> {
    let server = Server::new(options)?;
    let mut admin = Admin::connect(&server).await?;
    let info = admin.info("server").await?;
    let version = info_value(&info, "redis_version").unwrap_or("unknown");
    match major_minor(version) {
        Some(found) if found < OLDEST => {
            findings.wrong(format!("Redis at {} is {version}; 7.0 or later is needed", server.name()));
        }
        _ => findings.good(format!("Redis {version} at {}", server.name())),
    }
    let replication = admin.info("replication").await?;
    if info_value(&replication, "role").is_some_and(|role| role != "master") {
        findings.wrong("this Redis is a replica: events and clocks must be written to its master, and read there");
    }
    durability(options, &mut admin, findings).await?;
    let keys = stream_keys(pipeline, options.streams);
    let wanted: Vec<(&str, &[&str])> =
        keys.iter().flat_map(|key| COMMANDS.map(|command| (key.as_str(), command))).collect();
    if let Some((user, denied)) = admin.denied(&wanted).await {
        match denied.is_empty() {
            true => findings.good(format!("Redis user {user} may do what is needed")),
            false => findings.wrong(format!("Redis user {user} may not: {}; see ACL SETUSER", denied.join(", "))),
        }
    }
    announcement(pipeline, options, clock, &mut admin, findings).await?;
    for key in keys {
        let stream = admin.stream_info(&key).await?;
        findings.good(format!("{key}: {} entries ({} ever added)", stream.length, stream.added));
    }
    Ok(())
}

async fn durability(options: &Options, admin: &mut Admin, findings: &mut Findings) -> Result<(), RedisError> {
    let durability = Durability::of(admin).await?;
    match &durability.evicts {
        None => findings.good("Redis evicts nothing"),
        Some(policy) if options.allow_eviction => {
            findings.warning(format!("Redis: {} ([redis] allow_eviction is true)", evicts(policy)));
        }
        Some(policy) => findings.wrong(format!("Redis: {}", evicts(policy))),
    }
    match durability.is_good() {
        true => findings.good(durability.to_string()),
        false => findings.warning(durability.to_string()),
    }
    Ok(())
}

async fn announcement(
    pipeline: &str,
    options: &Options,
    clock: ClockSource,
    admin: &mut Admin,
    findings: &mut Findings,
) -> Result<(), RedisError> {
    let [announced_streams, announced_clock] = admin.announced(pipeline).await?;
    if let Some(announced) = announced_streams.filter(|announced| *announced != options.streams.to_string()) {
        findings.wrong(format!(
            "[redis] streams is {}, but pipeline {pipeline} was announced to producers with {announced}: the number is \
             fixed",
            options.streams
        ));
    }
    if let Some(announced) = announced_clock.filter(|announced| announced != clock.word()) {
        findings.warning(format!("[clock] source is {}; producers were told {announced} until now", clock.word()));
    }
    Ok(())
}

/// Checks whether a gateway may do what it does. Returns the server's time.
pub(crate) async fn gateway(
    pipeline: &str,
    options: &Options,
    sources: &[&str],
    findings: &mut Findings,
) -> Result<Millis, RedisError> {
    let (layout, delivery) = (announcement_key(pipeline), format!("{}0", delivery_prefix(pipeline)));
    let streams = stream_keys(pipeline, options.streams);
    let fetched: Vec<String> = sources.iter().map(|source| source_key(pipeline, source)).collect();
    let of_every_gateway: [(&str, &[&str]); 5] = [
        (&layout, &["HMGET", "{key}", "streams", "clock"]),
        (&delivery, &["MGET", "{key}"]),
        (&delivery, &["SET", "{key}", "1", "EX", "60"]),
        ("", &["MULTI"]),
        ("", &["EXEC"]),
    ];
    let mut wanted = of_every_gateway.to_vec();
    wanted.extend(streams.iter().map(|key| (key.as_str(), APPEND)));
    for key in &fetched {
        let commands: [&[&str]; 4] = [
            &["EVAL", "return 1", "1", "{key}"],
            &["HMGET", "{key}", "owner"],
            &["HSET", "{key}", "owner", ""],
            &["TIME"],
        ];
        wanted.extend(commands.map(|command| (key.as_str(), command)));
    }
    let mut admin = Admin::connect(&Server::new(options)?).await?;
    if let Some((user, denied)) = admin.denied(&wanted).await {
        match denied.is_empty() {
            true => findings.good(format!("Redis user {user} may do what a gateway needs")),
            false => findings
                .wrong(format!("Redis user {user} may not, for the gateway: {}; see ACL SETUSER", denied.join(", "))),
        }
    }
    admin.time().await
}

fn major_minor(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.split('.').map(|part| part.parse().ok());
    Some((parts.next()??, parts.next()??))
}
