//! Features of one face: five landmarks laid on the manifest's points, then the network.

use std::sync::Arc;

use models_core::{Landmarks, ModelId, RecipeId, Template};

use crate::{
    align::Similarity,
    manifest::{Crop, InputSize, Model, Role},
    network::{Graph, LoadError, Network, RunError},
    picture::Picture,
    warp,
};

/// The feature network with its recipe.
pub(crate) struct Features {
    pub(crate) network: Network,
    pub(crate) model: ModelId,
    pub(crate) recipe: RecipeId,
    pub(crate) dimension: usize,
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
        Ok(Self {
            network: Graph::parse(model, bytes)?.plan(side, side)?,
            model: model.id.clone(),
            recipe: recipe.id.clone(),
            dimension,
            points: *points,
            side,
        })
    }

    /// The aligned face as the network sees it, RGB.
    pub(crate) fn aligned(&self, picture: &Picture, landmarks: &Landmarks) -> Result<Vec<u8>, RunError> {
        let map = Similarity::between(landmarks, &self.points).ok_or(RunError::Landmarks)?;
        Ok(warp::warp(picture, &map, self.side)?)
    }

    pub(crate) fn template(&self, picture: &Picture, landmarks: &Landmarks) -> Result<Template, RunError> {
        let outputs = self.network.run(&self.aligned(picture, landmarks)?)?;
        let features: Vec<f32> = outputs.iter().flatten().copied().collect();
        Template::from_features(self.model.clone(), self.recipe.clone(), &features)
            .map_err(|source| RunError::Features { model: self.model.to_string(), source })
    }
}
