//! What tests and benchmarks need and the product does not: throwaway servers, and shapes.

#[cfg(unix)]
pub mod servers;
pub mod shapes;
