//! Messages of LocoNav.

#![no_main]

use libfuzzer_sys::fuzz_target;
use watchtower_inputs_fuzz::{Format, read};

fuzz_target!(|data: &[u8]| read(Format::LocoNav, data));
