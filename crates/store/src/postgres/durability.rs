//! Checks that a PostgreSQL keeps committed data.

use tokio_postgres::Client;

use super::error::StoreError;

/// Settings that must be on: without them a failure of the machine may destroy committed data.
const NEEDED: [&str; 2] = ["fsync", "full_page_writes"];

/// Faults in the server's settings, one sentence each; empty if it has none.
///
/// # Errors
/// If the database does not answer.
pub async fn faults(client: &Client) -> Result<Vec<String>, StoreError> {
    let mut faults = Vec::new();
    for name in NEEDED {
        if setting(client, name).await? == "off" {
            faults.push(format!(
                "PostgreSQL has {name} = off: the database may be corrupted when its machine fails; set it on"
            ));
        }
    }
    Ok(faults)
}

/// Value of a setting of the server or the session.
///
/// # Errors
/// If the database does not answer.
pub async fn setting(client: &Client, name: &str) -> Result<String, StoreError> {
    let row = client.query_one("SELECT current_setting($1)", &[&name]).await;
    Ok(row.map_err(StoreError::statement(format!("read the setting {name}")))?.get(0))
}
