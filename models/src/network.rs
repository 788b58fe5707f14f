//! One network on tract: loaded from bytes whose digest was checked, held against the manifest, and run.

use std::sync::Arc;

use models_core::TemplateError;
use ndarray::{Array4, ArrayD, ArrayView3, Axis, ShapeError};
use thiserror::Error;
use tract_onnx::{prelude::*, tract_hir::infer::Factoid};

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

impl From<TractError> for EngineError {
    fn from(error: TractError) -> Self {
        Self(format!("{error:#}"))
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
    graph: InferenceModel,
}

/// A network for one input size. Cheap to clone, shared by all threads.
#[derive(Clone)]
pub(crate) struct Network {
    model: Arc<Model>,
    plan: Arc<TypedRunnableModel>,
    shape: [usize; 4],
}

impl Graph {
    pub(crate) fn parse(model: &Arc<Model>, bytes: &[u8]) -> Result<Self, LoadError> {
        let engine = |error: TractError| LoadError::Engine { model: model.id.to_string(), source: error.into() };
        let mut graph = tract_onnx::onnx().model_for_read(&mut &*bytes).map_err(engine)?;
        let inputs = graph.input_outlets().map_err(engine)?.to_vec();
        let names: Vec<&str> = inputs.iter().map(|outlet| graph.node(outlet.node).name.as_str()).collect();
        differs(model, "input", &model.input.name, &names.join(", "))?;
        let declared = graph.input_fact(0).map_err(engine)?.shape.concretize();
        check_declared(model, declared.as_deref())?;
        let outlets = graph.output_outlets().map_err(engine)?.to_vec();
        let named: Vec<(String, OutletId)> = outlets
            .iter()
            .map(|outlet| (graph.outlet_label(*outlet).unwrap_or(&graph.node(outlet.node).name).to_owned(), *outlet))
            .collect();
        let mut ordered = Vec::new();
        for output in &model.outputs {
            let found = named.iter().find(|(name, _)| *name == output.name);
            let got = || named.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ");
            let (_, outlet) = found.ok_or_else(|| difference(model, "outputs", &output.name, &got()))?;
            ordered.push(*outlet);
        }
        graph.select_output_outlets(&ordered).map_err(engine)?;
        Ok(Self { model: model.clone(), graph })
    }

    pub(crate) fn model(&self) -> &Model {
        &self.model
    }

    /// An optimised plan for one input size, whose output shapes are held against the manifest.
    pub(crate) fn plan(&self, width: u32, height: u32) -> Result<Network, LoadError> {
        let model = &self.model;
        let engine = |error: TractError| LoadError::Engine { model: model.id.to_string(), source: error.into() };
        let (width, height) = (width as usize, height as usize);
        let shape = [1, model.input.channels.count(), height, width];
        let fact = f32::fact(shape).into();
        let graph = self.graph.clone().with_input_fact(0, fact).and_then(InferenceModelExt::into_optimized).map_err(engine)?;
        for (index, output) in model.outputs.iter().enumerate() {
            let fact = graph.output_fact(index).map_err(engine)?;
            let expected: Vec<usize> = output.shape.iter().filter_map(|dim| dim.at(width, height)).collect();
            let got = fact.shape.as_concrete().map_or_else(|| format!("{:?}", fact.shape), join);
            differs(model, &format!("shape of output {}", output.name), &join(&expected), &got)?;
            differs(model, &format!("type of output {}", output.name), "F32", &format!("{:?}", fact.datum_type))?;
        }
        Ok(Network { model: model.clone(), plan: graph.into_runnable().map_err(engine)?, shape })
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
        let engine = |error: TractError| self.failed(error.into());
        let outputs = self.plan.run(tvec!(Tensor::from(input).into())).map_err(engine)?;
        let mut all = Vec::with_capacity(outputs.len());
        for output in outputs {
            let numbers = output.to_plain_array_view::<f32>().map_err(engine)?.into_owned();
            if !numbers.iter().all(|number| number.is_finite()) {
                return Err(RunError::NotFinite { model: self.model.id.to_string() });
            }
            all.push(numbers);
        }
        Ok(all)
    }

    /// Runs on RGB pixels and keeps what went in and what came out.
    pub(crate) fn trace(&self, rgb: &[u8]) -> Result<Trace, RunError> {
        let input = self.input_of(rgb)?;
        let values = input.iter().copied().collect();
        let names = self.model.outputs.iter().map(|output| output.name.clone());
        let outputs = self.run_on(input)?.into_iter().map(|output| output.iter().copied().collect());
        Ok(Trace { role: self.model.role, shape: self.shape, input: values, outputs: names.zip(outputs).collect() })
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
fn check_declared(model: &Model, declared: Option<&[TDim]>) -> Result<(), LoadError> {
    let Some(declared) = declared else { return Ok(()) };
    let channels = model.input.channels.count();
    let got = declared.iter().map(ToString::to_string).collect::<Vec<_>>();
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

fn differs(model: &Model, field: &str, expected: &str, got: &str) -> Result<(), LoadError> {
    if expected == got { Ok(()) } else { Err(difference(model, field, expected, got)) }
}

fn difference(model: &Model, field: &str, expected: &str, got: &str) -> LoadError {
    LoadError::Differs { model: model.id.to_string(), field: field.into(), expected: expected.into(), got: got.into() }
}

fn join(shape: &[usize]) -> String {
    shape.iter().map(ToString::to_string).collect::<Vec<_>>().join(" × ")
}
