//! Deliveries of alerts: what receivers get, however they and the notifier fail.

mod channels;
mod kills;
mod peers;
mod receiver;
mod support;
mod webhooks;
