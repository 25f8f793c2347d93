//! See [`throughline_fuzz::targets::rtp`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| throughline_fuzz::targets::rtp(data));
