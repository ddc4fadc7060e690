//! Deliveries of alerts: what receivers get, however they and the notifier fail.

mod channels;
mod kills;
mod live;
mod peers;
mod receiver;
mod slack;
mod support;
mod webhooks;
