//! The 68 landmarks of a face (contour 0–16, brows 17–26, nose 27–35, eyes 36–47, mouth 48–67, each group from
//! left to right as seen), by a small network on the face's box.

use std::sync::Arc;

use models_core::{FaceBox, Point};

use crate::{
    attack::enlarged,
    manifest::{Crop, InputSize, Model, Role},
    network::{Graph, LoadError, Network, RunError},
    picture::Picture,
    warp::{self, Region},
};

/// Number of landmarks.
pub(crate) const POINTS: usize = 68;

/// The landmarks of one face, in pixels of the picture.
pub(crate) struct Contour([Point; POINTS]);

impl Contour {
    /// The landmarks `from` up to but without `to`.
    pub(crate) fn part(&self, from: usize, to: usize) -> &[Point] {
        self.0.get(from..to).unwrap_or_default()
    }

    /// How far each eye's lids are apart, as a share of the eye's width; that of the eye at the left first.
    pub(crate) fn openings(&self) -> [f32; 2] {
        self.eyes().map(|eye| {
            let [outer, upper_left, upper_right, inner, lower_right, lower_left] = *eye else { return 0.0 };
            let apart = |a: Point, b: Point| (a.x - b.x).hypot(a.y - b.y);
            (apart(upper_left, lower_left) + apart(upper_right, lower_right)) / (2.0 * apart(outer, inner)).max(1e-3)
        })
    }

    /// The six landmarks of the eye at the left of the picture, then of the other.
    pub(crate) fn eyes(&self) -> [&[Point]; 2] {
        [self.part(36, 42), self.part(42, 48)]
    }
}

/// The network of the landmarks.
pub(crate) struct ContourFinder {
    pub(crate) network: Network,
    factor: f32,
    width: u32,
    height: u32,
}

impl ContourFinder {
    pub(crate) fn load(model: &Arc<Model>, bytes: &[u8]) -> Result<Self, LoadError> {
        let (InputSize::Fixed { width, height }, Crop::Box { factor, .. }) = (model.input.size, &model.crop) else {
            return Err(LoadError::NoModel(Role::Landmarks));
        };
        Ok(Self { network: Graph::parse(model, bytes)?.plan(width, height)?, factor: *factor, width, height })
    }

    /// The part of the picture that the network sees, and its pixels, RGB.
    pub(crate) fn cropped(&self, picture: &Picture, face_box: &FaceBox) -> Result<(Region, Vec<u8>), RunError> {
        let region = enlarged(face_box, self.factor, picture).ok_or(RunError::Box)?;
        Ok((region, warp::resize(picture, region, self.width, self.height)?))
    }

    pub(crate) fn find(&self, picture: &Picture, face_box: &FaceBox) -> Result<Contour, RunError> {
        let (region, crop) = self.cropped(picture, face_box)?;
        let outputs = self.network.run(&crop)?;
        let mut shares = outputs.iter().flatten().copied();
        let mut next = |from: f64, length: f64| (from + f64::from(shares.next().unwrap_or_default()) * length) as f32;
        Ok(Contour(std::array::from_fn(|_| {
            let x = next(region.left, region.width);
            Point { x, y: next(region.top, region.height) }
        })))
    }
}
