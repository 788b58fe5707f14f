//! A rewritten graph gives what the plain one gives: on layers of many shapes, and on the shipped models.

use std::{env, path::Path};

use proptest::prelude::*;
use tract_onnx::{
    prelude::*,
    tract_core::ops::{
        cnn::{KernelFormat, PaddingSpec, PoolSpec},
        math::{add, max, min, mul},
    },
};

use super::*;
use crate::{cache, manifest::Manifest};

/// Of layers whose inputs, weights and results are about 1 for each product.
const LAYER: f32 = 2e-5;
/// Of whole networks, whose results are up to about 10.
const NETWORK: f32 = 1e-4;

/// Numbers from −1 to 1 from a fixed generator (xorshift64*).
fn noise(seed: u64, shape: &[usize]) -> Tensor {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        (state.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 40) as f32 / (1_u32 << 23) as f32 - 1.0
    };
    let numbers: Vec<f32> = (0..shape.iter().product()).map(|_| next()).collect();
    Tensor::from_shape(shape, &numbers).unwrap()
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Activation {
    None,
    Relu,
    /// Slopes from −1.5 to 1.5.
    Prelu,
}

/// An activation, a convolution, perhaps the addition of another branch, and an activation.
#[derive(Debug, Clone, Copy)]
struct Layer {
    size: (usize, usize),
    channels: usize,
    out_channels: usize,
    depthwise: bool,
    kernel: usize,
    stride: usize,
    padding: usize,
    before: Activation,
    adds: bool,
    after: Activation,
}

impl Layer {
    /// `kept` has PReLU as one op, as our reader makes it; otherwise it is spelt out in the engine's own ops.
    fn graph(&self, kept: bool) -> TypedModel {
        let mut graph = TypedModel::default();
        let (height, width) = self.size;
        let input = graph.add_source("input", f32::fact([1, self.channels, height, width])).unwrap();
        let before = activation(&mut graph, "before", self.before, self.channels, input, kept);
        let group = if self.depthwise { self.channels } else { 1 };
        let weights = noise(1, &[self.out_channels, self.channels / group, self.kernel, self.kernel]);
        let weights = graph.add_const("weights", weights).unwrap();
        let bias = graph.add_const("bias", noise(2, &[self.out_channels])).unwrap();
        let pool_spec = PoolSpec {
            data_format: DataFormat::NCHW,
            kernel_shape: tvec![self.kernel; 2],
            padding: PaddingSpec::Explicit(tvec![self.padding; 2], tvec![self.padding; 2]),
            dilations: None,
            strides: Some(tvec![self.stride; 2]),
            input_channels: self.channels,
            output_channels: self.out_channels,
        };
        let conv = Conv { pool_spec, kernel_fmt: KernelFormat::OIHW, group, q_params: None };
        let mut output = graph.wire_node("conv", conv, &[before, weights, bias]).unwrap()[0];
        if self.adds {
            let shape = graph.outlet_fact(output).unwrap().shape.clone();
            let other = graph.add_source("other", f32::fact(shape)).unwrap();
            output = graph.wire_node("sum", add(), &[output, other]).unwrap()[0];
        }
        let output = activation(&mut graph, "after", self.after, self.out_channels, output, kept);
        graph.select_output_outlets(&[output]).unwrap();
        graph
    }

    #[track_caller]
    fn check(&self, op: &str) {
        let plain = self.graph(false);
        let mut rewritten = self.graph(true);
        rewrite(&mut rewritten).unwrap();
        let ops: Vec<_> = rewritten.nodes().iter().map(|node| node.op.name()).collect();
        assert!(ops.iter().any(|name| name == op), "{self:?}: {ops:?}");
        assert!(!ops.iter().any(|name| name == "Conv"), "{self:?}: {ops:?}");
        let inputs = plain
            .inputs
            .iter()
            .zip(3..)
            .map(|(input, seed)| noise(seed, plain.outlet_fact(*input).unwrap().shape.as_concrete().unwrap()).into_tvalue());
        let inputs: TVec<TValue> = inputs.collect();
        let per_result = self.kernel * self.kernel * if self.depthwise { 1 } else { self.channels };
        same(plain, rewritten, inputs, LAYER * (per_result as f32).sqrt(), &format!("{self:?}"));
    }
}

