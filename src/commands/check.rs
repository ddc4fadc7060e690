//! `watchtower check`: reports everything that a daemon needs and lacks, with the remedy for each.

mod gateway;
mod listener;

use std::fmt;
use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use tokio_postgres::Client;
use watchtower_daemon as daemon;
use watchtower_log::redis::admin::Admin;
use watchtower_log::redis::durability::{Durability, evicts, info_value};
use watchtower_log::redis::{RedisError, Server, announcement_key, stream_keys};
use watchtower_store::postgres::durability::{self, setting};
use watchtower_store::postgres::schema::{self, Standing};
use watchtower_store::postgres::{Database, StoreError, claim};

use super::arguments::ConfigArgs;
use super::runtime;
use crate::config::{self, Configuration};

/// Time limit for each server.
const PATIENCE: Duration = Duration::from_secs(10);
/// The first version with exclusive bounds in XRANGE and ENTRIESREAD in XGROUP.
const OLDEST_REDIS: (u32, u32) = (7, 0);
/// The oldest PostgreSQL that is still maintained, as `server_version_num`.
const OLDEST_POSTGRES: i32 = 140_000;
/// Commands the daemon needs, with arguments that a dry run accepts.
const COMMANDS: [&[&str]; 5] = [
    &["XREAD", "COUNT", "1", "STREAMS", "{key}", "0"],
    &["XRANGE", "{key}", "-", "+", "COUNT", "1"],
    &["XADD", "{key}", "*", "type", "clock"],
    &["XGROUP", "CREATE", "{key}", "watchtower", "0"],
    &["XINFO", "STREAM", "{key}"],
];

/// Prints the configuration and the findings.
///
/// # Errors
/// If the configuration is wrong.
pub fn run(args: &ConfigArgs, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let Configuration { daemon: options, gateway } = args.load_all()?;
    writeln!(out, "{}{}", config::describe(&options), config::describe_gateway(&gateway))?;
    let findings = runtime()?.block_on(async {
        let mut findings = check(&options).await;
        gateway::check(&options, &gateway, &mut findings).await;
        findings
    });
    for finding in &findings.0 {
        writeln!(out, "{finding}")?;
    }
    Ok(match findings.worst() {
        Severity::Good | Severity::Warning => ExitCode::SUCCESS,
        Severity::Wrong => ExitCode::FAILURE,
    })
}

/// Severity of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The requirement is met.
    Good,
    /// The daemon runs, with a weaker guarantee or a restriction.
    Warning,
    /// The daemon does not run, or does not keep its guarantees.
    Wrong,
}

/// Result of one check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Whether it is good, a warning, or wrong.
    pub severity: Severity,
    /// The result, and what to do about it.
    pub text: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = match self.severity {
            Severity::Good => "ok     ",
            Severity::Warning => "warning",
            Severity::Wrong => "WRONG  ",
        };
        write!(f, "{mark} {}", self.text)
    }
}

/// The results, in the order of the checks.
#[derive(Debug, Default)]
pub struct Findings(pub Vec<Finding>);

impl Findings {
    fn good(&mut self, text: impl Into<String>) {
        self.0.push(Finding { severity: Severity::Good, text: text.into() });
    }

    fn warning(&mut self, text: impl Into<String>) {
        self.0.push(Finding { severity: Severity::Warning, text: text.into() });
    }

    fn wrong(&mut self, text: impl Into<String>) {
        self.0.push(Finding { severity: Severity::Wrong, text: text.into() });
    }

    /// The greatest severity.
    pub fn worst(&self) -> Severity {
        self.0.iter().map(|finding| finding.severity).max().unwrap_or(Severity::Good)
    }
}

/// Checks everything that a daemon with this configuration needs. Changes nothing.
pub async fn check(options: &daemon::Options) -> Findings {
    let mut findings = Findings::default();
    match tokio::time::timeout(PATIENCE, redis(options, &mut findings)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => findings.wrong(error.to_string()),
        Err(_) => findings.wrong(format!("Redis did not answer within {} s", PATIENCE.as_secs())),
    }
    match tokio::time::timeout(PATIENCE, postgres(options, &mut findings)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => findings.wrong(error.to_string()),
        Err(_) => findings.wrong(format!("PostgreSQL did not answer within {} s", PATIENCE.as_secs())),
    }
    match listener::try_bind(options.http.listen).await {
        Ok(()) => findings.good(format!("{} is free for /healthz, /readyz and /metrics", options.http.listen)),
        Err(taken) => findings.warning(format!(
            "[http] listen: cannot listen on {}: {} (it is in use if the daemon runs)",
            options.http.listen, taken.cause
        )),
    }
    findings
}

