//! The HTTP side: which request is for what, tokens, scopes, rates and faults in front of the methods.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State as Extract;
use axum::http::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use axum::response::Response;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::arguments::Arguments;
use super::faults::Fault;
use super::methods::{call, channel_of_post, scope};
use super::rates::{Limits, Rates};
use super::workspace::{Bot, Hook, Request, Workspace};
use super::{files, webhooks};

/// Size of a request, bytes.
const MAX_REQUEST: usize = 16 << 20;
const JSON: &str = "application/json; charset=utf-8";

/// Everything that the fake knows.
#[derive(Debug)]
pub(super) struct State {
    /// Its own address, without a slash at the end.
    pub(super) base: String,
    pub(super) workspace: Workspace,
    /// By path.
    pub(super) hooks: BTreeMap<String, Hook>,
    /// By method, what goes wrong next.
    pub(super) faults: BTreeMap<String, VecDeque<Fault>>,
    pub(super) requests: Vec<Request>,
    rates: Rates,
}

/// Marks an answer that is not sent: the connection ends instead.
#[derive(Clone, Copy, Debug)]
struct Lost;

/// An answer before it is HTTP.
#[derive(Debug)]
struct Reply {
    status: u16,
    content_type: &'static str,
    headers: Vec<(&'static str, String)>,
    body: String,
}

/// A request as the rules see it.
struct Call<'a> {
    /// The method, `webhook`, or `upload`.
    method: &'a str,
    path: &'a str,
    query: &'a str,
    headers: &'a HeaderMap,
    body: &'a [u8],
}

impl State {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            base: String::new(),
            workspace: Workspace::default(),
            hooks: BTreeMap::new(),
            faults: BTreeMap::new(),
            requests: Vec::new(),
            rates: Rates::new(limits),
        }
    }

    /// Answers a request, with the fault that a test asked for.
    fn answer(&mut self, request: &Call<'_>) -> (Reply, Option<Fault>) {
        let header = |name| request.headers.get(name).and_then(|value| value.to_str().ok());
        let content_type = header(CONTENT_TYPE);
        let bearer = header(AUTHORIZATION).and_then(|value| value.strip_prefix("Bearer ")).map(str::to_owned);
        let fault = self.faults.get_mut(request.method).and_then(VecDeque::pop_front);
        let is_upload = request.method == "upload";
        let read = if is_upload {
            Ok(Arguments::default())
        } else {
            Arguments::read(content_type, request.query, request.body)
        };
        let token = bearer.or_else(|| read.as_ref().ok().and_then(Arguments::token));
        self.requests.push(Request {
            method: request.method.to_owned(),
            content_type: content_type.map(str::to_owned),
            token: token.clone(),
            is_limited: false,
        });
        if let Some(fault) = fault.as_ref().filter(|fault| !fault.is_carried_out()) {
            return (injected(fault), None);
        }
        let reply = match request.method {
            "upload" => {
                let id = request.path.rsplit('/').next().unwrap_or_default();
                let is_known = files::receive(&mut self.workspace, id, request.body);
                if is_known { Reply::text(200, &format!("OK - {}", request.body.len())) } else { Reply::text(404, "") }
            }
            "webhook" => self.webhook(request.path, read),
            method => match read {
                Ok(arguments) => self.method(method, token, &arguments),
                Err(code) => Reply::code(code),
            },
        };
        (reply, fault)
    }

    fn webhook(&mut self, path: &str, arguments: Result<Arguments, &'static str>) -> Reply {
        let limited = match self.hooks.get(path) {
            Some(hook) => self.rates.post(&hook.channel, Instant::now()),
            None => None,
        };
        if let Some(wait) = limited {
            return self.limited(wait, "text/plain", "rate_limited".to_owned());
        }
        let (status, text) = webhooks::post(&mut self.workspace, &self.hooks, path, arguments);
        Reply::text(status, text)
    }

    fn method(&mut self, method: &str, token: Option<String>, arguments: &Arguments) -> Reply {
        let Some(token) = token else { return Reply::code("not_authed") };
        let Some(bot) = self.workspace.bots.get(&token).cloned() else { return Reply::code("invalid_auth") };
        if bot.is_revoked {
            return Reply::code("token_revoked");
        }
        let provided = bot.scopes.join(",");
        if let Some(needed) = scope(method).filter(|scope| !bot.scopes.iter().any(|has| has == scope)) {
            let refusal = json!({"ok": false, "error": "missing_scope", "needed": needed, "provided": provided});
            return Reply::json(200, &refusal);
        }
        let limited = match method {
            "chat.postMessage" => {
                let channel = channel_of_post(&self.workspace, arguments).ok();
                channel.and_then(|channel| self.rates.post(&channel, Instant::now()))
            }
            other => self.rates.method(&token, other, Instant::now()),
        };
        if let Some(wait) = limited {
            return self.limited(wait, JSON, limited_body());
        }
        self.carry_out(method, &bot, arguments, provided)
    }

    fn carry_out(&mut self, method: &str, bot: &Bot, arguments: &Arguments, scopes: String) -> Reply {
        let mut reply = match call(&mut self.workspace, &self.base, method, bot, arguments) {
            Ok(json) => Reply::json(200, &json),
            Err(code) => Reply::code(code),
        };
        reply.headers.push(("x-oauth-scopes", scopes));
        reply
    }

    /// A refusal for the rate, with whole seconds as Slack has them.
    fn limited(&mut self, wait: Duration, content_type: &'static str, body: String) -> Reply {
        self.requests.last_mut().expect("this request is one").is_limited = true;
        let seconds = wait.as_secs_f64().ceil().max(1.0);
        Reply { status: 429, content_type, headers: vec![(RETRY_AFTER.as_str(), format!("{seconds}"))], body }
    }
}

