//! What the pipeline asks of an engine that runs networks. The one in every build is [`super::tract`];
//! another can be added beside it as an optional feature and chosen in [`default_engine`].
//!
//! Not here: the manifest. An engine knows graphs, names and shapes; whether they are the promised ones is
//! for [`super::Graph`] to judge.

use ndarray::{Array4, ArrayD};

use super::{EngineError, tract};

/// Reads files of networks.
pub(crate) trait Engine: Send + Sync {
    /// Parses the bytes of an ONNX file.
    fn read(&self, bytes: &[u8]) -> Result<Box<dyn Parsed>, EngineError>;
}

/// A network as its file has it, not yet bound to an input size.
pub(crate) trait Parsed: Send + Sync {
    /// Names of the inputs, in the file's order.
    fn inputs(&self) -> Vec<String>;
    /// The shape that the file declares for its first input, as far as it declares one; symbols stand for
    /// themselves.
    fn declared(&self) -> Option<Vec<String>>;
    /// Names of the outputs, in the file's order.
    fn outputs(&self) -> Vec<String>;
    /// Binds the first input to a shape and makes the outputs at these positions ready to be computed, in
    /// this order.
    fn plan(&self, input: [usize; 4], outputs: &[usize]) -> Result<Plan, EngineError>;
}

/// A network ready to run, with what it will give.
pub(crate) struct Plan {
    /// The network.
    pub(crate) runnable: Box<dyn Runnable>,
    /// Shape and type of each output.
    pub(crate) outputs: Vec<Fact>,
}

/// Shape and type of numbers.
pub(crate) struct Fact {
    /// Sizes joined by " × ".
    pub(crate) shape: String,
    /// `F32` for what the pipeline reads.
    pub(crate) datum_type: String,
}

/// A network bound to one input shape. Read-only: threads share it.
pub(crate) trait Runnable: Send + Sync {
    /// Computes the outputs for an input of the planned shape.
    fn run(&self, input: Array4<f32>) -> Result<Vec<ArrayD<f32>>, EngineError>;
}

/// The engine of this build.
pub(crate) fn default_engine() -> &'static dyn Engine {
    &tract::Tract
}
