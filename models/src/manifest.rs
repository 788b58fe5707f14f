//! The manifest: which models there are, and everything a runner must know about each.
//!
//! The shipped `manifest.toml` is compiled in. An operator's own manifest replaces single roles by models of
//! their own. Every field is checked when a manifest is read, and all faults are named at once; whether a
//! file of weights then keeps the manifest's word is checked when it is loaded.

mod check;
mod fields;

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use models_core::{Landmarks, ModelId, RecipeId};
use thiserror::Error;

pub use self::fields::{Channels, Claim, Dim, Mirroring, OutputKind, Role};
use crate::{digest::Digest, package::Package};

/// A manifest that cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// The file cannot be read.
    #[error("could not read the manifest {}", path.display())]
    Read {
        /// Where it was looked for.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It is no TOML, or a field is unknown, missing or of another kind.
    #[error("manifest {origin}: expected TOML with the fields of models/manifest.toml")]
    Parse {
        /// Which manifest.
        origin: String,
        /// Line, column and field.
        #[source]
        source: Box<toml::de::Error>,
    },
    /// Fields contradict each other or are out of range.
    #[error("manifest {origin}: {}", faults.join("; "))]
    Invalid {
        /// Which manifest.
        origin: String,
        /// Each fault: model, field, what was expected, what stands there.
        faults: Vec<String>,
    },
}

/// What a network takes.
#[derive(Debug, Clone, PartialEq)]
pub struct Input {
    /// The graph's name for it.
    pub name: String,
    /// Order of the channels.
    pub channels: Channels,
    /// For each channel: what is taken off a byte.
    pub mean: Vec<f32>,
    /// For each channel: what the rest is divided by.
    pub divisor: Vec<f32>,
    /// Size in pixels.
    pub size: InputSize,
}

/// Size of a network's input, in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InputSize {
    /// Always this one.
    Fixed {
        /// Width.
        width: u32,
        /// Height.
        height: u32,
    },
    /// Any multiple of a number.
    Any {
        /// That number.
        multiple_of: u32,
        /// What the longer side of a picture is scaled to.
        longest_side: u32,
    },
}

/// Which part of the picture a network sees.
#[derive(Debug, Clone, PartialEq)]
pub enum Crop {
    /// The whole, scaled without distortion, the rest black.
    Letterbox,
    /// The whole, scaled to the input's size.
    Stretch,
    /// The face, turned and scaled so that its landmarks lie on these points of the input.
    Align {
        /// Name of the points.
        template: String,
        /// The points, in pixels of the input.
        points: Landmarks,
    },
    /// The face's box, enlarged.
    Box {
        /// How much.
        factor: f32,
        /// A picture that leaves room for less than this tells the network too little; 0 for any.
        factor_min: f32,
    },
    /// Each eye: a square around it.
    Eyes {
        /// Side of the square, in widths of the eye between its corners.
        factor: f32,
    },
}

/// One of a network's outputs.
#[derive(Debug, Clone, PartialEq)]
pub struct Output {
    /// The graph's name for it.
    pub name: String,
    /// What its numbers are.
    pub kind: OutputKind,
    /// Its shape.
    pub shape: Vec<Dim>,
    /// For `live_logits` and `open_logits`: which number stands for live or open.
    pub index: Option<usize>,
    /// For `angle_bins`: what the network says of a face that looks straight into the camera, in degrees.
    pub zero_deg: f32,
}

/// How pixels become features, by name.
#[derive(Debug, Clone, PartialEq)]
pub struct Recipe {
    /// Part of every template.
    pub id: RecipeId,
    /// How many looks at the face place its crops: 1, the search of the picture; or 3, with a closer one and one at
    /// the mirror image, whose mean places the mirrored crop.
    pub looks: usize,
    /// Whether the mirrored crop counts too.
    pub mirroring: Mirroring,
    /// Frames that a probe is fused of at most; a reference is made of one photo by the same recipe.
    pub frames: usize,
}

/// A score and what it was set on.
#[derive(Debug, Clone, PartialEq)]
pub struct Threshold {
    /// What it is for, such as `detect`, `live`, `fmr_1e-3`.
    pub purpose: String,
    /// The score.
    pub score: f32,
    /// False match rate at this score.
    pub fmr: Option<f64>,
    /// False non-match rate at this score.
    pub fnmr: Option<f64>,
    /// Share of attacks taken for bona fide.
    pub apcer: Option<f64>,
    /// Share of bona fide presentations taken for attacks.
    pub bpcer: Option<f64>,
    /// The data.
    pub dataset: String,
    /// How it was measured.
    pub protocol: String,
    /// Mated comparisons.
    pub mated: Option<u64>,
    /// Non-mated comparisons.
    pub non_mated: Option<u64>,
    /// Attack presentations.
    pub attacks: Option<u64>,
    /// Bona fide presentations.
    pub bona_fide: Option<u64>,
    /// People.
    pub subjects: Option<u64>,
}

/// A kind of attack, and what is claimed about detecting it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Species {
    /// What it is, such as `printed photo`.
    pub name: String,
    /// What is claimed.
    pub claim: Claim,
    /// Presentations that were measured.
    pub presentations: u64,
    /// How many of them passed at the `retry` threshold.
    pub passed: u64,
    /// The data.
    pub dataset: Option<String>,
}

