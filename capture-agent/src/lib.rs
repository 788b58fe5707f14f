//! The capture agent: one per counter PC.
//!
//! A verification goes front ([`cli`], [`web`], [`screen`]) → use case ([`verify`]) → [`camera`] and [`acquire`]
//! (frames to a face, by the rules of `capture-core` and the networks of `models`, see [`vision`]) →
//! [`line`](mod@line) (sealed, numbered and durable in its spool; then gRPC over mutual TLS) → answer. The device's key
//! and certificate are in [`identity`]. All of it lives in one state folder.
//!
//! Not here: what a match is, which policy holds, who may be verified: the center says.

pub mod acquire;
pub mod answer;
pub mod camera;
pub mod cli;
pub mod clock;
pub mod command;
pub mod config;
pub mod doctor;
pub mod document;
pub mod durable;
pub mod identity;
pub mod join;
pub mod keys;
pub mod lease;
pub mod line;
mod mac;
pub mod output;
pub mod policy;
pub mod problem;
pub mod rehearse;
pub mod relay;
pub mod screen;
pub mod serve;
pub mod service;
pub mod simulate;
pub mod till;
pub mod update;
pub mod verify;
pub mod vision;
pub mod web;
