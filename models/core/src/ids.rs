//! Names of models and recipes, as the manifest gives them.

use std::{fmt, str::FromStr, sync::Arc};

use thiserror::Error;

/// A name breaks the rule for names of models and recipes.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0}: expected 1 to 64 of a–z 0–9 . _ - @")]
pub struct IdError(&'static str);

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $field:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Takes a name of 1 to 64 of `a–z 0–9 . _ - @`.
            ///
            /// # Errors
            /// When the name breaks that rule.
            pub fn new(name: &str) -> Result<Self, IdError> {
                let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '_' | '-' | '@');
                if name.is_empty() || name.len() > 64 || !name.chars().all(allowed) {
                    return Err(IdError($field));
                }
                Ok(Self(name.into()))
            }

            /// The name.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(name: &str) -> Result<Self, IdError> {
                Self::new(name)
            }
        }
    };
}

id! {
    /// Names one network at one version. Numbers of two models are not comparable.
    ModelId, "model_id"
}
id! {
    /// Names how pixels became features: alignment, preprocessing, mirroring, number of frames. Features of
    /// two recipes of one model are not comparable.
    RecipeId, "recipe_id"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_short_lower_case_names() {
        assert_eq!(ModelId::new("mfn-512@1").unwrap().as_str(), "mfn-512@1");
        for bad in ["", "Upper", "sp ace", "ü", &"x".repeat(65)] {
            assert!(RecipeId::new(bad).is_err(), "{bad:?}");
        }
    }
}
