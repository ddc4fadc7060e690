//! Test support that the product does not need: throwaway servers, fakes of services, and shapes.

pub mod fakes;
#[cfg(unix)]
pub mod servers;
pub mod shapes;
