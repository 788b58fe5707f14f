//! Depthwise 3 × 3 convolution with the activations before and after it in one pass over each channel.
//!
//! A channel is copied into a frame of zeros, where every row leaves room for whole blocks of numbers, so
//! that no block needs a case of its own; with a stride of 2, even and odd columns are parted on the way.
//!
//! Not here: when a graph's convolution may be replaced by this one; see [`super::rewrite`].

use fearless_simd::{Simd, dispatch, f32x16, prelude::*};
use tract_onnx::tract_hir::internal::*;

use super::{
    activation::{LANES, Slopes, in_place, leaky},
    geometry::{Geometry, KERNEL, lay_row},
    level::level,
};

/// Numbers of a row that one block of results depends on.
const WINDOW: usize = LANES + KERNEL - 1;

/// The convolution of one picture, C × H × W, padded with zeros.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Depthwise {
    /// C × 3 × 3.
    pub(super) weights: Arc<Tensor>,
    /// C.
    pub(super) bias: Arc<Tensor>,
    pub(super) geometry: Geometry,
    /// Applied to what is read.
    pub(super) before: Option<Slopes>,
    /// Applied to what is written.
    pub(super) after: Option<Slopes>,
}

impl Op for Depthwise {
    fn name(&self) -> StaticName {
        "Depthwise3x3".into()
    }

    fn info(&self) -> TractResult<Vec<String>> {
        Ok(vec![format!("{:?} before:{} after:{}", self.geometry, self.before.is_some(), self.after.is_some())])
    }

    fn validation(&self) -> Validation {
        Validation::Rounding
    }

    op_as_typed_op!();
}

impl EvalOp for Depthwise {
    op_out_of_plan!();

    fn eval(&self, _context: &EvalContext, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let input = args_1!(inputs);
        let Geometry { channels, out_height, out_width, .. } = self.geometry;
        let view = input.try_as_plain_ram()?;
        let mut output = Tensor::zero::<f32>(&[1, channels, out_height, out_width])?;
        let mut results = output.try_as_plain_ram_mut()?;
        let results = results.as_slice_mut::<f32>()?;
        let level = level();
        let (pixels, numbers) = (view.as_slice::<f32>()?, Numbers::of(self)?);
        dispatch!(level, simd => convolve(simd, &self.geometry, &numbers, pixels, results));
        Ok(tvec!(output.into_tvalue()))
    }
}

impl TypedOp for Depthwise {
    fn output_facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        let Geometry { channels, height, width, out_height, out_width, .. } = self.geometry;
        let [input] = inputs else { bail!("expected one input, got {}", inputs.len()) };
        let expected = f32::fact([1, channels, height, width]);
        ensure!(input.datum_type == expected.datum_type && input.shape == expected.shape, "expected {expected:?}, got {input:?}");
        Ok(tvec!(f32::fact([1, channels, out_height, out_width])))
    }

    as_op!();
}

/// The op's tensors as numbers.
struct Numbers<'a> {
    weights: &'a [f32],
    bias: &'a [f32],
    before: Option<&'a [f32]>,
    after: Option<&'a [f32]>,
}

impl<'a> Numbers<'a> {
    fn of(op: &'a Depthwise) -> TractResult<Self> {
        Ok(Self {
            weights: op.weights.try_as_plain_ram()?.as_slice()?,
            bias: op.bias.try_as_plain_ram()?.as_slice()?,
            before: op.before.as_ref().map(Slopes::numbers).transpose()?,
            after: op.after.as_ref().map(Slopes::numbers).transpose()?,
        })
    }
}

