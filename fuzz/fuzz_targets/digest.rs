//! See [`throughline_fuzz::targets::digest`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| throughline_fuzz::targets::digest(data));
