//! Sealed files.
