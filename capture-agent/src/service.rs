//! Running as a service of the system: logs that stay within their bounds, word to the service manager, and a configuration
//! that is read again on request.
//!
//! One process serves a state folder: [`serve::Lease`](crate::serve::Lease). Not here: what is served.

pub mod log;
pub mod notify;
pub mod reload;
mod rolling;
