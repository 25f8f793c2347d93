//! See [`throughline_fuzz::targets::track`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| throughline_fuzz::targets::track(data));
