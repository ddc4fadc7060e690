//! Messages of OwnTracks, over HTTP and from topics of a broker.

#![no_main]

use libfuzzer_sys::fuzz_target;
use watchtower_inputs_fuzz::{Format, read};

fuzz_target!(|data: &[u8]| read(Format::OwnTracks, data));
