//! Uploading an image into a channel or a thread.

use reqwest::header::CONTENT_TYPE;
use serde::{Deserialize, Serialize};

use crate::client::Client;
use crate::error::Error;
use crate::http::send;
use crate::options::checked_url;

/// A PNG to show in a channel.
#[derive(Clone, Copy, Debug)]
pub struct Upload<'a> {
    /// The channel's ID; a name is refused.
    pub channel: &'a str,
    /// `ts` of the message whose thread it belongs to.
    pub thread_ts: Option<&'a str>,
    /// Name of the file, such as `summary.png`.
    pub filename: &'a str,
    /// Title above the image.
    pub title: &'a str,
    /// Description for readers who do not see the image.
    pub alt_text: &'a str,
    /// The message that the image is shown with, mrkdwn.
    pub comment: Option<&'a str>,
    /// The file.
    pub png: &'a [u8],
}

/// A file that is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uploaded {
    /// The file's ID, such as `F0123456789`.
    pub file_id: String,
}

#[derive(Debug, Deserialize)]
struct Target {
    upload_url: String,
    file_id: String,
}

#[derive(Debug, Serialize)]
struct Complete<'a> {
    files: [File<'a>; 1],
    channel_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    thread_ts: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    initial_comment: Option<&'a str>,
}

#[derive(Debug, Serialize)]
struct File<'a> {
    id: &'a str,
    title: &'a str,
}

/// What a completed upload returns; its contents are known.
#[derive(Debug, Deserialize)]
struct Completed {}

impl Client {
    /// Uploads a PNG and shows it in a channel (scope `files:write`): an address is requested, the bytes are sent there,
    /// and the file is shared. Source: <https://docs.slack.dev/messaging/working-with-files>, "Uploading files".
    ///
    /// # Errors
    /// All kinds. An error of the first two steps shares no file, so it never counts as one that may have happened.
    pub async fn upload(&self, upload: &Upload<'_>) -> Result<Uploaded, Error> {
        let Target { upload_url, file_id } = self.target(upload).await.map_err(nothing_shared)?;
        self.send_bytes(&upload_url, upload.png).await.map_err(nothing_shared)?;
        let Upload { channel, thread_ts, title, comment, .. } = *upload;
        let body = Complete {
            files: [File { id: &file_id, title }],
            channel_id: channel,
            thread_ts,
            initial_comment: comment,
        };
        let Completed {} = self.json("files.completeUploadExternal", &body).await?.of_method()?;
        Ok(Uploaded { file_id })
    }

    async fn target(&self, upload: &Upload<'_>) -> Result<Target, Error> {
        let length = upload.png.len().to_string();
        let fields = [("filename", upload.filename), ("length", &length), ("alt_txt", upload.alt_text)];
        send(self.form("files.getUploadURLExternal", &fields)).await?.of_method()
    }

    /// Sends the bytes, without the token: the address is secret by itself.
    async fn send_bytes(&self, url: &str, png: &[u8]) -> Result<(), Error> {
        let url = checked_url("the upload URL", url).ok().filter(|url| url.scheme() == "https" || self.is_plain());
        let Some(url) = url else { return Err(Error::Malformed { cause: "its upload_url is not https".to_owned() }) };
        let answer = send(self.http.post(url).header(CONTENT_TYPE, "image/png").body(png.to_vec())).await?.checked()?;
        if answer.status.is_success() { Ok(()) } else { Err(answer.refused()) }
    }
}

/// What an error means before the file is shared: the whole upload can be repeated.
fn nothing_shared(error: Error) -> Error {
    match error {
        Error::Ambiguous { cause } => Error::Transient { cause },
        Error::Malformed { cause } => Error::Transient { cause: format!("the answer is not Slack's: {cause}") },
        other @ (Error::RateLimited { .. } | Error::Transient { .. } | Error::Refused { .. }) => other,
    }
}