async fn redis(options: &daemon::Options, findings: &mut Findings) -> Result<(), RedisError> {
    let server = Server::new(&options.redis)?;
    let mut admin = Admin::connect(&server).await?;
    let info = admin.info("server").await?;
    let version = info_value(&info, "redis_version").unwrap_or("unknown");
    match major_minor(version) {
        Some(found) if found < OLDEST_REDIS => {
            findings.wrong(format!("Redis at {} is {version}; 7.0 or later is needed", server.name()));
        }
        _ => findings.good(format!("Redis {version} at {}", server.name())),
    }
    let replication = admin.info("replication").await?;
    if info_value(&replication, "role").is_some_and(|role| role != "master") {
        findings.wrong(
            "this Redis is a replica: events and clocks must be written to its master, and read there".to_owned(),
        );
    }
    redis_durability(options, &mut admin, findings).await?;
    redis_rights(options, &server, findings).await?;
    announcement(options, &server, findings).await?;
    for key in stream_keys(&options.pipeline, options.redis.streams) {
        let stream = admin.stream_info(&key).await?;
        findings.good(format!("{key}: {} entries ({} ever added)", stream.length, stream.added));
    }
    Ok(())
}

async fn redis_durability(
    options: &daemon::Options,
    admin: &mut Admin,
    findings: &mut Findings,
) -> Result<(), RedisError> {
    let durability = Durability::of(admin).await?;
    match &durability.evicts {
        None => findings.good("Redis evicts nothing"),
        Some(policy) if options.redis.allow_eviction => {
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

async fn redis_rights(options: &daemon::Options, server: &Server, findings: &mut Findings) -> Result<(), RedisError> {
    let keys = stream_keys(&options.pipeline, options.redis.streams);
    let wanted: Vec<(&str, &[&str])> =
        keys.iter().flat_map(|key| COMMANDS.map(|command| (key.as_str(), command))).collect();
    let Some((user, denied)) = denied(server, &wanted).await? else { return Ok(()) };
    if denied.is_empty() {
        findings.good(format!("Redis user {user} may do what is needed"));
    } else {
        findings.wrong(format!("Redis user {user} may not: {}; see ACL SETUSER", denied.join(", ")));
    }
    Ok(())
}

/// The user of Redis, and those of the commands that it may not run; `{key}` in a command stands for the key beside it.
/// None if the user may not run ACL DRYRUN: the program reports denials once it meets them.
async fn denied(server: &Server, wanted: &[(&str, &[&str])]) -> Result<Option<(String, Vec<String>)>, RedisError> {
    let mut connection = server.connect().await?;
    let Ok(user) = redis::cmd("ACL").arg("WHOAMI").query_async::<String>(&mut connection).await else {
        return Ok(None);
    };
    let mut denied = Vec::new();
    for (key, command) in wanted {
        let mut dry_run = redis::cmd("ACL");
        dry_run.arg("DRYRUN").arg(&user);
        for word in *command {
            dry_run.arg(if *word == "{key}" { key } else { word });
        }
        match dry_run.query_async::<String>(&mut connection).await {
            Ok(answer) if answer != "OK" => denied.push(format!("{} {key}", command[0]).trim_end().to_owned()),
            Ok(_) => {}
            Err(_) => return Ok(None),
        }
    }
    Ok(Some((user, denied)))
}

async fn announcement(options: &daemon::Options, server: &Server, findings: &mut Findings) -> Result<(), RedisError> {
    let mut connection = server.connect().await?;
    let key = announcement_key(&options.pipeline);
    let (streams, clock): (Option<String>, Option<String>) = redis::cmd("HMGET")
        .arg(&key)
        .arg("streams")
        .arg("clock")
        .query_async(&mut connection)
        .await
        .map_err(server.failed(format!("read {key}")))?;
    if let Some(streams) = streams.filter(|streams| *streams != options.redis.streams.to_string()) {
        findings.wrong(format!(
            "[redis] streams is {}, but pipeline {} was announced to producers with {streams}: the number is fixed",
            options.redis.streams, options.pipeline
        ));
    }
    let configured = options.clock.word();
    if let Some(clock) = clock.filter(|clock| clock != configured) {
        findings.warning(format!("[clock] source is {configured}; producers were told {clock} until now"));
    }
    Ok(())
}

async fn postgres(options: &daemon::Options, findings: &mut Findings) -> Result<(), StoreError> {
    let database = Database::new(&options.pipeline, &options.store)?;
    let client = database.connect().await?;
    database.refuse_transaction_pooling(&client).await?;
    let number: i32 = setting(&client, "server_version_num").await?.parse().unwrap_or(0);
    let version = setting(&client, "server_version").await?;
    if number < OLDEST_POSTGRES {
        findings.wrong(format!("PostgreSQL at {} is {version}; 14 or later is needed", database.server()));
    } else {
        findings.good(format!("PostgreSQL {version} at {}", database.server()));
    }
    if database.is_unencrypted_over_the_network() {
        findings.warning("the connection to PostgreSQL is not encrypted; add ?sslmode=verify-full to [store] url");
    }
    if setting(&client, "server_encoding").await? != "UTF8" {
        findings.wrong("the database's encoding is not UTF8: names would be lost; create it with ENCODING 'UTF8'");
    }
    for fault in durability::faults(&client).await? {
        match options.store.allow_unsafe {
            true => findings.warning(format!("{fault} ([store] allow_unsafe is true: the daemon runs all the same)")),
            false => findings.wrong(fault),
        }
    }
    if setting(&client, "transaction_read_only").await? == "on" {
        findings.wrong("this PostgreSQL takes no writes (a standby, or default_transaction_read_only)");
    }
    extension(&client, findings).await?;
    rights(options, &client, &database, findings).await?;
    standing(options, &client, &database, findings).await
}

async fn extension(client: &Client, findings: &mut Findings) -> Result<(), StoreError> {
    let sql = "SELECT default_version, installed_version FROM pg_available_extensions WHERE name = 'postgis'";
    let row = client.query_opt(sql, &[]).await.map_err(StoreError::statement("check for PostGIS"))?;
    let versions = row.map(|row| (row.get::<_, Option<String>>(0), row.get::<_, Option<String>>(1)));
    match versions {
        Some((_, Some(installed))) => findings.good(format!("PostGIS {installed}")),
        Some((available, None)) => findings.warning(format!(
            "PostGIS {} is there but not in this database; `watchtower migrate` adds it if it may, else run CREATE \
             EXTENSION postgis",
            available.unwrap_or_default()
        )),
        None => findings.wrong("PostGIS is not installed on the server: install postgresql-<version>-postgis-3"),
    }
    Ok(())
}

async fn rights(
    options: &daemon::Options,
    client: &Client,
    database: &Database,
    findings: &mut Findings,
) -> Result<(), StoreError> {
    let sql = "SELECT current_user::text, to_regnamespace($1) IS NOT NULL,
                      CASE WHEN to_regnamespace($1) IS NULL THEN has_database_privilege(current_database(), 'CREATE')
                           ELSE has_schema_privilege($1, 'CREATE') END,
                      has_database_privilege(current_database(), 'TEMPORARY'),
                      (SELECT rolcreaterole OR rolsuper FROM pg_roles WHERE rolname = current_user),
                      EXISTS (SELECT FROM pg_roles WHERE rolname = $2)";
    let role = options.store.reader_role.clone().unwrap_or_default();
    let row = client
        .query_one(sql, &[&database.schema, &role])
        .await
        .map_err(StoreError::statement("read the role's privileges"))?;
    let (user, exists, create): (String, bool, bool) = (row.get(0), row.get(1), row.get(2));
    let (temporary, may_create_role, role_exists): (bool, bool, bool) = (row.get(3), row.get(4), row.get(5));
    let before = findings.0.len();
    if !create {
        let what = if exists { "create tables in schema" } else { "create schema" };
        findings.wrong(format!("role {user} may not {what} {}; GRANT CREATE to it", database.schema));
    }
    if !temporary {
        findings
            .wrong(format!("role {user} may not create temporary tables; GRANT TEMPORARY ON DATABASE .. TO {user}"));
    }
    if !role.is_empty() && !role_exists && !may_create_role {
        findings.wrong(format!(
            "the reader role {role} is missing and {user} may not create it: let an administrator run CREATE ROLE \
             {role} NOLOGIN, or set [store] reader_role = \"\""
        ));
    }
    if findings.0.len() == before {
        findings.good(format!("role {user} may do what is needed"));
    }
    Ok(())
}

async fn standing(
    options: &daemon::Options,
    client: &Client,
    database: &Database,
    findings: &mut Findings,
) -> Result<(), StoreError> {
    let schema = &database.schema;
    match schema::standing(client, database).await? {
        Standing::Current => findings.good(format!("schema {schema} has version {}", schema::newest())),
        Standing::Ahead { have, want } => findings.wrong(schema::too_new(database, have, want).to_string()),
        Standing::Behind { have, want } if options.store.migrate => {
            findings.good(format!("schema {schema} has version {have}; the daemon will bring it to {want}"));
        }
        Standing::Behind { have, want } => {
            findings.wrong(format!("schema {schema} has version {have}, {want} is needed: run `watchtower migrate`"));
        }
    }
    if schema::standing(client, database).await? == Standing::Current {
        match claim::owner(client, database).await? {
            None => findings.good(format!("pipeline {} is created at the first start", database.pipeline)),
            Some(owner) if !claim::try_lock(client, database).await? => {
                findings.warning(format!("pipeline {} is being written by {}", database.pipeline, owner.name));
            }
            Some(owner) => findings
                .good(format!("pipeline {} is at commit {}; no daemon writes it", database.pipeline, owner.commit_seq)),
        }
    }
    Ok(())
}

fn major_minor(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.split('.').map(|part| part.parse().ok());
    Some((parts.next()??, parts.next()??))
}
