//! Features of one face: five landmarks laid on the manifest's points, then the network.

use std::sync::Arc;

use models_core::{Landmarks, ModelId, RecipeId, Template};

use crate::{
    align::Similarity,
    manifest::{Crop, InputSize, Mirroring, Model, Role},
    network::{Graph, LoadError, Network, RunError},
    picture::Picture,
    side_by_side::side_by_side,
    warp,
};

/// A face in a frame, with its landmarks from the search of the frame and from closer looks (the same where the
/// recipe asks for none).
pub(crate) struct Placed<'a> {
    pub(crate) picture: &'a Picture,
    pub(crate) landmarks: Landmarks,
    pub(crate) closer: Landmarks,
}

/// The feature network with its recipe.
pub(crate) struct Features {
    pub(crate) network: Network,
    pub(crate) model: ModelId,
    pub(crate) recipe: RecipeId,
    pub(crate) dimension: usize,
    /// Frames that one template is fused of at most.
    pub(crate) frames: usize,
    /// From how many looks landmarks come.
    pub(crate) looks: usize,
    plain_recipe: RecipeId,
    mirroring: Mirroring,
    points: Landmarks,
    side: u32,
}

impl Features {
    pub(crate) fn load(model: &Arc<Model>, bytes: &[u8]) -> Result<Self, LoadError> {
        let (InputSize::Fixed { width: side, .. }, Crop::Align { points, .. }, Some(recipe), Some(dimension)) =
            (model.input.size, &model.crop, &model.recipe, model.dimension)
        else {
            return Err(LoadError::NoModel(Role::Features));
        };
        // A recipe's id may be full already; then the end gives way.
        let stem: String = recipe.id.as_str().chars().take(58).collect();
        let plain_recipe = RecipeId::new(&format!("{stem}-plain")).map_err(|_| LoadError::NoModel(Role::Features))?;
        Ok(Self {
            network: Graph::parse(model, bytes)?.plan(side, side)?,
            model: model.id.clone(),
            recipe: recipe.id.clone(),
            dimension,
            frames: recipe.frames,
            looks: recipe.looks,
            plain_recipe,
            mirroring: recipe.mirroring,
            points: *points,
            side,
        })
    }

    /// Side of the aligned face in pixels.
    pub(crate) fn side(&self) -> u32 {
        self.side
    }

    /// The aligned face as the network sees it, RGB.
    pub(crate) fn aligned(&self, picture: &Picture, landmarks: &Landmarks) -> Result<Vec<u8>, RunError> {
        let map = Similarity::between(landmarks, &self.points).ok_or(RunError::Landmarks)?;
        Ok(warp::warp(picture, &map, self.side)?)
    }

    /// The template of 1 to `frames` frames of one face: of each frame the features of the crop by the search's
    /// landmarks, and of the mirrored crop by the closer looks' where the recipe says so, each brought to length 1 so that none outweighs another; their sum, brought to
    /// length 1.
    pub(crate) fn template(&self, frames: &[Placed<'_>]) -> Result<Template, RunError> {
        if frames.is_empty() || frames.len() > self.frames {
            return Err(RunError::Frames { max: self.frames, got: frames.len() });
        }
        let mut sum = vec![0.0; self.dimension];
        for crops in side_by_side(frames, |frame| self.of_frame(frame)) {
            crops?.iter().for_each(|features| add(features, &mut sum));
        }
        self.finish(self.recipe.clone(), &sum)
    }

    /// The features of a frame's crops.
    fn of_frame(&self, Placed { picture, landmarks, closer }: &Placed<'_>) -> Result<Vec<Vec<f32>>, RunError> {
        let mut crops = vec![self.of_crop(&self.aligned(picture, landmarks)?)?];
        match self.mirroring {
            Mirroring::None => {}
            Mirroring::Mean => crops.push(self.of_crop(&warp::mirrored(&self.aligned(picture, closer)?, self.side))?),
        }
        Ok(crops)
    }

    /// The features of one crop as it is, whatever the recipe says.
    pub(crate) fn plain(&self, picture: &Picture, landmarks: &Landmarks) -> Result<Template, RunError> {
        let mut sum = vec![0.0; self.dimension];
        add(&self.of_crop(&self.aligned(picture, landmarks)?)?, &mut sum);
        self.finish(self.plain_recipe.clone(), &sum)
    }

    /// The features of a crop, brought to length 1.
    fn of_crop(&self, crop: &[u8]) -> Result<Vec<f32>, RunError> {
        let outputs = self.network.run(crop)?;
        let features = || outputs.iter().flatten();
        let length = features().map(|feature| feature * feature).sum::<f32>().sqrt().max(f32::MIN_POSITIVE);
        Ok(features().map(|feature| feature / length).collect())
    }

    fn finish(&self, recipe: RecipeId, features: &[f32]) -> Result<Template, RunError> {
        Template::from_features(self.model.clone(), recipe, features)
            .map_err(|source| RunError::Features { model: self.model.to_string(), source })
    }
}

fn add(features: &[f32], sum: &mut [f32]) {
    for (sum, feature) in sum.iter_mut().zip(features) {
        *sum += feature;
    }
}
