//! Who may do what, and what is trusted: tokens with their roles, signatures of webhooks, certificate authorities of
//! servers, and addresses that may be connected to. Bytes in, decisions out: no I/O but for certificates in files.

mod encoding;
mod grant;
pub mod guard;
pub mod signature;
pub mod tls;
mod token;

pub use encoding::from_base64;
pub use grant::{Grant, Role};
pub use token::{Token, TokenHash, equal};
