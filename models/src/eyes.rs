//! Whether each eye is open, by a small network on a square around the eye.

use std::sync::Arc;

use models_core::Point;

use crate::{
    attack::softmax,
    landmarks::Contour,
    manifest::{Crop, InputSize, Model, Role},
    network::{Graph, LoadError, Network, RunError},
    picture::Picture,
    warp::{self, Region},
};

/// The network that tells open eyes from closed ones.
pub(crate) struct Eyes {
    pub(crate) network: Network,
    factor: f32,
    open_index: usize,
    width: u32,
    height: u32,
}

impl Eyes {
    pub(crate) fn load(model: &Arc<Model>, bytes: &[u8]) -> Result<Self, LoadError> {
        let (InputSize::Fixed { width, height }, Crop::Eyes { factor }, Some(open_index)) =
            (model.input.size, &model.crop, model.outputs.first().and_then(|output| output.index))
        else {
            return Err(LoadError::NoModel(Role::Eyes));
        };
        Ok(Self { network: Graph::parse(model, bytes)?.plan(width, height)?, factor: *factor, open_index, width, height })
    }

    /// Probability that each eye is open, 0–1, the one at the left of the picture first; none for an eye that
    /// lies outside the picture or has no size.
    pub(crate) fn open(&self, picture: &Picture, contour: &Contour) -> Result<[Option<f32>; 2], RunError> {
        let [left, right] = contour.eyes();
        Ok([self.one(picture, left)?, self.one(picture, right)?])
    }

    /// One eye as the network sees it, RGB.
    pub(crate) fn cropped(&self, picture: &Picture, eye: &[Point]) -> Result<Option<Vec<u8>>, RunError> {
        let Some(region) = around(eye, self.factor, picture) else { return Ok(None) };
        Ok(Some(warp::resize(picture, region, self.width, self.height)?))
    }

    fn one(&self, picture: &Picture, eye: &[Point]) -> Result<Option<f32>, RunError> {
        let Some(crop) = self.cropped(picture, eye)? else { return Ok(None) };
        let outputs = self.network.run(&crop)?;
        Ok(softmax(outputs.iter().flatten().copied()).get(self.open_index).copied())
    }
}

/// A square around the lids' middle, `factor` times as wide as the eye; none when it does not fit.
fn around(eye: &[Point], factor: f32, picture: &Picture) -> Option<Region> {
    let [outer, upper_left, upper_right, inner, lower_right, lower_left] = *eye else { return None };
    let lids = [upper_left, upper_right, lower_right, lower_left];
    let middle = |of: fn(&Point) -> f32| lids.iter().map(|point| f64::from(of(point))).sum::<f64>() / 4.0;
    let side = f64::from((inner.x - outer.x).hypot(inner.y - outer.y) * factor);
    let (left, top) = (middle(|point| point.x) - side / 2.0, middle(|point| point.y) - side / 2.0);
    let (width, height) = (f64::from(picture.width()), f64::from(picture.height()));
    let inside = side >= 1.0 && left >= 0.0 && top >= 0.0 && left + side <= width && top + side <= height;
    inside.then_some(Region { left, top, width: side, height: side })
}
