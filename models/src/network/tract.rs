//! The default engine: tract, in Rust throughout, on graphs rewritten to what it does fast.

mod activation;
mod depthwise;
mod direct;
mod geometry;
mod level;
mod pointwise;
mod rewrite;

use std::sync::Arc;

use ndarray::{Array4, ArrayD};
use tract_onnx::{prelude::*, tract_hir::infer::Factoid};

use super::{
    EngineError,
    engine::{Engine, Fact, Parsed, Plan, Runnable},
    join,
};

/// tract on one thread: the one that calls.
pub(crate) struct Tract;

impl Engine for Tract {
    fn read(&self, bytes: &[u8]) -> Result<Box<dyn Parsed>, EngineError> {
        let graph = rewrite::reader().model_for_read(&mut &*bytes)?;
        let inputs = graph.input_outlets()?.iter().map(|outlet| graph.node(outlet.node).name.clone()).collect();
        let declared = graph.input_fact(0)?.shape.concretize().map(|dims| dims.iter().map(ToString::to_string).collect());
        let outputs = graph.output_outlets()?;
        let named = outputs.iter().map(|outlet| graph.outlet_label(*outlet).unwrap_or(&graph.node(outlet.node).name).to_owned());
        Ok(Box::new(ParsedGraph { inputs, declared, outputs: named.collect(), graph }))
    }
}

impl From<TractError> for EngineError {
    fn from(error: TractError) -> Self {
        Self::new(&format!("{error:#}"))
    }
}

struct ParsedGraph {
    graph: InferenceModel,
    inputs: Vec<String>,
    declared: Option<Vec<String>>,
    outputs: Vec<String>,
}

impl Parsed for ParsedGraph {
    fn inputs(&self) -> Vec<String> {
        self.inputs.clone()
    }

    fn declared(&self) -> Option<Vec<String>> {
        self.declared.clone()
    }

    fn outputs(&self) -> Vec<String> {
        self.outputs.clone()
    }

    fn plan(&self, input: [usize; 4], outputs: &[usize]) -> Result<Plan, EngineError> {
        let mut graph = self.graph.clone();
        let outlets = graph.output_outlets()?;
        let wanted: Vec<OutletId> = outputs.iter().filter_map(|at| outlets.get(*at).copied()).collect();
        graph.select_output_outlets(&wanted)?;
        let mut graph = graph.with_input_fact(0, f32::fact(input).into())?.into_typed()?;
        rewrite::rewrite(&mut graph)?;
        let graph = graph.into_optimized()?;
        let fact = |index: usize| -> TractResult<Fact> {
            let fact = graph.output_fact(index)?;
            let shape = fact.shape.as_concrete().map_or_else(|| format!("{:?}", fact.shape), join);
            Ok(Fact { shape, datum_type: format!("{:?}", fact.datum_type) })
        };
        let outputs = (0..wanted.len()).map(fact).collect::<TractResult<_>>()?;
        Ok(Plan { runnable: Box::new(Bound(graph.into_runnable()?)), outputs })
    }
}

struct Bound(Arc<TypedRunnableModel>);

impl Runnable for Bound {
    fn run(&self, input: Array4<f32>) -> Result<Vec<ArrayD<f32>>, EngineError> {
        let outputs = self.0.run(tvec!(Tensor::from(input).into()))?;
        outputs.iter().map(|output| Ok(output.to_plain_array_view::<f32>()?.into_owned())).collect()
    }
}
