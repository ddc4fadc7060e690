//! Addresses that the program listens on: whether they are free, and who has them.

use std::fs;
use std::io::ErrorKind;
use std::net::SocketAddr;

/// The state LISTEN in /proc/net/tcp.
const LISTEN: &str = "0A";

/// An address that cannot be bound.
#[derive(Debug)]
pub(super) struct Taken {
    /// Whether another process has it, which may be a program of ours that runs.
    pub(super) is_in_use: bool,
    /// The cause, with the process that has the address, if it can be seen.
    pub(super) cause: String,
}

/// Binds the address for a moment.
///
/// # Errors
/// If it cannot be bound.
pub(super) async fn try_bind(listen: SocketAddr) -> Result<(), Taken> {
    let Err(error) = tokio::net::TcpListener::bind(listen).await else { return Ok(()) };
    let is_in_use = error.kind() == ErrorKind::AddrInUse;
    let holder = if is_in_use { holder(listen.port()) } else { None };
    let cause = holder.map_or_else(|| error.to_string(), |holder| format!("{holder} has it"));
    Err(Taken { is_in_use, cause })
}

/// Name and number of a process of this machine that listens on the port. Linux shows those of other users to root alone.
fn holder(port: u16) -> Option<String> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(|table| fs::read_to_string(table).unwrap_or_default());
    let inodes = tables.iter().flat_map(|table| table.lines()).filter_map(|line| listening(line, port));
    let sockets: Vec<String> = inodes.map(|inode| format!("socket:[{inode}]")).collect();
    let has_one = |process: &fs::DirEntry| {
        // `self` is listed, too.
        if !process.file_name().to_string_lossy().starts_with(|first: char| first.is_ascii_digit()) {
            return false;
        }
        let files = fs::read_dir(process.path().join("fd")).into_iter().flatten().flatten();
        let mut targets = files.filter_map(|file| fs::read_link(file.path()).ok());
        targets.any(|target| sockets.iter().any(|socket| target.as_os_str() == socket.as_str()))
    };
    let process = fs::read_dir("/proc").ok()?.flatten().find(has_one)?;
    let name = fs::read_to_string(process.path().join("comm")).ok()?;
    Some(format!("{} (process {})", name.trim_end(), process.file_name().to_string_lossy()))
}

/// The inode of the socket in a line of /proc/net/tcp, if it listens on the port.
fn listening(line: &str, port: u16) -> Option<&str> {
    let mut columns = line.split_whitespace();
    let local = columns.nth(1)?;
    let state = columns.nth(1)?;
    let is_it = state == LISTEN && u16::from_str_radix(local.rsplit_once(':')?.1, 16) == Ok(port);
    columns.nth(5).filter(|_| is_it)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_kernel_is_read() {
        let line =
            "   0: 0100007F:20E4 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 424242 1 0 100";
        assert_eq!(listening(line, 8420), Some("424242"));
        assert_eq!(listening(line, 8421), None);
        assert_eq!(listening(&line.replace(" 0A ", " 01 "), 8420), None, "a connection");
    }

    #[tokio::test]
    async fn the_process_that_has_an_address_is_named() {
        let held = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let taken = try_bind(held.local_addr().unwrap()).await.unwrap_err();
        assert!(taken.is_in_use);
        assert!(taken.cause.contains(&format!("(process {}) has it", std::process::id())), "{taken:?}");
        let taken = try_bind("192.0.2.1:0".parse().unwrap()).await.unwrap_err();
        assert!(!taken.is_in_use, "an address of another machine: {taken:?}");
    }
}
