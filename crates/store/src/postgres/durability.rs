//! Whether a PostgreSQL keeps what it has committed.

use tokio_postgres::Client;

use super::error::StoreError;

/// Settings with which a failure of the machine may destroy what was committed, and all before it.
const NEEDED: [&str; 2] = ["fsync", "full_page_writes"];

/// What is wrong with the server's settings, a sentence each; nothing if nothing is.
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

/// A setting of the server or the session.
///
/// # Errors
/// If the database does not answer.
pub async fn setting(client: &Client, name: &str) -> Result<String, StoreError> {
    let row = client.query_one("SELECT current_setting($1)", &[&name]).await;
    Ok(row.map_err(StoreError::statement(format!("read the setting {name}")))?.get(0))
}
