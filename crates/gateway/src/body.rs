//! The body of a request, within its limits of size and time, inflated.

use std::io::Read;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, StatusCode, header};
use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use http_body_util::{BodyExt, LengthLimitError, Limited};

use crate::Options;
use crate::answer::Failure;

/// A body is inflated on the thread of its connection up to this size, bytes: a few milliseconds.
const INFLATED_INLINE: usize = 256 << 10;

/// The body as it was sent.
///
/// # Errors
/// If it is too large or takes too long, or the connection breaks.
pub(crate) async fn read(options: &Options, headers: &HeaderMap, body: Body) -> Result<Bytes, Failure> {
    let most = options.max_body_bytes;
    let too_large = || Failure::too_large(format!("expected a body of at most {most} bytes: send it in parts"));
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > most as u64) {
        return Err(too_large());
    }
    let collected = tokio::time::timeout(options.read_timeout, Limited::new(body, most).collect()).await;
    match collected {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(_)) => Err(Failure::bad_request("the body ended before it was complete")),
        Err(_) => Err(too_slow(options.read_timeout)),
    }
}

fn too_slow(limit: Duration) -> Failure {
    let detail = format!("the body did not arrive within {} s", limit.as_secs_f64());
    Failure::new(StatusCode::REQUEST_TIMEOUT, "timeout", detail)
}

/// The body without its `Content-Encoding`: gzip or none.
///
/// # Errors
/// If it is of another encoding, is broken, or is too large once inflated.
pub(crate) async fn inflate(options: &Options, headers: &HeaderMap, body: Bytes) -> Result<Bytes, Failure> {
    let encoding = headers.get(header::CONTENT_ENCODING).map_or(Ok("identity"), |value| value.to_str());
    match encoding.map(str::trim) {
        Ok("identity" | "") => Ok(body),
        Ok(name) if name.eq_ignore_ascii_case("gzip") || name.eq_ignore_ascii_case("x-gzip") => {
            let most = options.max_inflated_bytes;
            if body.len() <= INFLATED_INLINE / 8 && most <= INFLATED_INLINE {
                return gunzip(&body, most);
            }
            let inflating = tokio::task::spawn_blocking(move || gunzip(&body, most));
            inflating.await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
        }
        Ok(_) | Err(_) => Err(Failure::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported_encoding",
            "expected Content-Encoding: gzip, or none",
        )),
    }
}

fn gunzip(body: &[u8], most: usize) -> Result<Bytes, Failure> {
    let mut inflated = Vec::new();
    let read = MultiGzDecoder::new(body).take(most as u64 + 1).read_to_end(&mut inflated);
    match read {
        Ok(_) if inflated.len() > most => Err(Failure::too_large(format!(
            "expected at most {most} bytes once the body is inflated: send it in parts"
        ))),
        Ok(_) => Ok(inflated.into()),
        Err(error) => {
            Err(Failure::bad_request(format!("the body is not gzip as its Content-Encoding announces: {error}")))
        }
    }
}
