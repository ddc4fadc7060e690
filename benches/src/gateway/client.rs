//! A client of HTTP/1.1 that costs little: requests are bytes made beforehand, connections are kept, and all of them are
//! served by one thread.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::Ipv4Addr;
use std::pin::pin;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::report::Latencies;
use crate::{BenchError, Context};

/// Address of all requests.
pub(super) const PATH: &str = "/v1/events";
/// Limit of the wait for an answer.
const PATIENCE: Duration = Duration::from_secs(60);
/// Interval between checks for Ctrl-C.
const CHECK_EVERY: Duration = Duration::from_millis(50);
/// Bytes of buffer reserved per read: an answer fits.
const READ_BYTES: usize = 4 << 10;
/// Limit of an answer, bytes: it names some refused events at most.
const MAX_ANSWER: usize = 1 << 20;

/// The bytes of a request with a body of JSON.
pub(super) fn request(body: &str) -> Vec<u8> {
    let head = format!(
        "POST {PATH} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body.as_bytes()].concat()
}

/// Connections to a server, each with one request at a time.
pub(super) struct Client {
    connections: Vec<Connection>,
}

impl Client {
    /// Connects to a port of 127.0.0.1.
    ///
    /// # Errors
    /// If nothing listens there.
    pub(super) async fn connect(port: u16, connections: usize) -> Result<Self, BenchError> {
        let mut client = Self { connections: Vec::with_capacity(connections) };
        for _ in 0..connections {
            let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
            stream.set_nodelay(true)?;
            client.connections.push(Connection { stream, answer: Vec::new() });
        }
        Ok(client)
    }

    /// Sends all requests and waits for the answers. With a rate, request n is due n / `rate` seconds from now; without,
    /// as soon as a connection is free. Returns the time from the instant at which each was due to its complete answer.
    ///
    /// # Errors
    /// If an answer is missing or not 2xx, or Ctrl-C was pressed.
    pub(super) async fn send(
        &mut self,
        requests: &[Vec<u8>],
        rate: Option<f64>,
        context: &Context<'_>,
    ) -> Result<Latencies, BenchError> {
        let (counter, measured, started) = (Cell::new(0), RefCell::new(Latencies::default()), Instant::now());
        let (next, latencies) = (&counter, &measured);
        let each = self.connections.iter_mut().map(|connection| async move {
            loop {
                let number = next.replace(next.get() + 1);
                let Some(request) = requests.get(number) else { return Ok(()) };
                let now = Instant::now();
                let due = rate.map_or(now, |rate| started + Duration::from_secs_f64(number as f64 / rate));
                // Waits are rounded up to a millisecond, even for an instant that has passed.
                if due > now {
                    tokio::time::sleep_until(due.into()).await;
                }
                connection.exchange(request).await?;
                latencies.borrow_mut().push(due.elapsed());
            }
        });
        unless_interrupted(all(each), context).await?;
        Ok(measured.into_inner())
    }
}

/// Completes with all of them, or with the first error.
async fn all(futures: impl Iterator<Item = impl Future<Output = Result<(), BenchError>>>) -> Result<(), BenchError> {
    let mut futures: FuturesUnordered<_> = futures.collect();
    while let Some(done) = futures.next().await {
        done?;
    }
    Ok(())
}

async fn unless_interrupted<T>(
    work: impl Future<Output = Result<T, BenchError>>,
    context: &Context<'_>,
) -> Result<T, BenchError> {
    let mut work = pin!(work);
    loop {
        tokio::select! {
            done = &mut work => return done,
            () = tokio::time::sleep(CHECK_EVERY) => context.check()?,
        }
    }
}

/// A connection that is kept, and the bytes of the answer that is being read.
struct Connection {
    stream: TcpStream,
    answer: Vec<u8>,
}

impl Connection {
    /// Sends a request and waits for its answer.
    async fn exchange(&mut self, request: &[u8]) -> Result<(), BenchError> {
        let exchanged = tokio::time::timeout(PATIENCE, async {
            self.stream.write_all(request).await?;
            self.read_answer().await
        });
        exchanged.await.unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut).into()))
    }

    async fn read_answer(&mut self) -> Result<(), BenchError> {
        self.answer.clear();
        loop {
            if let Some(length) = answer_length(&self.answer)?
                && self.answer.len() >= length
            {
                break;
            }
            self.answer.reserve(READ_BYTES);
            if self.stream.read_buf(&mut self.answer).await? == 0 {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
            }
            if self.answer.len() > MAX_ANSWER {
                return Err(unreadable("an answer is longer than expected", &self.answer[..READ_BYTES]));
            }
        }
        let is_2xx = self.answer.starts_with(b"HTTP/1.1 2");
        if is_2xx { Ok(()) } else { Err(unreadable("a request was refused", &self.answer)) }
    }
}

/// Length of an answer with its head, bytes; `None` if the head is not complete.
fn answer_length(answer: &[u8]) -> Result<Option<usize>, BenchError> {
    let Some(head) = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n") else { return Ok(None) };
    let text = std::str::from_utf8(&answer[..head]).unwrap_or_default();
    let mut headers = text.lines().filter_map(|line| line.split_once(':'));
    let length = headers.find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let length: Option<usize> = length.and_then(|(_, value)| value.trim().parse().ok());
    let length = length.ok_or_else(|| unreadable("expected an answer with a length", answer))?;
    Ok(Some(head + 4 + length))
}

fn unreadable(what: &str, answer: &[u8]) -> BenchError {
    BenchError::Setup(format!("{what}: {}", String::from_utf8_lossy(answer)))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_an_answer_is_known_from_its_head() {
        assert_eq!(answer_length(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n").unwrap(), None);
        assert_eq!(answer_length(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").unwrap(), Some(40));
        assert!(answer_length(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").is_err());
    }
}
