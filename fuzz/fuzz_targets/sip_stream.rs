//! See [`throughline_fuzz::targets::sip_stream`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| throughline_fuzz::targets::sip_stream(data));
