//! The client of Slack against a fake Slack, and the fake against slack_sdk, which other people wrote for Slack itself.

mod faults;
mod finding;
mod operations;
mod rates;
mod sdk;
mod support;
mod texts;
