//! What Watch Tower trusts: certificates of servers, over TLS.

pub mod tls;
