//! The contract between counters and the center: `countersign.v1`, and the envelope that carries captures.
//!
//! Here: the messages and services generated from `proto/`, [`envelope`], which seals, signs, checks
//! and opens, [`acknowledgement`], the center's word on one that was spooled, [`invitation`], the code a counter joins with,
//! [`lease`], what a device may do without the center, [`briefing`], what the center tells it about itself, and [`relayed`],
//! how a relay names the device it calls for. Not here: what any of it means; both sides translate at their edge.

pub mod acknowledgement;
pub mod briefing;
pub mod envelope;
pub mod invitation;
pub mod lease;
pub mod patience;
mod redacted;
pub mod relayed;

/// Messages, clients and servers of `countersign.v1`; every field is documented in `proto/`.
#[allow(missing_docs, clippy::all, reason = "generated code; its comments stand in the .proto files")]
#[allow(
    unreachable_pub,
    clippy::allow_attributes_without_reason,
    clippy::wildcard_enum_match_arm,
    clippy::too_many_lines,
    reason = "generated code"
)]
pub mod v1 {
    tonic::include_proto!("countersign.v1");
}

/// The encoded file descriptors of `countersign.v1`, for gRPC reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/countersign.v1.bin"));

/// The largest message either side accepts, in bytes: an envelope at its largest, and room for framing.
pub const MESSAGE_LEN_MAX: usize = envelope::CIPHERTEXT_LEN_MAX + 8 * 1024;

/// The largest JPEG of a [`v1::Sample`], in bytes.
pub const SAMPLE_LEN_MAX: usize = 60 * 1024;
