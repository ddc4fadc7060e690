//! `watchtower migrate`: creates or migrates the schema of a pipeline.

use std::io::Write;
use std::process::ExitCode;

use watchtower_store::postgres::{Database, schema};

use super::arguments::ConfigArgs;
use super::runtime;

/// Migrates the schema.
///
/// # Errors
/// If the database refuses, or a later version of this program has migrated the schema.
pub fn run(args: &ConfigArgs, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let options = args.load()?;
    let migrated = runtime()?.block_on(async {
        let database = Database::new(&options.pipeline, &options.store)?;
        let mut client = database.connect().await?;
        schema::migrate(&mut client, &database, options.store.reader_role.as_deref()).await
    })?;
    for migration in &migrated.applied {
        writeln!(out, "applied {migration}")?;
    }
    writeln!(out, "schema {} has version {}", options.store.schema, migrated.version)?;
    Ok(ExitCode::SUCCESS)
}
