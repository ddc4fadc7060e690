//! TLS for connections to servers: the certificate authorities that Watch Tower trusts.

pub mod tls;
