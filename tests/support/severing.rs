//! A connection to PostgreSQL that breaks where a test wants it: before a COMMIT gets to the server, or after the server
//! has answered it and before the client has the answer.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// Where a connection breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// The server never gets the COMMIT.
    BeforeCommit,
    /// The client never gets the answer to the COMMIT, which was carried out.
    BeforeAnswer,
}

/// What the first message of a client says if it asks for encryption.
const ASKS_FOR_ENCRYPTION: [u32; 2] = [80_877_103, 80_877_104];
/// What sets the session that is to be cut apart: only it writes this table.
const OF_THE_WRITER: &[u8] = b"INSERT INTO commit_log";

/// Forwards every connection to a server, and breaks those that write `commit_log` as it is told. It ends with the test
/// process.
#[derive(Debug)]
pub(crate) struct Severing {
    port: u16,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    /// Where the next COMMIT breaks its connection.
    next: Mutex<Option<Cut>>,
    cuts: AtomicUsize,
}

impl Severing {
    /// In front of the server at a port of this machine.
    pub(crate) fn before(port: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let here = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared::default());
        let for_all = Arc::clone(&shared);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)) else { continue };
                forward(client, server, Arc::clone(&for_all));
            }
        });
        Self { port: here, shared }
    }

    /// Where clients connect to.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The next COMMIT of the writer breaks its connection.
    pub(crate) fn cut(&self, cut: Cut) {
        *self.shared.next.lock().unwrap() = Some(cut);
    }

    /// Connections that were broken.
    pub(crate) fn cuts(&self) -> usize {
        self.shared.cuts.load(Ordering::SeqCst)
    }
}

/// A client and its connection to the server.
struct Session {
    client: TcpStream,
    server: TcpStream,
    shared: Arc<Shared>,
    /// The next answer of the server is the one that the client is not to get.
    is_muted: Arc<AtomicBool>,
}

fn forward(client: TcpStream, server: TcpStream, shared: Arc<Shared>) {
    let is_muted = Arc::new(AtomicBool::new(false));
    let back = [client.try_clone().unwrap(), server.try_clone().unwrap()];
    let (muted, cuts) = (Arc::clone(&is_muted), Arc::clone(&shared));
    std::thread::spawn(move || answers(back, &muted, &cuts));
    std::thread::spawn(move || {
        let mut session = Session { client, server, shared, is_muted };
        let _ = session.run(); // one of the ends is gone
        end(&session.client, &session.server);
    });
}

fn end(client: &TcpStream, server: &TcpStream) {
    for end in [client, server] {
        let _ = end.shutdown(Shutdown::Both); // it may have ended by itself
    }
}

fn answers([mut client, mut server]: [TcpStream; 2], is_muted: &AtomicBool, shared: &Shared) {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(length @ 1..) = server.read(&mut buffer) {
        if is_muted.load(Ordering::SeqCst) {
            shared.cuts.fetch_add(1, Ordering::SeqCst);
            break;
        }
        if client.write_all(&buffer[..length]).is_err() {
            break;
        }
    }
    end(&client, &server);
}

impl Session {
    fn run(&mut self) -> io::Result<()> {
        // What comes before the parameters of the session has no type.
        loop {
            let first = self.message(Vec::new())?;
            self.server.write_all(&first)?;
            let code = u32::from_be_bytes(first[4..8].try_into().unwrap());
            if !ASKS_FOR_ENCRYPTION.contains(&code) {
                break;
            }
        }
        let mut is_writer = false;
        loop {
            let mut kind = [0];
            self.client.read_exact(&mut kind)?;
            let message = self.message(kind.to_vec())?;
            is_writer |= kind == *b"P" && message.windows(OF_THE_WRITER.len()).any(|part| part == OF_THE_WRITER);
            if is_writer && message == b"Q\0\0\0\x0bCOMMIT\0" {
                match self.shared.next.lock().unwrap().take() {
                    Some(Cut::BeforeCommit) => {
                        self.shared.cuts.fetch_add(1, Ordering::SeqCst);
                        return Ok(());
                    }
                    Some(Cut::BeforeAnswer) => self.is_muted.store(true, Ordering::SeqCst),
                    None => {}
                }
            }
            self.server.write_all(&message)?;
        }
    }

    /// Reads the rest of a message: its length, which counts itself, and what it holds.
    fn message(&mut self, mut message: Vec<u8>) -> io::Result<Vec<u8>> {
        let mut length = [0; 4];
        self.client.read_exact(&mut length)?;
        let mut rest = vec![0; u32::from_be_bytes(length) as usize - 4];
        self.client.read_exact(&mut rest)?;
        message.extend(length);
        message.extend(rest);
        Ok(message)
    }
}
