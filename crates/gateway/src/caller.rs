//! Who sends a request.

use axum::http::{HeaderMap, Uri, header};
use watchtower_auth::{Grant, Role};

use crate::answer::Failure;
use crate::{Context, local};

/// Who sends a request, and what is allowed.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    /// Identifier of the token, or a word for those without one; limits are counted by it.
    pub(crate) name: String,
    /// What is allowed.
    pub(crate) grant: Grant,
}

/// A token where the `Authorization` header has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Header {
    Bearer,
    Basic,
    Either,
}

impl Context {
    /// The sender of a request of the native API: the holder of a token, or a program of this machine while the gateway
    /// is open.
    ///
    /// # Errors
    /// If there is no valid token and one is required, or its holder may not do this.
    pub(crate) async fn caller(&self, headers: &HeaderMap, uri: &Uri, needed: Role) -> Result<Caller, Failure> {
        let caller = match presented(headers, Header::Either)? {
            Some(token) => self.holder(&token).await?,
            None => self.unnamed(headers, uri)?,
        };
        if !caller.grant.role.includes(needed) {
            let role = caller.grant.role;
            return Err(Failure::forbidden(format!("the token has the role {role}; this needs {needed}")));
        }
        Ok(caller)
    }

    /// A program of this machine, without a token.
    ///
    /// # Errors
    /// If tokens are required, or the request comes from elsewhere.
    pub(crate) fn unnamed(&self, headers: &HeaderMap, uri: &Uri) -> Result<Caller, Failure> {
        if !self.options.is_open() {
            return Err(Failure::unauthorized("a token is required: Authorization: Bearer <token>"));
        }
        match local::fault(headers, uri.host()) {
            Some(fault) => Err(Failure::unauthorized(fault)),
            None => Ok(Caller { name: "local".to_owned(), grant: Grant::everything() }),
        }
    }

    /// The holder of a token.
    ///
    /// # Errors
    /// If it is not valid.
    pub(crate) async fn holder(&self, token: &str) -> Result<Caller, Failure> {
        let found = self.accounts.find(token).await?;
        Ok(Caller { name: found.token_id, grant: found.grant })
    }
}

/// The token in the `Authorization` header.
///
/// # Errors
/// If the header is there and cannot be read.
pub(crate) fn presented(headers: &HeaderMap, wanted: Header) -> Result<Option<String>, Failure> {
    let Some(value) = headers.get(header::AUTHORIZATION) else { return Ok(None) };
    let unreadable = || {
        let expected = match wanted {
            Header::Bearer => "Authorization: Bearer <token>",
            Header::Basic => "Authorization: Basic, with the token as the password",
            Header::Either => "Authorization: Bearer <token>, or Basic with the token as the password",
        };
        Failure::unauthorized(format!("expected {expected}"))
    };
    let (scheme, rest) = value.to_str().ok().and_then(|value| value.split_once(' ')).ok_or_else(unreadable)?;
    let (is_bearer, is_basic) = (scheme.eq_ignore_ascii_case("bearer"), scheme.eq_ignore_ascii_case("basic"));
    match wanted {
        Header::Bearer | Header::Either if is_bearer => Ok(Some(rest.trim().to_owned())),
        Header::Basic | Header::Either if is_basic => basic_password(rest.trim()).map(Some).ok_or_else(unreadable),
        Header::Bearer | Header::Basic | Header::Either => Err(unreadable()),
    }
}

/// The password in the credentials of Basic authentication (RFC 7617).
fn basic_password(credentials: &str) -> Option<String> {
    let decoded = String::from_utf8(watchtower_auth::from_base64(credentials)?).ok()?;
    decoded.split_once(':').map(|(_, password)| password.to_owned())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn header(value: &str) -> HeaderMap {
        [(header::AUTHORIZATION, value.parse().unwrap())].into_iter().collect()
    }

    #[test]
    fn a_token_is_a_bearer_or_the_password_of_any_user() {
        for value in ["Bearer wt_1", "bearer wt_1", "Basic cGhvbmU6d3RfMQ==", "basic Ond0XzE"] {
            assert_eq!(presented(&header(value), Header::Either).unwrap().unwrap(), "wt_1", "{value}");
        }
        assert_eq!(presented(&HeaderMap::new(), Header::Either), Ok(None));
    }

    #[test]
    fn what_is_no_token_is_refused_without_repeating_it() {
        for value in ["Bearer", "Digest wt_1", "Basic wt_1", "Basic d3RfMQ=="] {
            let failure = presented(&header(value), Header::Either).unwrap_err();
            assert!(!format!("{failure:?}").contains("wt_1"), "{failure:?}");
        }
        assert!(presented(&header("Basic cGhvbmU6d3RfMQ=="), Header::Bearer).is_err());
        assert!(presented(&header("Bearer wt_1"), Header::Basic).is_err());
    }
}
