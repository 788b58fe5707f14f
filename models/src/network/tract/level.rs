//! Which instructions our own ops use.

use std::{env, sync::OnceLock};

use fearless_simd::Level;

/// The best the processor has; or at most SSE4.2, as of processors before 2013, where `COUNTERSIGN_SIMD=sse4.2`: for
/// measuring what an old counter PC would do. tract's own kernels are limited by `TRACT_CPU_ISA`.
pub(super) fn level() -> Level {
    static LEVEL: OnceLock<Level> = OnceLock::new();
    *LEVEL.get_or_init(|| {
        let best = Level::new();
        if env::var_os("COUNTERSIGN_SIMD").is_some_and(|limit| limit == "sse4.2") { limited(best) } else { best }
    })
}

#[cfg(target_arch = "x86_64")]
fn limited(best: Level) -> Level {
    best.as_sse4_2().map_or(best, Level::Sse4_2)
}

#[cfg(not(target_arch = "x86_64"))]
fn limited(best: Level) -> Level {
    best
}
