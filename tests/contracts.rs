//! What every backend of a seam must do: one suite each, which all of them pass.

/// Makes the tests of a suite: each function once per backend, whose type is its parameter, in a module that the backend
/// names.
macro_rules! contract {
    ($($backend:ident: $type:ty),*; $($test:ident),* $(,)?) => {
        contract!(@backends [$($backend: $type),*] [$($test),*]);
    };
    (@backends [$($backend:ident: $type:ty),*] $tests:tt) => {
        $(mod $backend {
            use super::*;
            contract!(@tests $type, $tests);
        })*
    };
    (@tests $type:ty, [$($test:ident),*]) => {
        $(#[test]
        fn $test() {
            super::$test::<$type>();
        })*
    };
}

mod log;
mod outbox;
mod queries;
mod store;
