//! Rewrites of a graph that was just read, before the engine's own optimiser sees it.
//!
//! Each keeps what the graph computes; the tests state how closely.

use tract_onnx::{
    Onnx,
    tract_core::{
        model::TypedModelPatch,
        ops::{
            binary::TypedBinOp,
            cnn::Conv,
            konst::Const,
            math::{Add, Max},
            nn::DataFormat,
        },
    },
    tract_hir::internal::*,
};

use super::{
    activation::{LANES, Leaky, Slopes},
    depthwise::Depthwise,
    direct::{self, Direct},
    geometry::{Geometry, KERNEL},
    pointwise::{self, Pointwise},
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
    Rewriter::default().with_rule_for("3 × 3 convolution", convolution).with_rule_for("1 × 1 convolution", pointwise).rewrite(&(), graph)
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

/// A 3 × 3 convolution, depthwise or plain, with a PReLU before it and a PReLU or ReLU after it where nothing
/// else reads what lies between.
fn convolution(_: &(), model: &TypedModel, node: &TypedNode, name: &str, conv: &Conv) -> TractResult<Option<TypedModelPatch>> {
    let Some(Found { weights, bias, geometry, kind }) = replaceable(model, node, conv)? else { return Ok(None) };
    let Some(mut from) = node.inputs.first().copied() else { return Ok(None) };
    let mut before = None;
    let ahead = model.node(from.node);
    if let (Some(Leaky(slopes)), Some(input), true) = (ahead.op_as::<Leaky>(), ahead.inputs.first(), read_once(model, ahead)) {
        (before, from) = (Some(slopes.clone()), *input);
    }
    let (mut after, mut last) = (None, node);
    if let (Some(next), true) = (model.single_succ(node.id)?, read_once(model, node)) {
        after = activation(model, next, conv.output_channels())?;
        last = if after.is_some() { next } else { node };
    }
    let mut patch = TypedModelPatch::new("3 × 3 convolution");
    let input = [patch.tap_model(model, from)?];
    let made = match kind {
        Kind::Depthwise => patch.wire_node(name, Depthwise { weights, bias, geometry, before, after }, &input)?,
        Kind::Plain => patch.wire_node(name, Direct::new(&weights, bias, geometry, before, after)?, &input)?,
    };
    patch.shunt_outside(model, last.id.into(), made.first().copied().context("one output")?)?;
    Ok(Some(patch))
}

/// A convolution that can be replaced.
struct Found {
    weights: Arc<Tensor>,
    bias: Arc<Tensor>,
    geometry: Geometry,
    kind: Kind,
}

enum Kind {
    Depthwise,
    Plain,
}

/// Weights, bias and sizes of a convolution that [`Depthwise`] or [`Direct`] can do.
fn replaceable(model: &TypedModel, node: &TypedNode, conv: &Conv) -> TractResult<Option<Found>> {
    let spec = &conv.pool_spec;
    let [_, weights, bias] = *node.inputs else { return Ok(None) };
    let (channels, out_channels) = (spec.input_channels, spec.output_channels);
    let kind = if conv.group == channels && out_channels == channels {
        Kind::Depthwise
    } else if conv.group == 1 && out_channels.is_multiple_of(direct::TOGETHER) {
        Kind::Plain
    } else {
        return Ok(None);
    };
    let (strides, dilations) = (spec.strides(), spec.dilations());
    let ([stride, across], true) = (&*strides, dilations.iter().all(|dilation| *dilation == 1)) else { return Ok(None) };
    let shaped = spec.data_format == DataFormat::NCHW && *spec.kernel_shape == [KERNEL, KERNEL] && stride == across;
    let (input, output) = (model.node_input_facts(node.id)?, model.outlet_fact(node.id.into())?);
    let facts = (input.first().and_then(|fact| fact.shape.as_concrete()), output.shape.as_concrete());
    let (Some(&[1, _, height, width]), Some(&[_, _, out_height, out_width])) = facts else { return Ok(None) };
    let konst = |outlet: OutletId| -> TractResult<Option<Arc<Tensor>>> { Ok(model.outlet_fact(outlet)?.konst.clone()) };
    let plain = conv.q_params.is_none() && shaped && (1..=2).contains(stride);
    let (Some(weights), Some(bias), true) = (konst(weights)?, konst(bias)?, plain) else { return Ok(None) };
    let padding = spec.computed_padding(&[height, width]);
    let [top, left] = &*padding else { return Ok(None) };
    let (stride, top, left) = (*stride, top.pad_before, left.pad_before);
    let geometry = Geometry { channels, height, width, out_height, out_width, stride, top, left };
    let count = KERNEL * KERNEL * out_channels * channels / conv.group;
    let fits = weights.len() == count && weights.datum_type() == f32::datum_type() && out_height > 0;
    let bias = if bias.rank() == 0 { bias.broadcast_scalar_to_shape(&[out_channels])?.into_arc_tensor() } else { bias };
    let known = bias.len() == out_channels && bias.datum_type() == f32::datum_type() && left <= 1 && top <= 1;
    Ok((fits && known).then_some(Found { weights, bias, geometry, kind }))
}

/// A 1 × 1 convolution, with the addition of another branch and a PReLU or ReLU after it.
fn pointwise(_: &(), model: &TypedModel, node: &TypedNode, name: &str, conv: &Conv) -> TractResult<Option<TypedModelPatch>> {
    let spec = &conv.pool_spec;
    let [from, weights, bias] = *node.inputs else { return Ok(None) };
    let (channels, out_channels) = (spec.input_channels, spec.output_channels);
    let shape = model.outlet_fact(from)?.shape.as_concrete().map(<[usize]>::to_vec);
    let Some(&[1, _, height, width]) = shape.as_deref() else { return Ok(None) };
    let plain = conv.group == 1 && conv.q_params.is_none() && spec.data_format == DataFormat::NCHW;
    let single = *spec.kernel_shape == [1, 1] && spec.strides().iter().all(|stride| *stride == 1);
    let unpadded = spec.computed_padding(&[height, width]).iter().all(|side| side.pad_before == 0 && side.pad_after == 0);
    let whole = height * width >= LANES;
    let konst = |outlet: OutletId| -> TractResult<Option<Arc<Tensor>>> { Ok(model.outlet_fact(outlet)?.konst.clone()) };
    let (Some(weights), Some(bias), true) = (konst(weights)?, konst(bias)?, plain && single && unpadded && whole) else { return Ok(None) };
    let floats = [&weights, &bias].iter().all(|tensor| tensor.datum_type() == f32::datum_type());
    if !floats || weights.len() != channels * out_channels || bias.len() != out_channels {
        return Ok(None);
    }
    let (mut last, mut inputs) = (node, vec![from]);
    if let Some((sum, other)) = addition(model, node)? {
        (last, inputs) = (sum, vec![from, other]);
    }
    let mut after = None;
    if let (Some(next), true) = (model.single_succ(last.id)?, read_once(model, last)) {
        after = activation(model, next, out_channels)?;
        last = if after.is_some() { next } else { last };
    }
    let weights = pointwise::ordered(weights.try_as_plain_ram()?.as_slice()?, channels);
    let bias = pointwise::filled(bias.try_as_plain_ram()?.as_slice()?);
    let op = Pointwise { weights, bias, out_channels, shape: [channels, height, width], adds: inputs.len() == 2, after };
    let mut patch = TypedModelPatch::new("1 × 1 convolution");
    let inputs = inputs.into_iter().map(|input| patch.tap_model(model, input)).collect::<TractResult<Vec<_>>>()?;
    let made = patch.wire_node(name, op, &inputs)?;
    patch.shunt_outside(model, last.id.into(), made.first().copied().context("one output")?)?;
    Ok(Some(patch))
}

/// The addition that is all that reads a node, and the other thing added, of the same shape.
fn addition<'m>(model: &'m TypedModel, node: &TypedNode) -> TractResult<Option<(&'m TypedNode, OutletId)>> {
    let (Some(next), true) = (model.single_succ(node.id)?, read_once(model, node)) else { return Ok(None) };
    let Some(TypedBinOp(op, _)) = next.op_as::<TypedBinOp>() else { return Ok(None) };
    let Some(other) = next.inputs.iter().find(|input| input.node != node.id).copied() else { return Ok(None) };
    let (mine, others) = (model.outlet_fact(node.id.into())?, model.outlet_fact(other)?);
    let alike = mine.shape == others.shape && mine.datum_type == others.datum_type && others.konst.is_none();
    Ok((op.is::<Add>() && alike).then_some((next, other)))
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

#[cfg(test)]
mod tests;
