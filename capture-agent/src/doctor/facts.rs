//! What the doctor looks at, as it was found.

use std::path::PathBuf;

use crate::{
    camera::{CameraError, look::Examined},
    config::DeviceConfig,
    identity::Validity,
    line::spool::Holdings,
};

/// What costs nothing to find out.
#[derive(Debug, Clone)]
pub struct Cheap {
    /// This machine's date.
    pub now_ms: i64,
    /// The center's clock minus this machine's; nothing where they were never compared.
    pub clock_offset_ms: Option<i64>,
    /// The certificate's.
    pub validity: Option<Validity>,
    /// What the outbox holds; nothing where it cannot be read.
    pub holdings: Option<Holdings>,
    /// The bounds.
    pub config: DeviceConfig,
    /// The state folder.
    pub dir: PathBuf,
}

/// What the models are like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Models {
    /// Present, of the right hashes, and tested; the feature model's name.
    Well(String),
    /// Missing, of another hash, or not as tested.
    Bad(String),
    /// Not looked at, because the configuration is not in order.
    NotLookedAt,
}

/// What the camera is like.
#[derive(Debug, Clone, PartialEq)]
pub enum Camera {
    /// It gives frames.
    Well(Examined),
    /// It does not.
    Bad(CameraError),
    /// The running agent uses it, or nothing could be configured; its own word, if it was asked.
    NotLookedAt(String),
}

/// What the line is like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// The center answered, after so many milliseconds.
    Answers(u64),
    /// It refuses this device.
    Refuses(String),
    /// It does not answer.
    Silent(String),
    /// Nothing to ask with.
    NotAsked,
}

/// Leave to work without the center.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// Until when, by the center's clock.
    pub until_ms: i64,
    /// Captures that are left of it.
    pub left: u32,
}

/// Everything.
#[derive(Debug)]
pub struct Full {
    /// What is wrong with the configuration.
    pub configuration: Option<String>,
    /// What is wrong with the identity.
    pub identity: Option<String>,
    /// The models.
    pub models: Models,
    /// The camera.
    pub camera: Camera,
    /// The line.
    pub line: Line,
    /// The lease; nothing where the center gave none.
    pub lease: Option<Lease>,
    /// The rest; nothing where there is no configuration.
    pub cheap: Option<Cheap>,
}
