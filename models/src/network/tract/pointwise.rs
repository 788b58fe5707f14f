//! 1 × 1 convolution with what follows it, straight from the channels as they lie in memory: no repacking.
//!
//! As in [`super::direct`], several output channels are summed at once over a block of neighbouring results.

use fearless_simd::{Simd, dispatch, f32x16, prelude::*};
use tract_onnx::tract_hir::internal::*;

use super::{
    activation::{LANES, Slopes, leaky},
    direct::TOGETHER,
    level::level,
};

/// The convolution of one picture, C × H × W with at least a block of pixels; a second input of the results'
/// shape is added when there is one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Pointwise {
    /// In the kernel's order: see [`ordered`].
    pub(super) weights: Arc<Tensor>,
    /// One for each output channel, and zeros up to a whole group.
    pub(super) bias: Arc<Tensor>,
    pub(super) out_channels: usize,
    /// Input channels, height and width.
    pub(super) shape: [usize; 3],
    /// Whether a second input is added.
    pub(super) adds: bool,
    /// Applied to what is written.
    pub(super) after: Option<Slopes>,
}

impl Op for Pointwise {
    fn name(&self) -> StaticName {
        "Pointwise".into()
    }

    fn info(&self) -> TractResult<Vec<String>> {
        Ok(vec![format!("{:?} to {} adds:{} after:{}", self.shape, self.out_channels, self.adds, self.after.is_some())])
    }

    fn validation(&self) -> Validation {
        Validation::Rounding
    }

    op_as_typed_op!();
}

impl EvalOp for Pointwise {
    op_out_of_plan!();

    fn eval(&self, _context: &EvalContext, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let [_, height, width] = self.shape;
        let channels = self.out_channels;
        let input = inputs.first().context("an input")?.try_as_plain_ram()?;
        let added = inputs.get(1).map(|added| added.try_as_plain_ram()).transpose()?;
        let added = added.as_ref().map(|added| added.as_slice::<f32>()).transpose()?;
        let mut output = Tensor::zero::<f32>(&[1, channels, height, width])?;
        let layer = Layer {
            pixels: height * width,
            input: input.as_slice::<f32>()?,
            weights: self.weights.try_as_plain_ram()?.as_slice::<f32>()?.as_chunks().0,
            bias: self.bias.try_as_plain_ram()?.as_slice::<f32>()?.as_chunks().0,
            added,
            after: self.after.as_ref().map(Slopes::numbers).transpose()?,
        };
        let mut results = output.try_as_plain_ram_mut()?;
        let results = results.as_slice_mut::<f32>()?;
        let level = level();
        dispatch!(level, simd => layer.run(simd, results));
        Ok(tvec!(output.into_tvalue()))
    }
}

impl TypedOp for Pointwise {
    fn output_facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        let [channels, height, width] = self.shape;
        let output = f32::fact([1, self.out_channels, height, width]);
        let mut expected = vec![f32::fact([1, channels, height, width])];
        expected.extend(self.adds.then(|| output.clone()));
        ensure!(inputs.len() == expected.len(), "expected {} inputs, got {}", expected.len(), inputs.len());
        for (expected, got) in expected.iter().zip(inputs) {
            ensure!(got.datum_type == expected.datum_type && got.shape == expected.shape, "expected {expected:?}, got {got:?}");
        }
        Ok(tvec!(output))
    }

    as_op!();
}

/// Weights (output channels × C) in the order in which the kernel reads them: for each group of output
/// channels, for each input channel, one weight of each of the group; zeros fill the last group up.
pub(super) fn ordered(weights: &[f32], channels: usize) -> Arc<Tensor> {
    let groups = weights.chunks(channels * TOGETHER);
    let weight = |group: &[f32], from: usize, of: usize| group.get(of * channels + from).copied().unwrap_or(0.0);
    let ordered = groups.flat_map(|group| (0..channels).flat_map(move |from| (0..TOGETHER).map(move |of| weight(group, from, of))));
    tract_ndarray::Array1::from_iter(ordered).into_arc_tensor()
}

/// Numbers with zeros up to a whole group of output channels.
pub(super) fn filled(bias: &[f32]) -> Arc<Tensor> {
    let mut bias = bias.to_vec();
    bias.resize(bias.len().next_multiple_of(TOGETHER), 0.0);
    tract_ndarray::Array1::from_vec(bias).into_arc_tensor()
}