#[inline(always)]
fn convolve<S: Simd>(simd: S, geometry: &Geometry, numbers: &Numbers<'_>, input: &[f32], output: &mut [f32]) {
    let pitch = geometry.row();
    let mut padded = vec![0.0; geometry.padded_rows() * pitch];
    let mut line = vec![0.0; geometry.blocks()];
    let (kernels, _) = numbers.weights.as_chunks::<{ KERNEL * KERNEL }>();
    let planes = input.chunks_exact(geometry.height * geometry.width);
    let planes = planes.zip(output.chunks_exact_mut(geometry.out_height * geometry.out_width));
    for (channel, (((plane, plane_out), kernel), bias)) in planes.zip(kernels).zip(numbers.bias).enumerate() {
        let slope = |slopes: Option<&[f32]>| slopes.and_then(|slopes| slopes.get(channel)).copied();
        for (padded, row) in padded.chunks_exact_mut(pitch).skip(geometry.top).zip(plane.chunks_exact(geometry.width)) {
            lay_row(geometry, padded, row);
            if let Some(slope) = slope(numbers.before) {
                in_place(simd, padded, slope);
            }
        }
        let after = slope(numbers.after).map(|slope| f32x16::splat(simd, slope));
        let filter = Filter { kernel: kernel.map(|weight| f32x16::splat(simd, weight)), bias: f32x16::splat(simd, *bias), after };
        for (at, results) in plane_out.chunks_exact_mut(geometry.out_width).enumerate() {
            let from = at * geometry.stride * pitch;
            let Some(rows) = padded.get(from..from + KERNEL * pitch) else { return };
            if geometry.stride == 1 {
                filter.line(simd, rows, pitch, &mut line)
            } else {
                filter.line_of_halves(simd, rows, pitch, &mut line)
            }
            if let Some(line) = line.get(..results.len()) {
                results.copy_from_slice(line);
            }
        }
    }
}

/// One channel's weights, each in all lanes.
struct Filter<S: Simd> {
    kernel: [f32x16<S>; KERNEL * KERNEL],
    bias: f32x16<S>,
    after: Option<f32x16<S>>,
}

impl<S: Simd> Filter<S> {
    /// One line of results from three padded rows.
    #[inline(always)]
    fn line(&self, simd: S, rows: &[f32], pitch: usize, line: &mut [f32]) {
        let (top, rest) = rows.split_at(pitch);
        let (middle, bottom) = rest.split_at(pitch);
        for (at, block) in line.as_chunks_mut::<LANES>().0.iter_mut().enumerate() {
            let window =
                |row: &[f32]| row.get(at * LANES..).and_then(|row| row.first_chunk::<WINDOW>()).map(|window| windows(simd, window));
            if let (Some(top), Some(middle), Some(bottom)) = (window(top), window(middle), window(bottom)) {
                self.block(simd, [top, middle, bottom], block);
            }
        }
    }

    /// One line of results from three padded rows, each in halves of even and odd columns.
    #[inline(always)]
    fn line_of_halves(&self, simd: S, rows: &[f32], pitch: usize, line: &mut [f32]) {
        let (top, rest) = rows.split_at(pitch);
        let (middle, bottom) = rest.split_at(pitch);
        for (at, block) in line.as_chunks_mut::<LANES>().0.iter_mut().enumerate() {
            let window = |row: &[f32]| {
                let (even, odd) = row.split_at(pitch / 2);
                let even = even.get(at * LANES..)?.first_chunk::<{ LANES + 1 }>()?;
                let odd = odd.get(at * LANES..)?.first_chunk::<LANES>()?;
                let [first, .., last] = [even.first_chunk::<LANES>()?, odd, even.last_chunk::<LANES>()?];
                Some([(*first).simd_into(simd), (*odd).simd_into(simd), (*last).simd_into(simd)])
            };
            if let (Some(top), Some(middle), Some(bottom)) = (window(top), window(middle), window(bottom)) {
                self.block(simd, [top, middle, bottom], block);
            }
        }
    }

    #[inline(always)]
    fn block(&self, simd: S, rows: [[f32x16<S>; KERNEL]; KERNEL], block: &mut [f32; LANES]) {
        let [[a, b, c], [d, e, f], [g, h, i]] = rows;
        let [ka, kb, kc, kd, ke, kf, kg, kh, ki] = self.kernel;
        let top = c.mul_add(kc, b.mul_add(kb, a.mul_add(ka, self.bias)));
        let middle = f.mul_add(kf, e.mul_add(ke, d * kd));
        let bottom = i.mul_add(ki, h.mul_add(kh, g * kg));
        let sum = top + (middle + bottom);
        let sum = match self.after {
            Some(slope) => leaky(sum, slope, f32x16::splat(simd, 0.0)),
            None => sum,
        };
        sum.store_array(block);
    }
}

/// The three blocks that start at the window's first, second and third number.
#[inline(always)]
fn windows<S: Simd>(simd: S, window: &[f32; WINDOW]) -> [f32x16<S>; KERNEL] {
    let [_, tail @ ..] = window;
    let blocks = [window.first_chunk::<LANES>(), tail.first_chunk::<LANES>(), window.last_chunk::<LANES>()];
    blocks.map(|block| block.map_or(f32x16::splat(simd, 0.0), |block| (*block).simd_into(simd)))
}
