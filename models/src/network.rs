//! One network: loaded from bytes whose digest was checked, held against the manifest, and run.
//!
//! What computes it is an [`engine`]; nothing outside this module knows which.

mod engine;
mod tract;

use std::sync::Arc;

use models_core::TemplateError;
use ndarray::{Array4, ArrayD, ArrayView3, Axis, ShapeError};
use thiserror::Error;

use self::engine::{Parsed, Runnable, default_engine};
use crate::{
    cache::FileError,
    manifest::{Channels, InputSize, Model, Role},
    pipeline::Trace,
    warp::ResampleError,
};

/// The models cannot be loaded.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The manifest has no model that this release can run in a role.
    #[error("manifest: expected a model with a runner for {}", .0.word())]
    NoModel(Role),
    /// A file is missing or not the one the manifest names.
    #[error(transparent)]
    File(#[from] FileError),
    /// The file does not keep the manifest's word.
    #[error("model {model}: {field}: expected {expected} as the manifest says, the file has {got}")]
    Differs {
        /// The model's id.
        model: String,
        /// What differs.
        field: String,
        /// The manifest's.
        expected: String,
        /// The file's.
        got: String,
    },
    /// The file is no network that the engine can run.
    #[error("model {model}: expected an ONNX network that the engine can run")]
    Engine {
        /// The model's id.
        model: String,
        /// What the engine said.
        #[source]
        source: EngineError,
    },
}

/// What the engine said, with its causes.
#[derive(Debug, Error)]
#[error("{0}")]
pub struct EngineError(String);

impl EngineError {
    pub(crate) fn new(reason: &str) -> Self {
        Self(reason.to_owned())
    }
}

/// A network failed on a picture. A fault, never a statement about the picture's content.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RunError {
    /// The engine failed.
    #[error("model {model}: could not run")]
    Engine {
        /// The model's id.
        model: String,
        /// What the engine said.
        #[source]
        source: EngineError,
    },
    /// The part of the picture that the network needs cannot be cut out.
    #[error(transparent)]
    Resample(#[from] ResampleError),
    /// No frame, or more than the recipe fuses.
    #[error("frames: expected 1 to {max}, got {got}")]
    Frames {
        /// What the recipe fuses at most.
        max: usize,
        /// What came.
        got: usize,
    },
    /// The landmarks are no face's.
    #[error("face.landmarks: expected five finite points that do not coincide")]
    Landmarks,
    /// The face's box is not in the picture.
    #[error("face.box: expected a box inside the picture")]
    Box,
    /// The network gave features that are no template.
    #[error("model {model}: gave no usable features")]
    Features {
        /// The model's id.
        model: String,
        /// What is wrong with them.
        #[source]
        source: TemplateError,
    },
    /// The network gave a number that is not finite.
    #[error("model {model}: gave a number that is not finite")]
    NotFinite {
        /// The model's id.
        model: String,
    },
}

/// A parsed graph whose names fit the manifest; plans for several input sizes can be made of it.
pub(crate) struct Graph {
    model: Arc<Model>,
    parsed: Box<dyn Parsed>,
    /// Where the manifest's outputs stand among the graph's.
    outputs: Vec<usize>,
}

/// A network for one input size. Cheap to clone, shared by all threads.
#[derive(Clone)]
pub(crate) struct Network {
    model: Arc<Model>,
    runnable: Arc<dyn Runnable>,
    shape: [usize; 4],
}

impl Graph {
    pub(crate) fn parse(model: &Arc<Model>, bytes: &[u8]) -> Result<Self, LoadError> {
        let parsed = default_engine().read(bytes).map_err(|source| unusable(model, source))?;
        differs(model, "input", &model.input.name, &parsed.inputs().join(", "))?;
        check_declared(model, parsed.declared().as_deref())?;
        let named = parsed.outputs();
        let mut outputs = Vec::new();
        for output in &model.outputs {
            let found = named.iter().position(|name| *name == output.name);
            outputs.push(found.ok_or_else(|| difference(model, "outputs", &output.name, &named.join(", ")))?);
        }
        Ok(Self { model: model.clone(), parsed, outputs })
    }

    pub(crate) fn model(&self) -> &Model {
        &self.model
    }

    /// An optimised plan for one input size, whose output shapes are held against the manifest.
    pub(crate) fn plan(&self, width: u32, height: u32) -> Result<Network, LoadError> {
        let model = &self.model;
        let (width, height) = (width as usize, height as usize);
        let shape = [1, model.input.channels.count(), height, width];
        let plan = self.parsed.plan(shape, &self.outputs).map_err(|source| unusable(model, source))?;
        for (output, got) in model.outputs.iter().zip(&plan.outputs) {
            let expected: Vec<usize> = output.shape.iter().filter_map(|dim| dim.at(width, height)).collect();
            differs(model, &format!("shape of output {}", output.name), &join(&expected), &got.shape)?;
            differs(model, &format!("type of output {}", output.name), "F32", &got.datum_type)?;
        }
        Ok(Network { model: model.clone(), runnable: plan.runnable.into(), shape })
    }
}

