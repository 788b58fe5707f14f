//! The gRPC front: decode, call the use case, encode.
//!
//! Services of `countersign.v1`, health and reflection, on one listener by mutual TLS. Here: what every
//! service shares. Not here: rules and records (`crate::app`), sockets and stopping (`crate::serve`).

pub mod decode;
pub mod deferred;
pub mod device;
pub mod encode;
pub mod enrolment;
pub mod field;
pub mod gate;
pub mod lease;
pub mod listener;
pub mod receipt;
pub mod status;
pub mod verification;

pub use gate::{Gate, Peer};
