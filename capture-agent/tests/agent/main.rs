//! The agent against a real gRPC server with mutual TLS, which authenticates and opens every envelope.
//!
//! [`center`] is that server, [`folder`] a state folder with its bundle, [`eyes`] reads faces from coloured
//! pictures, so that the flow is tested without networks; [`command`] runs the real binary with the real
//! models.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod alone;
mod camera;
mod center;
mod command;
mod device;
mod eyes;
mod faults;
mod folder;
mod http;
mod policy;
mod rehearse;
mod relay;
mod screen;
mod service;
mod thief;
mod till;
mod verify;
