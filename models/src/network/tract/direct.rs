//! Plain 3 × 3 convolution without a matrix in between, for the few layers of these networks that have one.
//!
//! Eight output channels are summed at once over a block of neighbouring results: each number read serves
//! eight products, and the sums stay in registers.

use fearless_simd::{Simd, dispatch, f32x16, prelude::*};
use tract_onnx::tract_hir::internal::*;

use super::{
    activation::{LANES, Slopes, in_place, leaky},
    geometry::{Geometry, KERNEL, lay_row},
    level::level,
};

/// Output channels summed at once; the number of output channels is a multiple of it.
pub(super) const TOGETHER: usize = 8;

/// The convolution of one picture, C × H × W, padded with zeros.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Direct {
    /// Groups of output channels × taps × the channels of a group: laid out once, read on every run.
    weights: Arc<Tensor>,
    /// Output channels.
    pub(super) bias: Arc<Tensor>,
    pub(super) geometry: Geometry,
    /// Applied to what is read.
    pub(super) before: Option<Slopes>,
    /// Applied to what is written.
    pub(super) after: Option<Slopes>,
}

impl Direct {
    /// The convolution with these weights, output channels × C × 3 × 3.
    pub(super) fn new(
        weights: &Tensor,
        bias: Arc<Tensor>,
        geometry: Geometry,
        before: Option<Slopes>,
        after: Option<Slopes>,
    ) -> TractResult<Self> {
        let laid = interleaved(weights.try_as_plain_ram()?.as_slice()?, geometry.channels);
        let weights = Arc::new(Tensor::from_shape(&[laid.len()], &laid)?);
        Ok(Self { weights, bias, geometry, before, after })
    }
}

impl Op for Direct {
    fn name(&self) -> StaticName {
        "Direct3x3".into()
    }

    fn info(&self) -> TractResult<Vec<String>> {
        Ok(vec![format!("{:?} before:{} after:{}", self.geometry, self.before.is_some(), self.after.is_some())])
    }

    fn validation(&self) -> Validation {
        Validation::Rounding
    }

    op_as_typed_op!();
}

impl EvalOp for Direct {
    op_out_of_plan!();

    fn eval(&self, _context: &EvalContext, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let input = args_1!(inputs);
        let Geometry { out_height, out_width, .. } = self.geometry;
        let view = input.try_as_plain_ram()?;
        let channels = self.bias.len();
        let mut output = Tensor::zero::<f32>(&[1, channels, out_height, out_width])?;
        let filters = Filters {
            weights: self.weights.try_as_plain_ram()?.as_slice::<f32>()?.as_chunks().0,
            bias: self.bias.try_as_plain_ram()?.as_slice()?,
            before: self.before.as_ref().map(Slopes::numbers).transpose()?,
            after: self.after.as_ref().map(Slopes::numbers).transpose()?,
        };
        let mut results = output.try_as_plain_ram_mut()?;
        let results = results.as_slice_mut::<f32>()?;
        let level = level();
        let pixels = view.as_slice::<f32>()?;
        dispatch!(level, simd => convolve(simd, &self.geometry, &filters, pixels, results));
        Ok(tvec!(output.into_tvalue()))
    }
}

impl TypedOp for Direct {
    fn output_facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        let Geometry { channels, height, width, out_height, out_width, .. } = self.geometry;
        let [input] = inputs else { bail!("expected one input, got {}", inputs.len()) };
        let expected = f32::fact([1, channels, height, width]);
        ensure!(input.datum_type == expected.datum_type && input.shape == expected.shape, "expected {expected:?}, got {input:?}");
        Ok(tvec!(f32::fact([1, self.bias.len(), out_height, out_width])))
    }

    as_op!();
}

struct Filters<'a> {
    /// For each group of output channels: one weight of each of them, for each input channel and tap.
    weights: &'a [[f32; TOGETHER]],
    bias: &'a [f32],
    before: Option<&'a [f32]>,
    after: Option<&'a [f32]>,
}

