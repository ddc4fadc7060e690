//! A Redis that answers the next commands of a name with an error, as a test asks for; a real one does all else.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};

/// Listens until the test process ends. What it refuses never reaches the real server; a transaction with a command
/// that was refused is discarded there.
#[derive(Debug)]
pub(crate) struct Answering {
    port: u16,
    script: Arc<Mutex<Script>>,
}

/// What is answered next.
#[derive(Debug, Default)]
struct Script {
    command: String,
    answer: String,
    left: usize,
}

impl Answering {
    /// In front of the server at a port of this machine.
    pub(crate) fn before(port: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let here = listener.local_addr().unwrap().port();
        let script = Arc::new(Mutex::new(Script::default()));
        let shared = Arc::clone(&script);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)) else { continue };
                let script = Arc::clone(&shared);
                std::thread::spawn(move || {
                    let ends = [client.try_clone().unwrap(), server.try_clone().unwrap()];
                    let _ = Session::new(client, server, script).run(); // one of the ends is gone
                    ends.iter().for_each(|end| {
                        let _ = end.shutdown(Shutdown::Both);
                    });
                });
            }
        });
        Self { port: here, script }
    }

    /// What clients connect to.
    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// From now on the next `times` commands of this name are refused with an answer.
    pub(crate) fn refuse(&self, command: &str, answer: &str, times: usize) {
        *self.script() = Script { command: command.to_owned(), answer: answer.to_owned(), left: times };
    }

    /// How many of them are still to come.
    pub(crate) fn left(&self) -> usize {
        self.script().left
    }

    fn script(&self) -> MutexGuard<'_, Script> {
        self.script.lock().unwrap()
    }
}

/// One client and its connection to the real server: a command, its answer, the next command.
struct Session {
    client: TcpStream,
    server: TcpStream,
    commands: BufReader<TcpStream>,
    answers: BufReader<TcpStream>,
    script: Arc<Mutex<Script>>,
    is_in_transaction: bool,
    is_spoilt: bool,
}

impl Session {
    fn new(client: TcpStream, server: TcpStream, script: Arc<Mutex<Script>>) -> Self {
        let commands = BufReader::new(client.try_clone().unwrap());
        let answers = BufReader::new(server.try_clone().unwrap());
        Self { client, server, commands, answers, script, is_in_transaction: false, is_spoilt: false }
    }

    fn run(mut self) -> io::Result<()> {
        loop {
            let command = value(&mut self.commands)?;
            let name = name(&command);
            match self.refused(&name) {
                Some(answer) if name == "EXEC" => self.discard(&answer)?,
                Some(answer) => {
                    self.is_spoilt = self.is_in_transaction;
                    write!(self.client, "-{answer}\r\n")?;
                }
                None if name == "EXEC" && self.is_spoilt => {
                    self.discard("EXECABORT Transaction discarded because of previous errors.")?;
                }
                None => {
                    self.server.write_all(&command)?;
                    let answer = value(&mut self.answers)?;
                    self.client.write_all(&answer)?;
                    match &*name {
                        "MULTI" => self.is_in_transaction = true,
                        "EXEC" => self.is_in_transaction = false,
                        _ => {}
                    }
                }
            }
        }
    }

    fn refused(&self, name: &str) -> Option<String> {
        let mut script = self.script.lock().unwrap();
        if script.left == 0 || script.command != name {
            return None;
        }
        script.left -= 1;
        Some(script.answer.clone())
    }

    /// Ends the transaction without effect.
    fn discard(&mut self, answer: &str) -> io::Result<()> {
        (self.is_in_transaction, self.is_spoilt) = (false, false);
        self.server.write_all(b"*1\r\n$7\r\nDISCARD\r\n")?;
        value(&mut self.answers)?;
        write!(self.client, "-{answer}\r\n")
    }
}

/// The bytes of a value of the protocol: a command or an answer.
fn value(from: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if from.read_until(b'\n', &mut bytes)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let length = std::str::from_utf8(&bytes[1..]).ok().and_then(|text| text.trim_end().parse::<i64>().ok());
    match (bytes[0], length) {
        (b'*', Some(length)) => {
            for _ in 0..length {
                bytes.extend(value(from)?);
            }
        }
        (b'$', Some(length @ 0..)) => {
            let mut text = vec![0; length as usize + 2];
            from.read_exact(&mut text)?;
            bytes.extend(text);
        }
        _ => {}
    }
    Ok(bytes)
}

/// The first word of a command, in capitals.
fn name(command: &[u8]) -> String {
    let text = String::from_utf8_lossy(command);
    text.split("\r\n").nth(2).unwrap_or_default().to_uppercase()
}
