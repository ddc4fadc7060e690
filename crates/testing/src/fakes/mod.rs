//! Fakes of services that cannot be started here. A client of other people drives each in the tests, so that it is known
//! to answer as the service does.

pub mod slack;
