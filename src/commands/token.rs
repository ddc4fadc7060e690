//! `watchtower token`: tokens of clients of the HTTP interfaces.

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand};
use jiff::Timestamp;
use watchtower_auth::{Grant, Role, Token};
use watchtower_core::events::check_vehicle_id;
use watchtower_model::Millis;
use watchtower_store::tokens::{StoredToken, Tokens};

use super::arguments::PlaceArgs;
use super::runtime;

const CREATE_EXAMPLE: &str = "\
Examples:
  watchtower token create --role ingest --name \"phones of VPC\" --fleet VPC
  watchtower token create --role ingest --name \"Ade's phone\" --device T11985LA --source phones
  watchtower token create --role admin --name \"map editor\" --expires 90d

The token is printed once; the store has its digest only. The token of a device accepts positions of that vehicle alone,
and revokes the one that the vehicle had before.";

/// Limit of a token's name, characters.
const MAX_NAME_CHARS: usize = 128;
/// Characters of a token's identifier: enough that two are never the same by chance.
const ID_CHARS: usize = 12;

/// What to do with tokens.
#[derive(Debug, Subcommand)]
pub enum TokenCommand {
    /// Create a token, and print it: this is the only time that it can be read.
    #[command(after_help = CREATE_EXAMPLE)]
    Create(CreateArgs),
    /// List all tokens: what each is for and whether it is valid, never the tokens themselves.
    List(PlaceArgs),
    /// Revoke a token: within seconds no gateway accepts it any more.
    Revoke(RevokeArgs),
}

/// Arguments of `token create`.
#[derive(Debug, Args)]
pub struct CreateArgs {
    /// What its holder may do: ingest (send events), read (read tables), admin (edit geofences and vehicles; also send
    /// and read)
    #[arg(long, value_name = "ROLE", value_parser = role)]
    pub role: Role,
    /// What it is for
    #[arg(long, value_name = "TEXT", value_parser = name)]
    pub name: String,
    /// Only for vehicles of this fleet
    #[arg(long, value_name = "FLEET")]
    pub fleet: Option<String>,
    /// Only for this vehicle: the token of a device
    #[arg(long, value_name = "VEHICLE_ID", value_parser = vehicle_id)]
    pub device: Option<String>,
    /// Only for this source
    #[arg(long, value_name = "NAME")]
    pub source: Option<String>,
    /// How long it is valid, as in 90d [default: until it is revoked]
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub expires: Option<Duration>,
    /// The pipeline or the file.
    #[command(flatten)]
    pub place: PlaceArgs,
}

/// Arguments of `token revoke`.
#[derive(Debug, Args)]
pub struct RevokeArgs {
    /// Identifier of the token, as `token list` prints it
    #[arg(value_name = "TOKEN_ID")]
    pub token_id: String,
    /// The pipeline or the file.
    #[command(flatten)]
    pub place: PlaceArgs,
}

/// Carries out a command.
///
/// # Errors
/// If the store does not answer, or there is no token to revoke.
pub fn run(command: &TokenCommand, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let runtime = runtime()?;
    // Spawned, because files are read on threads of the runtime.
    match command {
        TokenCommand::Create(args) => {
            let tokens = open(&args.place)?;
            let token = Token::generate().map_err(anyhow::Error::msg)?;
            let stored = stored(args, &token);
            let task = async move { tokens.create(&stored).await.map(|()| stored.token_id) };
            let token_id = runtime.block_on(async { tokio::spawn(task).await })??;
            writeln!(out, "{}", token.expose())?;
            eprintln!("token {token_id} is stored; it is not shown again");
        }
        TokenCommand::List(place) => {
            let tokens = open(place)?;
            let found = runtime.block_on(async { tokio::spawn(async move { tokens.list().await }).await })??;
            writeln!(
                out,
                "{:<ID_CHARS$}  {:<7}  {:<8}  {:<20}  only for / name",
                "token_id", "role", "state", "created"
            )?;
            for token in &found {
                writeln!(out, "{}", line(token))?;
            }
        }
        TokenCommand::Revoke(args) => {
            let (tokens, id) = (open(&args.place)?, args.token_id.clone());
            let task = async move { tokens.revoke(&id, now_ms()).await };
            if !runtime.block_on(async { tokio::spawn(task).await })?? {
                anyhow::bail!(
                    "there is no token {} that could be revoked; `watchtower token list` shows all",
                    args.token_id
                );
            }
            writeln!(out, "token {} is revoked", args.token_id)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn open(place: &PlaceArgs) -> anyhow::Result<Tokens> {
    let (_, places) = place.load()?;
    Ok(Tokens::new(&places.store)?)
}

fn stored(args: &CreateArgs, token: &Token) -> StoredToken {
    let CreateArgs { role, name, fleet, device, source, expires, place: _ } = args;
    let (created_at, hash) = (now_ms(), token.hash());
    let lifetime_ms = |duration: &Duration| Millis::try_from(duration.as_millis()).unwrap_or(Millis::MAX);
    StoredToken {
        // The beginning of the digest: no secret, and different for each token.
        token_id: hash.to_hex()[..ID_CHARS].to_owned(),
        name: name.clone(),
        grant: Grant { role: *role, fleet: fleet.clone(), vehicle_id: device.clone(), source: source.clone() },
        hash,
        created_at,
        expires_at: expires.as_ref().map(|duration| created_at.saturating_add(lifetime_ms(duration))),
        revoked_at: None,
    }
}

fn line(token: &StoredToken) -> String {
    let StoredToken { token_id, name, grant: Grant { role, fleet, vehicle_id, source }, .. } = token;
    let state = match token {
        StoredToken { revoked_at: Some(_), .. } => "revoked",
        token if token.is_valid(now_ms()) => "valid",
        _ => "expired",
    };
    let only = [("fleet", fleet), ("vehicle", vehicle_id), ("source", source)];
    let only = only.iter().filter_map(|(what, value)| Some(format!("{what} {}; ", value.as_deref()?)));
    let created = Timestamp::from_millisecond(token.created_at).unwrap_or_default().strftime("%Y-%m-%dT%H:%M:%SZ");
    format!("{token_id}  {:<7}  {state:<8}  {created}  {}{name}", role.name(), only.collect::<String>())
}

fn now_ms() -> Millis {
    Timestamp::now().as_millisecond()
}

fn role(text: &str) -> Result<Role, String> {
    Role::from_name(text).ok_or_else(|| "expected ingest, read or admin".to_owned())
}

fn name(text: &str) -> Result<String, String> {
    let is_name = !text.trim().is_empty() && text.chars().count() <= MAX_NAME_CHARS && !text.contains(char::is_control);
    is_name.then(|| text.to_owned()).ok_or_else(|| format!("expected 1 to {MAX_NAME_CHARS} characters on one line"))
}

fn vehicle_id(text: &str) -> Result<String, String> {
    check_vehicle_id(text).map(|()| text.to_owned()).map_err(|rejection| rejection.detail)
}
