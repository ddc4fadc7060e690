//! Records of a feed of JSON.

#![no_main]

use libfuzzer_sys::fuzz_target;
use watchtower_inputs_fuzz::read_records;

fuzz_target!(|data: &[u8]| read_records(data));
