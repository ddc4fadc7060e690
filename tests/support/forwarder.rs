//! A TCP forwarder: an address that stays the same while the server behind it becomes another one.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// Forwards every connection to the server of the moment. It ends with the test process.
#[derive(Debug)]
pub(crate) struct Forwarder {
    port: u16,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    to: u16,
    /// Both ends of every connection.
    open: Vec<TcpStream>,
}

impl Forwarder {
    /// Forwards to a port of this machine.
    pub(crate) fn to(port: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let here = listener.local_addr().unwrap().port();
        let state = Arc::new(Mutex::new(State { to: port, open: Vec::new() }));
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let mut state = shared.lock().unwrap();
                let to = SocketAddr::from((Ipv4Addr::LOCALHOST, state.to));
                // Where nobody listens, the client finds its connection closed.
                let Ok(server) = TcpStream::connect(to) else { continue };
                for end in [&client, &server] {
                    state.open.push(end.try_clone().unwrap());
                }
                copy(client.try_clone().unwrap(), server.try_clone().unwrap());
                copy(server, client);
            }
        });
        Self { port: here, state }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// From now on to another server; connections to the one before end.
    pub(crate) fn switch(&self, port: u16) {
        let mut state = self.state.lock().unwrap();
        state.to = port;
        for end in state.open.drain(..) {
            let _ = end.shutdown(Shutdown::Both); // it may have ended by itself
        }
    }
}

fn copy(mut from: TcpStream, mut to: TcpStream) {
    std::thread::spawn(move || {
        let mut buffer = vec![0; 64 << 10];
        while let Ok(length @ 1..) = from.read(&mut buffer) {
            if to.write_all(&buffer[..length]).is_err() {
                break;
            }
        }
        let _ = from.shutdown(Shutdown::Both);
        let _ = to.shutdown(Shutdown::Both);
    });
}
