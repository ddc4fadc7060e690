//! Test support that the product does not need: throwaway servers, and shapes.

#[cfg(unix)]
pub mod servers;
pub mod shapes;
