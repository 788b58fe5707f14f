//! PReLU and ReLU as one cheap form: `max(x, 0) + slope · min(x, 0)`, right for every slope.
//!
//! The usual short form `max(x, slope · x)` holds for slopes up to 1 only; the feature network has larger
//! ones.

use fearless_simd::{Simd, dispatch, f32x16, prelude::*};
use tract_onnx::tract_hir::internal::*;

use super::level::level;

/// Numbers worked on at once: one register with AVX-512, two with AVX2, four with SSE2 or NEON.
pub(super) const LANES: usize = 16;

/// One slope for each channel of N × C × H × W; a slope of 0 is ReLU.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Slopes(Arc<Tensor>);

impl Slopes {
    /// None when these are not `channels` numbers.
    pub(super) fn new(slopes: &Tensor, channels: usize) -> Option<Self> {
        let shared = slopes.len() == 1;
        let shape: &[usize] = if shared { &[] } else { &[channels] };
        let slopes = slopes.clone().into_shape(shape).ok()?;
        let slopes = if shared { slopes.broadcast_scalar_to_shape(&[channels]).ok()? } else { slopes };
        let fits = slopes.datum_type() == f32::datum_type() && slopes.len() == channels;
        fits.then(|| Self(slopes.into_arc_tensor()))
    }

    /// ReLU.
    pub(super) fn zero(channels: usize) -> TractResult<Self> {
        Ok(Self(Tensor::zero::<f32>(&[channels])?.into_arc_tensor()))
    }

    pub(super) fn numbers(&self) -> TractResult<&[f32]> {
        self.0.try_as_plain_ram()?.as_slice::<f32>()
    }
}

/// `x` stands second in both comparisons: there x86 lets a NaN through, which must not end as a plausible 0.
#[inline(always)]
pub(super) fn leaky<S: Simd>(x: f32x16<S>, slope: f32x16<S>, zero: f32x16<S>) -> f32x16<S> {
    zero.min(x).mul_add(slope, zero.max(x))
}

/// PReLU with its slopes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Leaky(pub(super) Slopes);

impl Op for Leaky {
    fn name(&self) -> StaticName {
        "Leaky".into()
    }

    op_as_typed_op!();
}

impl EvalOp for Leaky {
    op_out_of_plan!();

    fn eval(&self, _context: &EvalContext, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let input = args_1!(inputs);
        // In place when nobody else reads the input.
        let mut tensor = input.into_tensor();
        let slopes = self.0.numbers()?;
        let len = tensor.len() / slopes.len().max(1);
        let mut view = tensor.try_as_plain_ram_mut()?;
        let numbers = view.as_slice_mut::<f32>()?;
        if len > 0 {
            let level = level();
            dispatch!(level, simd => planes(simd, numbers, slopes, len));
        }
        Ok(tvec!(tensor.into_tvalue()))
    }
}

impl TypedOp for Leaky {
    fn output_facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        let [input] = inputs else { bail!("expected one input, got {}", inputs.len()) };
        let channels = self.0.numbers()?.len();
        ensure!(input.datum_type == f32::datum_type(), "expected numbers of 32 bits");
        ensure!(input.shape.get(1) == Some(&channels.to_dim()), "expected {channels} channels on axis 1, got {:?}", input.shape);
        ensure!(input.shape.first() == Some(&1.to_dim()), "expected one picture at a time");
        Ok(tvec!(input.without_value()))
    }

    as_op!();
}

#[inline(always)]
fn planes<S: Simd>(simd: S, numbers: &mut [f32], slopes: &[f32], len: usize) {
    for (plane, slope) in numbers.chunks_exact_mut(len).zip(slopes) {
        in_place(simd, plane, *slope);
    }
}

/// The activation on a run of numbers.
#[inline(always)]
pub(super) fn in_place<S: Simd>(simd: S, numbers: &mut [f32], slope: f32) {
    let (zero, slopes) = (f32x16::splat(simd, 0.0), f32x16::splat(simd, slope));
    let (blocks, rest) = numbers.as_chunks_mut::<LANES>();
    for block in blocks {
        leaky::<S>((*block).simd_into(simd), slopes, zero).store_array(block);
    }
    for number in rest {
        *number = if *number < 0.0 { *number * slope } else { *number };
    }
}
