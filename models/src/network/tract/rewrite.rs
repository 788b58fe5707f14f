//! Rewrites of a graph that was just read, before the engine's own optimiser sees it.
//!
//! Each keeps what the graph computes; the tests state how closely.

use tract_onnx::{
    Onnx,
    tract_core::{
        model::TypedModelPatch,
        ops::{binary::TypedBinOp, cnn::Conv, konst::Const, math::Max, nn::DataFormat},
    },
    tract_hir::internal::*,
};

use super::{
    activation::{Leaky, Slopes},
    depthwise::{Depthwise, Geometry, KERNEL},
};

/// Weights below this are zero for all that a sum of 32-bit numbers can tell.
const VANISHING: f32 = 1e-15;

/// An ONNX reader that keeps PReLU as one op.
pub(super) fn reader() -> Onnx {
    let mut onnx = tract_onnx::onnx();
    onnx.op_register.insert("PRelu", |_, _| Ok((expand(Prelu), vec![])));
    onnx
}

/// All rewrites.
pub(super) fn rewrite(graph: &mut TypedModel) -> TractResult<()> {
    // Casts of constants stand between the weights and their readers.
    graph.prop_consts()?;
    zero_vanishing(graph)?;
    Rewriter::default().with_rule_for("depthwise", depthwise).rewrite(&(), graph)
}

/// Sets weights to zero that are too small to count. The smallest of them are denormal numbers, which many
/// processors multiply a hundred times slower; the feature network has thousands.
fn zero_vanishing(graph: &mut TypedModel) -> TractResult<()> {
    for node in graph.nodes_mut() {
        if !node.op_is::<Const>() {
            continue;
        }
        let Some(fact) = node.outputs.first_mut().map(|output| &mut output.fact) else { continue };
        let Some(cleaned) = fact.konst.as_deref().map(without_vanishing).transpose()?.flatten() else { continue };
        let cleaned = cleaned.into_arc_tensor();
        *fact = TypedFact::try_from(&cleaned)?;
        node.op = Box::new(Const::new(cleaned)?);
    }
    Ok(())
}

/// A copy with vanishing numbers set to zero; None when there are none.
fn without_vanishing(weights: &Tensor) -> TractResult<Option<Tensor>> {
    let vanishes = |number: f32| number != 0.0 && number.abs() < VANISHING;
    if weights.datum_type() != f32::datum_type() || !weights.is_plain_ram() {
        return Ok(None);
    }
    if !weights.try_as_plain_ram()?.as_slice::<f32>()?.iter().any(|number| vanishes(*number)) {
        return Ok(None);
    }
    let mut weights = weights.clone();
    for number in weights.try_as_plain_ram_mut()?.as_slice_mut::<f32>()? {
        *number = if vanishes(*number) { 0.0 } else { *number };
    }
    Ok(Some(weights))
}

/// PReLU of ONNX, slopes for each channel.
#[derive(Debug, Clone)]
struct Prelu;

impl Expansion for Prelu {
    fn name(&self) -> StaticName {
        "Prelu".into()
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        solver: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        check_input_arity(inputs, 2)?;
        check_output_arity(outputs, 1)?;
        if let ([input, ..], [output, ..]) = (inputs, outputs) {
            solver.equals(&input.datum_type, &output.datum_type)?;
            solver.equals(&input.shape, &output.shape)?;
        }
        Ok(())
    }

    fn wire(&self, name: &str, model: &mut TypedModel, inputs: &[OutletId]) -> TractResult<TVec<OutletId>> {
        let [input, slope] = inputs else { bail!("expected input and slope") };
        let channels = model.outlet_fact(*input)?.shape.get(1).map(TDim::to_usize).transpose()?.unwrap_or(0);
        let konst = model.outlet_fact(*slope)?.konst.clone();
        let slopes = konst.and_then(|slopes| Slopes::new(&slopes, channels));
        let slopes = slopes.ok_or_else(|| format_err!("{name}: expected one constant slope for each channel"))?;
        model.wire_node(name, Leaky(slopes), &[*input])
    }
}

