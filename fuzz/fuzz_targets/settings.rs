#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| mailkeeper_fuzz::inputs::settings(input));