impl Network {
    /// Runs on RGB pixels of exactly the input's size. Returns the outputs, all finite, in the manifest's
    /// order.
    pub(crate) fn run(&self, rgb: &[u8]) -> Result<Vec<ArrayD<f32>>, RunError> {
        self.run_on(self.input_of(rgb)?)
    }

    /// The numbers that the network is given for these pixels: 1 × channels × height × width.
    pub(crate) fn input_of(&self, rgb: &[u8]) -> Result<Array4<f32>, RunError> {
        let fail = |error: ShapeError| self.failed(EngineError(error.to_string()));
        let [_, _, height, width] = self.shape;
        let pixels = ArrayView3::from_shape((height, width, 3), rgb).map_err(fail)?;
        let input = &self.model.input;
        let order: &[usize] = match input.channels {
            Channels::Rgb => &[0, 1, 2],
            Channels::Bgr => &[2, 1, 0],
            Channels::Grey => &[],
        };
        let mut values = Array4::zeros(self.shape);
        if let (Channels::Grey, Some(mean), Some(divisor)) = (input.channels, input.mean.first(), input.divisor.first()) {
            for (value, [red, green, blue]) in values.iter_mut().zip(rgb.as_chunks::<3>().0) {
                *value = (luma(*red, *green, *blue) - mean) / divisor;
            }
        }
        for (((mut plane, channel), mean), divisor) in
            values.index_axis_mut(Axis(0), 0).axis_iter_mut(Axis(0)).zip(order).zip(&input.mean).zip(&input.divisor)
        {
            plane.zip_mut_with(&pixels.index_axis(Axis(2), *channel), |value, byte| *value = (f32::from(*byte) - mean) / divisor);
        }
        Ok(values)
    }

    pub(crate) fn run_on(&self, input: Array4<f32>) -> Result<Vec<ArrayD<f32>>, RunError> {
        let outputs = self.runnable.run(input).map_err(|source| self.failed(source))?;
        if outputs.iter().flatten().all(|number| number.is_finite()) {
            Ok(outputs)
        } else {
            Err(RunError::NotFinite { model: self.model.id.to_string() })
        }
    }

    /// Runs on RGB pixels and keeps what went in and what came out.
    pub(crate) fn trace(&self, rgb: &[u8]) -> Result<Trace, RunError> {
        let input = self.input_of(rgb)?;
        let values = input.iter().copied().collect();
        let names = self.model.outputs.iter().map(|output| output.name.clone());
        let outputs = self.run_on(input)?.into_iter().map(|output| output.iter().copied().collect());
        Ok(Trace { role: self.model.role, shape: self.shape, input: values, outputs: names.zip(outputs).collect() })
    }

    /// Runs on a trace's input.
    pub(crate) fn replay(&self, trace: &Trace) -> Result<Vec<Vec<f32>>, RunError> {
        let input = if trace.shape == self.shape { trace.input.clone() } else { Vec::new() };
        let input = Array4::from_shape_vec(self.shape, input).map_err(|error| self.failed(EngineError(error.to_string())))?;
        Ok(self.run_on(input)?.into_iter().map(|output| output.into_iter().collect()).collect())
    }

    pub(crate) fn failed(&self, source: EngineError) -> RunError {
        RunError::Engine { model: self.model.id.to_string(), source }
    }

    pub(crate) fn shape(&self) -> [usize; 4] {
        self.shape
    }
}

/// Luminance of a pixel, 0–255 (ITU-R BT.601).
pub(crate) fn luma(red: u8, green: u8, blue: u8) -> f32 {
    0.299 * f32::from(red) + 0.587 * f32::from(green) + 0.114 * f32::from(blue)
}

/// The shape that the file declares for its input. For a network of any size only the channels count.
fn check_declared(model: &Model, declared: Option<&[String]>) -> Result<(), LoadError> {
    let Some(got) = declared else { return Ok(()) };
    let channels = model.input.channels.count();
    match model.input.size {
        InputSize::Fixed { width, height } => {
            let expected = [1, channels, height as usize, width as usize];
            differs(model, "shape of the input", &join(&expected), &got.join(" × "))
        }
        InputSize::Any { .. } => {
            differs(model, "channels of the input", &channels.to_string(), got.get(1).map_or("no channels", String::as_str))
        }
    }
}

fn unusable(model: &Model, source: EngineError) -> LoadError {
    LoadError::Engine { model: model.id.to_string(), source }
}

fn differs(model: &Model, field: &str, expected: &str, got: &str) -> Result<(), LoadError> {
    if expected == got { Ok(()) } else { Err(difference(model, field, expected, got)) }
}

fn difference(model: &Model, field: &str, expected: &str, got: &str) -> LoadError {
    LoadError::Differs { model: model.id.to_string(), field: field.into(), expected: expected.into(), got: got.into() }
}

fn join(shape: &[usize]) -> String {
    shape.iter().map(ToString::to_string).collect::<Vec<_>>().join(" × ")
}
