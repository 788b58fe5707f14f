//! The models whose numbers the center understands.
//!
//! A template of a model that is not listed here is refused; of a listed one that is not the reference's it
//! is an answer (`model_mismatch`), because counters move to a new model one by one.

use models::manifest::{Manifest, Model, Role};
use models_core::{ModelId, RecipeId};
use thiserror::Error;

/// A manifest the center cannot work with.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FeatureModelsError {
    /// There is no feature model, or not all of it is said.
    #[error("manifest: expected a model for features with a dimension and a recipe")]
    NoFeatures,
    /// There is no attack model.
    #[error("manifest: expected a model for presentation attacks")]
    NoAttack,
}

/// A feature model, its recipe and how many numbers it gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeatureModel {
    /// Its id.
    pub model: ModelId,
    /// How pixels become features.
    pub recipe: RecipeId,
    /// Numbers in a template.
    pub dimension: usize,
}

/// The models the center understands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeatureModels {
    current: FeatureModel,
    others: Vec<FeatureModel>,
    attack: Vec<ModelId>,
}

impl FeatureModels {
    /// The models of a manifest and those this release ships with.
    ///
    /// # Errors
    /// When the manifest lacks one.
    pub fn from_manifest(manifest: &Manifest) -> Result<Self, FeatureModelsError> {
        let shipped = Manifest::shipped();
        let current = features(manifest).ok_or(FeatureModelsError::NoFeatures)?;
        let attack: Vec<ModelId> = [manifest, &shipped].into_iter().filter_map(|m| Some(m.model(Role::Attack)?.id.clone())).collect();
        if attack.is_empty() {
            return Err(FeatureModelsError::NoAttack);
        }
        Ok(Self { others: features(&shipped).filter(|model| *model != current).into_iter().collect(), current, attack })
    }

    /// The model that new references are made with.
    #[must_use]
    pub fn current(&self) -> &FeatureModel {
        &self.current
    }

    /// The feature models of a name, one for each recipe.
    pub fn named(&self, id: &str) -> impl Iterator<Item = &FeatureModel> {
        std::iter::once(&self.current).chain(&self.others).filter(move |model| model.model.as_str() == id)
    }

    /// Ids of all feature models, for messages.
    #[must_use]
    pub fn ids(&self) -> String {
        let ids: Vec<&str> = std::iter::once(&self.current).chain(&self.others).map(|model| model.model.as_str()).collect();
        ids.join(" or ")
    }

    /// Whether an attack model is understood.
    #[must_use]
    pub fn knows_attack(&self, id: &str) -> bool {
        self.attack.iter().any(|model| model.as_str() == id)
    }

    /// The attack model of new captures, for messages.
    #[must_use]
    pub fn attack_id(&self) -> &str {
        self.attack.first().map_or("", ModelId::as_str)
    }
}

fn features(manifest: &Manifest) -> Option<FeatureModel> {
    let Model { id, dimension, recipe, .. } = manifest.model(Role::Features)?;
    Some(FeatureModel { model: id.clone(), recipe: recipe.as_ref()?.id.clone(), dimension: (*dimension)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_models_are_understood_and_others_are_not() {
        let models = FeatureModels::from_manifest(&Manifest::shipped()).unwrap();
        let current = models.current().clone();
        assert_eq!(models.named(current.model.as_str()).collect::<Vec<_>>(), [&current]);
        assert_eq!(models.ids(), current.model.as_str());
        assert_eq!(models.named("another@1").count(), 0);
        assert!(models.knows_attack(models.attack_id()) && !models.knows_attack("another@1"));
    }
}
