//! What the engine needs of the machine: instructions it was built for, and a number of threads.

use crate::IndexError;

/// Variables the engine's libraries take their number of threads from, when a process starts and never again.
pub const THREAD_VARIABLES: [&str; 2] = ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"];

/// Checks that the processor has what the engine was built for, so that nobody dies of an unknown instruction later.
///
/// # Errors
/// [`IndexError::Processor`] with what is missing.
pub fn check() -> Result<(), IndexError> {
    missing().map_or(Ok(()), |what| Err(IndexError::Processor(what)))
}

#[cfg(target_arch = "x86_64")]
fn missing() -> Option<&'static str> {
    let has = [
        ("AVX2", std::is_x86_feature_detected!("avx2")),
        ("FMA", std::is_x86_feature_detected!("fma")),
        ("F16C", std::is_x86_feature_detected!("f16c")),
        ("POPCNT", std::is_x86_feature_detected!("popcnt")),
    ];
    has.iter().find(|(_, has)| !has).map(|(name, _)| *name)
}

#[cfg(not(target_arch = "x86_64"))]
fn missing() -> Option<&'static str> {
    None
}

/// The threads each of the engine's libraries was told to use when this process started; nothing for one that was not told,
/// and takes as many as there are processors.
#[must_use]
pub fn threads() -> [Option<usize>; 2] {
    THREAD_VARIABLES.map(|name| std::env::var(name).ok().and_then(|value| value.parse().ok()))
}