fn limited_body() -> String {
    json!({"ok": false, "error": "ratelimited"}).to_string()
}

/// The answer of a request that is not carried out.
fn injected(fault: &Fault) -> Reply {
    let header =
        |value: &Option<String>| value.iter().map(|value| (RETRY_AFTER.as_str(), value.clone())).collect::<Vec<_>>();
    match fault {
        Fault::Limited { retry_after } => {
            Reply { status: 429, content_type: JSON, headers: header(retry_after), body: limited_body() }
        }
        Fault::LimitedInBody { retry_after } => {
            Reply { status: 200, content_type: JSON, headers: header(retry_after), body: limited_body() }
        }
        Fault::Code(code) => Reply::code(code),
        Fault::Answer { status, headers, body } => {
            Reply { status: *status, content_type: "text/html", headers: headers.clone(), body: body.clone() }
        }
        Fault::ErrorBefore | Fault::ErrorAfter | Fault::LoseReply | Fault::BreakReply | Fault::Hang => {
            Reply::text(500, "Internal Server Error")
        }
    }
}

impl Reply {
    fn json(status: u16, json: &Value) -> Self {
        Self { status, content_type: JSON, headers: Vec::new(), body: json.to_string() }
    }

    fn code(code: &str) -> Self {
        Self::json(200, &json!({"ok": false, "error": code}))
    }

    fn text(status: u16, text: &str) -> Self {
        Self { status, content_type: "text/plain", headers: Vec::new(), body: text.to_owned() }
    }

    fn response(self, body: impl FnOnce(String) -> Body) -> Response {
        let mut response = Response::builder().status(self.status).header(CONTENT_TYPE, self.content_type);
        for (name, value) in self.headers {
            response = response.header(name, value);
        }
        response.body(body(self.body)).expect("the headers of the fake can be sent")
    }

    /// The answer without its end.
    fn broken(mut self) -> Response {
        self.headers.push((CONTENT_LENGTH.as_str(), self.body.len().to_string()));
        self.response(|body| {
            let begin = Bytes::from(body[..body.len() / 2].to_owned());
            let chunks = [Ok(begin), Err(io::Error::from(io::ErrorKind::ConnectionReset))];
            Body::from_stream(futures_util::stream::iter(chunks))
        })
    }
}

async fn handle(Extract(state): Extract<Arc<Mutex<State>>>, request: axum::extract::Request) -> Response {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path();
    let method = match path {
        _ if path.starts_with("/services/") => "webhook",
        _ if path.starts_with("/upload/v1/") => "upload",
        _ => path.strip_prefix("/api/").unwrap_or_default(),
    };
    let Ok(body) = axum::body::to_bytes(body, MAX_REQUEST).await else {
        return Reply::text(413, "").response(Body::from);
    };
    let query = parts.uri.query().unwrap_or_default();
    let call = Call { method, path, query, headers: &parts.headers, body: &body };
    let (reply, fault) = state.lock().expect("nothing panics while it holds this").answer(&call);
    match fault {
        Some(Fault::LoseReply) => {
            let mut response = reply.response(Body::from);
            response.extensions_mut().insert(Lost);
            response
        }
        Some(Fault::BreakReply) => reply.broken(),
        Some(Fault::Hang) => std::future::pending().await,
        Some(fault @ Fault::ErrorAfter) => injected(&fault).response(Body::from),
        _ => reply.response(Body::from),
    }
}

/// Serves on a thread of its own until `stopped`. Returns the port.
pub(super) fn start(state: Arc<Mutex<State>>, stopped: oneshot::Receiver<()>) -> (u16, JoinHandle<()>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("this machine has a free port");
    listener.set_nonblocking(true).expect("a listener can be set to that");
    let port = listener.local_addr().expect("it is bound").port();
    let serve = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("this process can make one more runtime");
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).expect("the runtime has I/O");
            let router = Router::new().fallback(handle).with_state(state);
            tokio::select! {
                () = accept(&listener, &router) => {}
                _ = stopped => {}
            }
        });
    };
    (port, std::thread::spawn(serve))
}

async fn accept(listener: &tokio::net::TcpListener, router: &Router) {
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let inner = TowerToHyperService::new(router.clone());
        let service = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
            let inner = inner.clone();
            async move {
                let response = inner.call(request).await.unwrap_or_else(|never| match never {});
                // An error ends the connection without an answer.
                let is_lost = response.extensions().get::<Lost>().is_some();
                if is_lost { Err(io::Error::from(io::ErrorKind::ConnectionAborted)) } else { Ok(response) }
            }
        });
        tokio::spawn(async move {
            // Clients go away, and faults end connections.
            let _ = auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
        });
    }
}