/// Where a model's file comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Out of a published package.
    Package {
        /// The package.
        package: Package,
        /// Path inside its archive.
        member: String,
    },
    /// The operator put it there.
    File(PathBuf),
}

/// One model.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    /// What it does.
    pub role: Role,
    /// Its id, part of every template it makes.
    pub id: ModelId,
    /// What people call it.
    pub name: String,
    /// Whether this release runs it.
    pub runner: bool,
    /// Where its file comes from.
    pub source: Source,
    /// Digest of its file.
    pub sha256: Digest,
    /// Size of its file.
    pub bytes: u64,
    /// Licence, as its publisher states it.
    pub licence: String,
    /// Its card, relative to the manifest.
    pub card: Option<String>,
    /// What it takes.
    pub input: Input,
    /// Which part of the picture it sees.
    pub crop: Crop,
    /// What it gives.
    pub outputs: Vec<Output>,
    /// Number of features; only for `features`.
    pub dimension: Option<usize>,
    /// How pixels become features; only for `features`.
    pub recipe: Option<Recipe>,
    /// Scores that mean something.
    pub thresholds: Vec<Threshold>,
    /// Kinds of attack and what is claimed about each; only for `attack`.
    pub species: Vec<Species>,
}

impl Model {
    /// Where its file is: in the cache, named by its last path component, or where the operator put it.
    #[must_use]
    pub fn path(&self, cache_dir: &Path) -> PathBuf {
        match &self.source {
            Source::Package { member, .. } => cache_dir.join(member.rsplit('/').next().unwrap_or(member)),
            Source::File(path) => path.clone(),
        }
    }

    /// The threshold for a purpose.
    #[must_use]
    pub fn threshold(&self, purpose: &str) -> Option<&Threshold> {
        self.thresholds.iter().find(|threshold| threshold.purpose == purpose)
    }
}

/// A picture out of a published package, for the self-test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownPicture {
    /// Its name in reports, and its file's in the cache.
    pub id: String,
    /// Pictures with the same word show the same person.
    pub person: String,
    /// The package.
    pub package: Package,
    /// Path inside its archive.
    pub member: String,
    /// Digest of the file.
    pub sha256: Digest,
    /// Licence or legal state.
    pub licence: String,
}

impl KnownPicture {
    /// Where it is in the cache.
    #[must_use]
    pub fn path(&self, cache_dir: &Path) -> PathBuf {
        cache_dir.join("self-test").join(&self.id)
    }
}

/// One model for each role.
#[derive(Debug, Clone, PartialEq)]
pub struct Manifest {
    models: Vec<Model>,
    pictures: Vec<KnownPicture>,
}

/// The shipped manifest, as text with its comments.
pub const SHIPPED: &str = include_str!("../manifest.toml");

impl Manifest {
    /// The manifest that this release ships with.
    #[must_use]
    pub fn shipped() -> Self {
        // A test parses it, so that this cannot fail in a build that passed its tests.
        #[expect(clippy::expect_used, reason = "compiled in and tested")]
        Self::parse(SHIPPED, "shipped", Path::new("")).expect("the shipped manifest is in order")
    }

    /// The shipped manifest with the operator's own: a model there takes the place of ours in its role.
    ///
    /// # Errors
    /// When the file cannot be read, or what is wrong in it.
    pub fn load(path: &Path) -> Result<Self, ManifestError> {
        let text = fs::read_to_string(path).map_err(|source| ManifestError::Read { path: path.into(), source })?;
        let theirs = Self::parse(&text, &path.display().to_string(), path.parent().unwrap_or(Path::new("")))?;
        let shipped = Self::shipped();
        let pictures = if theirs.pictures.is_empty() { shipped.pictures } else { theirs.pictures };
        let mut models = theirs.models;
        for ours in shipped.models {
            if models.iter().all(|model| model.role != ours.role) {
                models.push(ours);
            }
        }
        models.sort_by_key(|model| model.role);
        Ok(Self { models, pictures })
    }

    /// Reads a manifest's text; `folder` is what paths in it are relative to.
    ///
    /// # Errors
    /// What is wrong in it.
    pub fn parse(text: &str, origin: &str, folder: &Path) -> Result<Self, ManifestError> {
        let origin = origin.to_owned();
        let fields: fields::Manifest =
            toml::from_str(text).map_err(|source| ManifestError::Parse { origin: origin.clone(), source: Box::new(source) })?;
        let (models, pictures) = check::manifest(fields, folder).map_err(|faults| ManifestError::Invalid { origin, faults })?;
        Ok(Self { models, pictures })
    }

    /// All models, in the order of their roles.
    #[must_use]
    pub fn models(&self) -> &[Model] {
        &self.models
    }

    /// The pictures of the self-test.
    #[must_use]
    pub fn pictures(&self) -> &[KnownPicture] {
        &self.pictures
    }

    /// The model in a role.
    #[must_use]
    pub fn model(&self, role: Role) -> Option<&Model> {
        self.models.iter().find(|model| model.role == role)
    }
}

#[cfg(test)]
mod tests;