fn activation(graph: &mut TypedModel, name: &str, kind: Activation, channels: usize, input: OutletId, kept: bool) -> OutletId {
    let zero = graph.add_const(format!("{name}.zero"), Tensor::zero::<f32>(&[1, 1, 1, 1]).unwrap()).unwrap();
    let slopes = noise(4, &[1, channels, 1, 1]);
    let slopes = Tensor::from(slopes.to_plain_array_view::<f32>().unwrap().mapv(|slope| slope * 1.5));
    match kind {
        Activation::None => input,
        Activation::Relu => graph.wire_node(format!("{name}.relu"), max(), &[input, zero]).unwrap()[0],
        Activation::Prelu if kept => {
            graph.wire_node(format!("{name}.prelu"), Leaky(Slopes::new(&slopes, channels).unwrap()), &[input]).unwrap()[0]
        }
        Activation::Prelu => {
            let slopes = graph.add_const(format!("{name}.slopes"), slopes).unwrap();
            let above = graph.wire_node(format!("{name}.max"), max(), &[input, zero]).unwrap()[0];
            let below = graph.wire_node(format!("{name}.min"), min(), &[input, zero]).unwrap()[0];
            let below = graph.wire_node(format!("{name}.mul"), mul(), &[below, slopes]).unwrap()[0];
            graph.wire_node(format!("{name}.add"), add(), &[above, below]).unwrap()[0]
        }
    }
}

#[track_caller]
fn same(plain: TypedModel, rewritten: TypedModel, inputs: TVec<TValue>, tolerance: f32, what: &str) {
    let run = |graph: TypedModel| graph.into_optimized().unwrap().into_runnable().unwrap().run(inputs.clone()).unwrap();
    for (plain, rewritten) in run(plain).iter().zip(run(rewritten)) {
        assert_eq!(plain.shape(), rewritten.shape(), "{what}");
        let (plain, rewritten) = (plain.to_plain_array_view::<f32>().unwrap(), rewritten.to_plain_array_view::<f32>().unwrap());
        let worst = plain
            .iter()
            .zip(&rewritten)
            .map(|(a, b)| (a - b).abs())
            .fold(0.0, |worst: f32, x| if x > worst || x.is_nan() { x } else { worst });
        assert!(worst <= tolerance, "{what}: differs by {worst}, allowed {tolerance}");
    }
}