/// A depthwise 3 × 3 convolution, with a PReLU before it and a PReLU or ReLU after it where nothing else
/// reads what lies between.
fn depthwise(_: &(), model: &TypedModel, node: &TypedNode, name: &str, conv: &Conv) -> TractResult<Option<TypedModelPatch>> {
    let Some((weights, bias, geometry)) = replaceable(model, node, conv)? else { return Ok(None) };
    let Some(mut from) = node.inputs.first().copied() else { return Ok(None) };
    let mut before = None;
    let ahead = model.node(from.node);
    if let (Some(Leaky(slopes)), Some(input), true) = (ahead.op_as::<Leaky>(), ahead.inputs.first(), read_once(model, ahead)) {
        (before, from) = (Some(slopes.clone()), *input);
    }
    let (mut after, mut last) = (None, node);
    if let (Some(next), true) = (model.single_succ(node.id)?, read_once(model, node)) {
        after = activation(model, next, geometry.channels)?;
        last = if after.is_some() { next } else { node };
    }
    let mut patch = TypedModelPatch::new("depthwise");
    let input = patch.tap_model(model, from)?;
    let made = patch.wire_node(name, Depthwise { weights, bias, geometry, before, after }, &[input])?;
    patch.shunt_outside(model, last.id.into(), made.first().copied().context("one output")?)?;
    Ok(Some(patch))
}

type Replaceable = (Arc<Tensor>, Arc<Tensor>, Geometry);

/// Weights, bias and sizes of a convolution that [`Depthwise`] can do.
fn replaceable(model: &TypedModel, node: &TypedNode, conv: &Conv) -> TractResult<Option<Replaceable>> {
    let spec = &conv.pool_spec;
    let [_, weights, bias] = *node.inputs else { return Ok(None) };
    let channels = spec.input_channels;
    let (strides, dilations) = (spec.strides(), spec.dilations());
    let ([stride, across], true) = (&*strides, dilations.iter().all(|dilation| *dilation == 1)) else { return Ok(None) };
    let plain = conv.group == channels && spec.output_channels == channels && conv.q_params.is_none();
    let shaped = spec.data_format == DataFormat::NCHW && *spec.kernel_shape == [KERNEL, KERNEL] && stride == across;
    let (input, output) = (model.node_input_facts(node.id)?, model.outlet_fact(node.id.into())?);
    let facts = (input.first().and_then(|fact| fact.shape.as_concrete()), output.shape.as_concrete());
    let (Some(&[1, _, height, width]), Some(&[_, _, out_height, out_width])) = facts else { return Ok(None) };
    let konst = |outlet: OutletId| -> TractResult<Option<Arc<Tensor>>> { Ok(model.outlet_fact(outlet)?.konst.clone()) };
    let (Some(weights), Some(bias), true) = (konst(weights)?, konst(bias)?, plain && shaped && (1..=2).contains(stride)) else {
        return Ok(None);
    };
    let padding = spec.computed_padding(&[height, width]);
    let [top, left] = &*padding else { return Ok(None) };
    let geometry = Geometry { channels, height, width, out_height, out_width, stride: *stride, top: top.pad_before, left: left.pad_before };
    let fits = weights.len() == channels * KERNEL * KERNEL && weights.datum_type() == f32::datum_type() && out_height > 0;
    let bias = if bias.len() == 1 { bias.broadcast_scalar_to_shape(&[channels])?.into_arc_tensor() } else { bias };
    let known = bias.len() == channels && bias.datum_type() == f32::datum_type() && geometry.left <= 1 && geometry.top <= 1;
    Ok((fits && known).then_some((weights, bias, geometry)))
}

/// The slopes of a PReLU, or zeros for a ReLU.
fn activation(model: &TypedModel, node: &TypedNode, channels: usize) -> TractResult<Option<Slopes>> {
    if let Some(Leaky(slopes)) = node.op_as::<Leaky>() {
        return Ok(Some(slopes.clone()));
    }
    let Some(TypedBinOp(op, _)) = node.op_as::<TypedBinOp>() else { return Ok(None) };
    let facts = model.node_input_facts(node.id)?;
    let zero = facts
        .iter()
        .any(|fact| fact.konst.as_ref().is_some_and(|konst| konst.is_uniform() && konst.cast_to_scalar::<f32>().is_ok_and(|x| x == 0.0)));
    if op.is::<Max>() && zero { Slopes::zero(channels).map(Some) } else { Ok(None) }
}

/// Whether exactly one op reads what this node gives, and the graph's caller does not.
fn read_once(model: &TypedModel, node: &TypedNode) -> bool {
    let readers = node.outputs.first().map_or(0, |output| output.successors.len());
    readers == 1 && !model.outputs.iter().any(|outlet| outlet.node == node.id)
}
