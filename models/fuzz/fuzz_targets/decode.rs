//! Decoding of any bytes: an answer, never a panic. `cargo fuzz run decode` in `models/` (on stable with
//! `--sanitizer none`); seeds are pictures in `fuzz/corpus/decode`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use models::picture::{DecodeLimits, Picture};

fuzz_target!(|bytes: &[u8]| {
    let limits = DecodeLimits { bytes_max: 1 << 20, side_min: 1, side_max: 512, pixels_max: 200_000 };
    if let Ok(picture) = Picture::decode_within(bytes, &limits) {
        assert_eq!(picture.pixels().len(), picture.width() as usize * picture.height() as usize * 3);
    }
});