struct Layer<'a> {
    pixels: usize,
    input: &'a [f32],
    weights: &'a [[f32; TOGETHER]],
    bias: &'a [[f32; TOGETHER]],
    added: Option<&'a [f32]>,
    after: Option<&'a [f32]>,
}

impl Layer<'_> {
    /// Two blocks of eight channels fill the registers of AVX-512, one block of four those of AVX2 and SSE2.
    #[inline(always)]
    fn run<S: Simd>(&self, simd: S, output: &mut [f32]) {
        if S::f32s::LEN >= LANES {
            self.blocks::<S, TOGETHER, 2>(simd, output)
        } else {
            self.blocks::<S, { TOGETHER / 2 }, 1>(simd, output)
        }
    }

    #[inline(always)]
    fn blocks<S: Simd, const CHANNELS: usize, const WIDE: usize>(&self, simd: S, output: &mut [f32]) {
        let (channels, span) = (self.input.len() / self.pixels.max(1), LANES * WIDE);
        let mut at = 0;
        while at < self.pixels {
            // What is left over at the end is done with a block that begins earlier: the same numbers again.
            let groups = self.weights.chunks_exact(channels).zip(self.bias).enumerate();
            if at + span <= self.pixels {
                groups.for_each(|(group, (weights, bias))| self.group::<S, CHANNELS, WIDE>(simd, at, group, weights, bias, output));
                at += span;
            } else {
                let begin = at.min(self.pixels - LANES);
                groups.for_each(|(group, (weights, bias))| self.group::<S, CHANNELS, 1>(simd, begin, group, weights, bias, output));
                at = begin + LANES;
            }
        }
    }

    /// Blocks of results of one group of output channels.
    #[inline(always)]
    fn group<S: Simd, const CHANNELS: usize, const WIDE: usize>(
        &self,
        simd: S,
        at: usize,
        group: usize,
        weights: &[[f32; TOGETHER]],
        bias: &[f32; TOGETHER],
        output: &mut [f32],
    ) {
        for (part, bias) in bias.as_chunks::<CHANNELS>().0.iter().enumerate() {
            let mut sums = bias.map(|bias| [f32x16::splat(simd, bias); WIDE]);
            for (line, weights) in self.input.chunks_exact(self.pixels).zip(weights) {
                let blocks = line.get(at..).and_then(|line| line.as_chunks::<LANES>().0.first_chunk::<WIDE>());
                let (Some(blocks), Some(weights)) = (blocks, weights.as_chunks::<CHANNELS>().0.get(part)) else { return };
                let blocks = blocks.map(|block| -> f32x16<S> { block.simd_into(simd) });
                for (sums, weight) in sums.iter_mut().zip(weights) {
                    let weight = f32x16::splat(simd, *weight);
                    for (sum, block) in sums.iter_mut().zip(blocks) {
                        *sum = block.mul_add(weight, *sum);
                    }
                }
            }
            for (of, sums) in sums.into_iter().enumerate() {
                self.write(simd, group * TOGETHER + part * CHANNELS + of, at, sums, output);
            }
        }
    }

    #[inline(always)]
    fn write<S: Simd, const WIDE: usize>(&self, simd: S, channel: usize, at: usize, sums: [f32x16<S>; WIDE], output: &mut [f32]) {
        let begin = channel * self.pixels + at;
        let slope = self.after.and_then(|slopes| slopes.get(channel)).map(|slope| f32x16::splat(simd, *slope));
        // Channels that only fill the last group up lie beyond the output.
        let Some(to) = output.get_mut(begin..).and_then(|to| to.as_chunks_mut::<LANES>().0.first_chunk_mut::<WIDE>()) else { return };
        let added = self.added.and_then(|added| added.get(begin..)?.as_chunks::<LANES>().0.first_chunk::<WIDE>());
        for (block, (sum, to)) in sums.into_iter().zip(to).enumerate() {
            let sum = match added.and_then(|added| added.get(block)) {
                Some(added) => sum + f32x16::load_array(simd, *added),
                None => sum,
            };
            slope.map_or(sum, |slope| leaky(sum, slope, f32x16::splat(simd, 0.0))).store_array(to);
        }
    }
}