/// Output channels × taps to groups of output channels × taps × the channels of a group.
fn interleaved(weights: &[f32], channels: usize) -> Vec<f32> {
    let taps = channels * KERNEL * KERNEL;
    let groups = weights.chunks_exact(taps * TOGETHER);
    let weight = |group: &[f32], tap: usize, of: usize| group.get(of * taps + tap).copied().unwrap_or(0.0);
    groups.flat_map(|group| (0..taps).flat_map(move |tap| (0..TOGETHER).map(move |of| weight(group, tap, of)))).collect()
}

/// All input channels, each in its frame of zeros.
#[inline(always)]
fn framed<S: Simd>(simd: S, geometry: &Geometry, before: Option<&[f32]>, input: &[f32]) -> Vec<f32> {
    let (row, rows) = (geometry.row(), geometry.padded_rows());
    let mut framed = vec![0.0; geometry.channels * rows * row];
    let planes = input.chunks_exact(geometry.height * geometry.width);
    for (channel, (frame, plane)) in framed.chunks_exact_mut(rows * row).zip(planes).enumerate() {
        for (padded, line) in frame.chunks_exact_mut(row).skip(geometry.top).zip(plane.chunks_exact(geometry.width)) {
            lay_row(geometry, padded, line);
            if let Some(slope) = before.and_then(|slopes| slopes.get(channel)) {
                in_place(simd, padded, *slope);
            }
        }
    }
    framed
}

/// Where each tap of each input channel lies in the frames, for the first result.
fn offsets(geometry: &Geometry) -> Vec<usize> {
    let (row, rows, half) = (geometry.row(), geometry.padded_rows(), geometry.pitch());
    let columns = if geometry.stride == 1 { [0, 1, 2] } else { [0, half, 1] };
    let taps = |channel: usize| (0..KERNEL).flat_map(move |down| columns.map(|column| (channel * rows + down) * row + column));
    (0..geometry.channels).flat_map(taps).collect()
}

#[inline(always)]
fn convolve<S: Simd>(simd: S, geometry: &Geometry, filters: &Filters<'_>, input: &[f32], output: &mut [f32]) {
    let (framed, offsets) = (framed(simd, geometry, filters.before, input), offsets(geometry));
    let plane = geometry.out_height * geometry.out_width;
    let (biases, _) = filters.bias.as_chunks::<TOGETHER>();
    for row in 0..geometry.out_height {
        for column in (0..geometry.out_width).step_by(LANES) {
            let Some(from) = framed.get(row * geometry.stride * geometry.row() + column..) else { return };
            let wide = LANES.min(geometry.out_width - column);
            for (group, (weights, biases)) in filters.weights.chunks_exact(offsets.len()).zip(biases).enumerate() {
                let sums = sums(simd, from, &offsets, weights, biases);
                for (of, sum) in sums.into_iter().enumerate() {
                    let channel = group * TOGETHER + of;
                    let slope = filters.after.and_then(|slopes| slopes.get(channel));
                    let zero = f32x16::splat(simd, 0.0);
                    let sum = slope.map_or(sum, |slope| leaky(sum, f32x16::splat(simd, *slope), zero));
                    let at = channel * plane + row * geometry.out_width + column;
                    if let (Some(to), Some(results)) = (output.get_mut(at..at + wide), sum.as_array().get(..wide)) {
                        to.copy_from_slice(results);
                    }
                }
            }
        }
    }
}

/// A block of results of each channel of a group.
#[inline(always)]
fn sums<S: Simd>(simd: S, from: &[f32], offsets: &[usize], weights: &[[f32; TOGETHER]], biases: &[f32; TOGETHER]) -> [f32x16<S>; TOGETHER] {
    let mut sums = biases.map(|bias| f32x16::splat(simd, bias));
    for (offset, weights) in offsets.iter().zip(weights) {
        let Some(block) = from.get(*offset..).and_then(|from| from.first_chunk::<LANES>()) else { return sums };
        let block: f32x16<S> = (*block).simd_into(simd);
        for (sum, weight) in sums.iter_mut().zip(weights) {
            *sum = block.mul_add(f32x16::splat(simd, *weight), *sum);
        }
    }
    sums
}
