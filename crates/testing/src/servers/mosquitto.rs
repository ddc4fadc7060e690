//! A throwaway MQTT broker: mosquitto, which keeps sessions and messages over a restart.

use std::io::Write;
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{Process, ServerError, on_a_free_port, on_the_same_port, program, temporary_folder, wait_for, write};

/// A broker that ends with this value; its port stays the same over restarts.
#[derive(Debug)]
pub struct Mosquitto {
    /// `None` while it is stopped. Dropped before the folder.
    process: Option<Process>,
    folder: tempfile::TempDir,
    port: u16,
}

impl Mosquitto {
    /// Starts a broker and waits until it accepts clients.
    ///
    /// # Errors
    /// If it is not installed, or does not start.
    pub fn start() -> Result<Self, ServerError> {
        let folder = temporary_folder("watchtower-mosquitto-")?;
        let (port, process) = on_a_free_port(|port| {
            let text = format!(
                "listener {port} 127.0.0.1\nallow_anonymous true\nuser root\npersistence true\n\
                 persistence_location {}/\n",
                folder.path().display()
            );
            write(&configuration(folder.path()), &text)?;
            run(folder.path(), port)
        })?;
        Ok(Self { process: Some(process), folder, port })
    }

    /// Port for clients, on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Stops the broker, which saves its sessions, and waits until it has ended.
    pub fn stop(&mut self) {
        if let Some(process) = self.process.take() {
            process.end("TERM");
        }
    }

    /// Starts the broker again on the same port with the same sessions; stops it first if it runs.
    ///
    /// # Errors
    /// If it does not start.
    pub fn restart(&mut self) -> Result<(), ServerError> {
        self.stop();
        self.process = Some(on_the_same_port(|| run(self.folder.path(), self.port))?);
        Ok(())
    }

    /// Publishes a message with QoS 1 by `mosquitto_pub` and waits until the broker has it.
    ///
    /// # Errors
    /// If that fails.
    pub fn publish(&self, topic: &str, payload: &str) -> Result<(), ServerError> {
        let client = program("mosquitto_pub", "mosquitto-clients", &[])?;
        let port = self.port.to_string();
        let mut child = Command::new(client)
            .args(["-h", "127.0.0.1", "-p", &port, "-q", "1", "-t", topic, "-s"])
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(ServerError::io("start mosquitto_pub"))?;
        let mut stdin = child.stdin.take().expect("stdin is piped");
        stdin.write_all(payload.as_bytes()).map_err(ServerError::io("write to mosquitto_pub"))?;
        drop(stdin);
        let output = child.wait_with_output().map_err(ServerError::io("wait for mosquitto_pub"))?;
        if output.status.success() {
            return Ok(());
        }
        let command = format!("mosquitto_pub -t {topic}");
        Err(ServerError::Command { command, output: String::from_utf8_lossy(&output.stderr).into_owned() })
    }
}

fn configuration(folder: &Path) -> PathBuf {
    folder.join("mosquitto.conf")
}

fn run(folder: &Path, port: u16) -> Result<Process, ServerError> {
    // Debian has it where only root looks for programs.
    let server = program("mosquitto", "mosquitto", &[PathBuf::from("/usr/sbin")])?;
    let process = Process::start(folder, "KILL", [server, "-c".into(), configuration(folder)])?;
    let answers = || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok();
    wait_for("mosquitto", process, folder, answers)
}
