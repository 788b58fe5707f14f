//! The center: enrol, verify, flag.
//!
//! Dependencies run one way: fronts ([`grpc`], the commands in [`cli`]) → use cases ([`app`]) → ports
//! ([`store`]) and `matcher-core`, which holds the rules and does no I/O. Wire types end in
//! [`grpc::decode`]. The center meets counters only in `proto` and `models`.

pub mod app;
pub mod audit;
pub mod backup;
pub mod batch_command;
pub mod cases;
pub mod center;
pub mod cli;
pub mod config;
pub mod console;
pub mod coverage;
pub mod data_dir;
pub mod device;
pub mod durable;
pub mod feature_models;
pub mod grpc;
pub mod identify;
pub mod import;
pub mod index_command;
pub mod init;
pub mod keyring;
pub mod keys;
pub mod law;
pub mod listing;
pub mod lookup;
pub mod networks;
pub mod out;
pub mod overload;
pub mod pki;
pub mod plan;
pub mod policy;
pub mod proxies;
pub mod receipt_command;
pub mod receipt_keys;
pub mod reconcile;
pub mod references;
pub mod retention;
pub mod seeds_command;
pub mod serve;
pub mod statistics_command;
pub mod store;
pub mod store_command;
pub mod subject;
pub mod surroundings;
pub mod tls;
pub mod user_command;
pub mod vault;
pub mod web;
pub mod webhook_command;