fn activations() -> impl Strategy<Value = Activation> {
    prop_oneof![Just(Activation::None), Just(Activation::Relu), Just(Activation::Prelu)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn depthwise_convolutions_stay_the_same(
        size in (3_usize..40, 3_usize..40), channels in 2_usize..20, stride in 1_usize..3, padding in 0_usize..2,
        before in activations(), after in activations(),
    ) {
        Layer { size, channels, out_channels: channels, depthwise: true, kernel: 3, stride, padding, before, adds: false, after }
            .check("Depthwise3x3");
    }

    #[test]
    fn plain_convolutions_stay_the_same(
        size in (3_usize..40, 3_usize..40), channels in 2_usize..9, groups in 1_usize..4, stride in 1_usize..3, padding in 0_usize..2,
        before in activations(), after in activations(),
    ) {
        Layer { size, channels, out_channels: groups * 8, depthwise: false, kernel: 3, stride, padding, before, adds: false, after }
            .check("Direct3x3");
    }

    #[test]
    fn pointwise_convolutions_stay_the_same(
        size in (4_usize..20, 4_usize..20), channels in 2_usize..70, out_channels in 1_usize..40,
        before in activations(), adds in any::<bool>(), after in activations(),
    ) {
        Layer { size, channels, out_channels, depthwise: false, kernel: 1, stride: 1, padding: 0, before, adds, after }
            .check("Pointwise");
    }
}

#[test]
fn a_convolution_that_the_rules_do_not_know_is_left_alone() {
    let layer = Layer {
        size: (12, 12),
        channels: 4,
        out_channels: 4,
        depthwise: true,
        kernel: 5,
        stride: 1,
        padding: 2,
        before: Activation::None,
        adds: false,
        after: Activation::Relu,
    };
    let mut graph = layer.graph(true);
    rewrite(&mut graph).unwrap();
    assert!(graph.nodes().iter().any(|node| node.op.name() == "Conv"));
}

#[test]
fn one_slope_may_serve_all_channels() {
    for shape in [&[][..], &[1], &[1, 1, 1]] {
        let shared = Slopes::new(&Tensor::from_shape(shape, &[0.25_f32]).unwrap(), 3).unwrap();
        assert_eq!(shared.numbers().unwrap(), [0.25; 3]);
    }
    assert!(Slopes::new(&noise(1, &[2]), 3).is_none());
}

#[test]
fn only_weights_too_small_to_count_become_zero() {
    let weights = Tensor::from_shape(&[4], &[1e-20_f32, -1e-40, 2e-15, 0.0]).unwrap();
    let cleaned = without_vanishing(&weights).unwrap().unwrap();
    assert_eq!(cleaned.try_as_plain_ram().unwrap().as_slice::<f32>().unwrap(), [0.0, 0.0, 2e-15, 0.0]);
    assert!(without_vanishing(&cleaned).unwrap().is_none());
}

#[test]
fn a_number_that_is_none_is_not_hidden() {
    let graph = Layer {
        size: (4, 4),
        channels: 2,
        out_channels: 3,
        depthwise: false,
        kernel: 1,
        stride: 1,
        padding: 0,
        before: Activation::Prelu,
        adds: false,
        after: Activation::Relu,
    };
    let mut graph = graph.graph(true);
    rewrite(&mut graph).unwrap();
    let input = Tensor::from_shape(&[1, 2, 4, 4], &[f32::NAN; 32]).unwrap();
    let output = graph.into_optimized().unwrap().into_runnable().unwrap().run(tvec![input.into_tvalue()]).unwrap();
    assert!(output[0].to_plain_array_view::<f32>().unwrap().iter().all(|number| number.is_nan()));
}

#[test]
fn the_shipped_models_stay_the_same() {
    for (file, side, scale) in [("centerface.onnx", 128, 255.0), ("fr_feature.onnx", 112, 1.0), ("fr_liveness.onnx", 128, 255.0)] {
        let manifest = Manifest::shipped();
        let model = manifest.models().iter().find(|model| model.path(Path::new("")).ends_with(file)).unwrap();
        let bytes = match cache::read(model, &cache::default_dir()) {
            Ok(bytes) => bytes,
            Err(error) => {
                assert!(env::var_os("COUNTERSIGN_REQUIRE_MODELS").is_none(), "{error}");
                eprintln!("SKIPPED: {error}");
                continue;
            }
        };
        let shape = [1, 3, side, side];
        let typed = |reader: Onnx| {
            let graph = reader.model_for_read(&mut &*bytes).unwrap();
            graph.with_input_fact(0, f32::fact(shape).into()).unwrap().into_typed().unwrap()
        };
        let mut rewritten = typed(reader());
        rewrite(&mut rewritten).unwrap();
        let input = Tensor::from(noise(7, &shape).to_plain_array_view::<f32>().unwrap().mapv(|number| number * scale));
        same(typed(tract_onnx::onnx()), rewritten, tvec![input.into_tvalue()], NETWORK, file);
    }
}
