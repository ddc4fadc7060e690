//! A fake Slack on a free port of this machine: a workspace with channels, messages, threads and metadata, tokens with
//! scopes, incoming webhooks, and the documented rate limits. Its error codes are Slack's
//! (<https://docs.slack.dev/reference/methods>); where Slack documents none, the place states the choice.
//!
//! | file | contents |
//! |---|---|
//! | `workspace.rs` | channels, bots, messages: what the methods work on |
//! | `methods.rs`, `files.rs` | the methods of the Web API |
//! | `webhooks.rs` | incoming webhooks |
//! | `arguments.rs` | arguments from JSON, forms and queries |
//! | `rates.rs` | the rate limits |
//! | `faults.rs` | what a test makes go wrong |
//! | `text.rs` | what a reader sees of a text |
//! | `server.rs` | HTTP |

mod arguments;
mod faults;
mod files;
mod methods;
mod rates;
mod server;
mod text;
mod webhooks;
mod workspace;

use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;

pub use faults::Fault;
pub use rates::Limits;
pub use text::{Shown, shown};
pub use workspace::{Message, Request};

use server::State;
use workspace::Hook;

/// Scopes of the method that posts and updates.
pub const CHAT_WRITE: &str = "chat:write";
/// Scope of the methods that read messages.
pub const CHANNELS_HISTORY: &str = "channels:history";
/// Scope of the methods that upload files.
pub const FILES_WRITE: &str = "files:write";

/// A fake Slack that ends with this value.
#[derive(Debug)]
pub struct FakeSlack {
    port: u16,
    state: Arc<Mutex<State>>,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl FakeSlack {
    /// Starts it with the documented rate limits and an empty workspace.
    pub fn start() -> Self {
        Self::with_limits(Limits::default())
    }

    /// Starts it with other rate limits.
    pub fn with_limits(limits: Limits) -> Self {
        let state = Arc::new(Mutex::new(State::new(limits)));
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let (port, thread) = server::start(Arc::clone(&state), stopped);
        state.lock().expect("nothing panics while it holds this").base = format!("http://127.0.0.1:{port}");
        Self { port, state, stop: Some(stop), thread: Some(thread) }
    }

    /// What names of methods are appended to.
    pub fn base_url(&self) -> String {
        format!("http://127.0.0.1:{}/api/", self.port)
    }

    /// Makes a channel and returns its ID.
    pub fn add_channel(&self, name: &str) -> String {
        self.state().workspace.add_channel(name)
    }

    /// Makes an app with a bot that has these scopes and is a member of these channels, and returns its token.
    pub fn add_bot(&self, scopes: &[&str], channels: &[&str]) -> String {
        self.state().workspace.add_bot(scopes, channels)
    }

    /// Revokes a token.
    pub fn revoke(&self, token: &str) {
        self.state().workspace.bot_mut(token).is_revoked = true;
    }

    /// Archives a channel.
    pub fn archive(&self, channel: &str) {
        self.state().workspace.channel_mut(channel).is_archived = true;
    }

    /// Makes an incoming webhook of a channel and returns its URL.
    pub fn add_webhook(&self, channel: &str) -> String {
        let mut state = self.state();
        let path = format!("/services/T0FAKE001/B{:08}/sEcReT{}", state.hooks.len() + 1, state.hooks.len());
        state.hooks.insert(path.clone(), Hook { channel: channel.to_owned() });
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// Removes an incoming webhook: posts to it are answered with 404 and `no_service`.
    pub fn remove_webhook(&self, url: &str) {
        let path = url.trim_start_matches(&format!("http://127.0.0.1:{}", self.port)).to_owned();
        self.state().hooks.remove(&path).expect("the webhook is there");
    }

    /// Writes a message as a person does, and returns its `ts`.
    pub fn write(&self, channel: &str, text: &str) -> String {
        let mut state = self.state();
        let message = Message::written(state.workspace.next_ts(), text);
        let ts = message.ts.clone();
        state.workspace.channel_mut(channel).messages.push(message);
        ts
    }

    /// Deletes a message, as an administrator does.
    pub fn delete(&self, channel: &str, ts: &str) {
        self.state().workspace.channel_mut(channel).messages.retain(|message| message.ts != ts);
    }

    /// Makes the next request of a method go wrong, or the one after those that were already made to; `webhook` is that
    /// of all webhooks, `upload` that of the bytes of files.
    pub fn fail(&self, method: &str, fault: Fault) {
        self.state().faults.entry(method.to_owned()).or_default().push_back(fault);
    }

    /// How many faults of a method are still to come.
    pub fn pending(&self, method: &str) -> usize {
        self.state().faults.get(method).map_or(0, |faults| faults.len())
    }

    /// The messages of a channel with those in its threads, in the order of their posting.
    pub fn messages(&self, channel: &str) -> Vec<Message> {
        self.state().workspace.channel_mut(channel).messages.clone()
    }

    /// The bytes of an uploaded file, if it was completed.
    pub fn file(&self, id: &str) -> Option<Vec<u8>> {
        let state = self.state();
        let file = state.workspace.files.get(id)?;
        file.is_shared.then(|| file.bytes.clone()).flatten()
    }

    /// The requests so far.
    pub fn requests(&self) -> Vec<Request> {
        self.state().requests.clone()
    }

    /// How many requests were refused for their rate, without those that a test asked for.
    pub fn limited(&self) -> usize {
        self.state().requests.iter().filter(|request| request.is_limited).count()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics while it holds this")
    }
}

impl Drop for FakeSlack {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic of the server has been printed.
            let _ = thread.join();
        }
    }
}
