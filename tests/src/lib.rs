//! The harness of whole-system tests and of the demo: the real binaries, in a folder of their own.
//!
//! Here: [`site`] sets up a center and a counter and runs them as processes of their own; [`till`] asks of a counter what a till does; [`people`] are the
//! pictures that stand before the camera; [`power_cut`] is a disk that loses what was not fsynced. Not here: what is expected of
//! them, which the tests and the demo say.

pub mod clock;
pub mod people;
pub mod power_cut;
pub mod process;
pub mod site;
pub mod till;
