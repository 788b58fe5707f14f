//! The manifest as it is written: fields and words, before they are checked against each other.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{digest::Digest, package::Package};

/// What a model does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Finds faces and five landmarks.
    Detector,
    /// Makes features.
    Features,
    /// Tells live faces from pictures of faces.
    Attack,
    /// Finds 68 landmarks.
    Landmarks,
    /// Tells open eyes from closed ones.
    Eyes,
    /// Estimates how the head is turned.
    Pose,
    /// Finds boxes of faces quickly.
    FastBoxes,
}

impl Role {
    /// The word for it in manifests and tables.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Detector => "detector",
            Self::Features => "features",
            Self::Attack => "attack",
            Self::Landmarks => "landmarks",
            Self::Eyes => "eyes",
            Self::Pose => "pose",
            Self::FastBoxes => "fast_boxes",
        }
    }
}

/// Order of a network's channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Channels {
    /// Red, green, blue.
    Rgb,
    /// Blue, green, red.
    Bgr,
    /// One channel.
    Grey,
}

impl Channels {
    /// How many there are.
    #[must_use]
    pub fn count(self) -> usize {
        match self {
            Self::Rgb | Self::Bgr => 3,
            Self::Grey => 1,
        }
    }

    /// The word for it in manifests and recipes.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Rgb => "rgb",
            Self::Bgr => "bgr",
            Self::Grey => "grey",
        }
    }
}

/// Whether features are taken of the mirrored crop too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mirroring {
    /// Of the crop as it is only.
    None,
    /// Of both, and the mean counts.
    Mean,
}

/// What is claimed about a kind of attack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Claim {
    /// Measured on enough presentations for a rate.
    Tested,
    /// Nothing: not measured, or on too few presentations.
    NotClaimed,
}

impl Claim {
    /// The words for it in tables.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Tested => "tested",
            Self::NotClaimed => "not claimed",
        }
    }
}

/// What the numbers of an output are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutputKind {
    /// Probability of a face's centre in each cell.
    HeatMap,
    /// Logarithm of height and width in cells.
    LogSize,
    /// Offset of the centre in cells, y then x.
    Offset,
    /// Landmarks.
    Landmarks,
    /// Features of a face.
    Features,
    /// Before softmax, one number stands for live.
    LiveLogits,
    /// Before softmax, one number stands for open.
    OpenLogits,
    /// Before softmax, bins of an angle.
    AngleBins,
    /// Scores of candidate boxes.
    Scores,
    /// Candidate boxes.
    Boxes,
}

/// One number of a shape.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Dim {
    /// A number.
    Fixed(usize),
    /// `H/4`, `W/8`: the input's height or width over a number.
    Relative(String),
}

impl Dim {
    /// The number, for an input of this size; none when the text is not of the form above.
    #[must_use]
    pub fn at(&self, width: usize, height: usize) -> Option<usize> {
        match self {
            Self::Fixed(number) => Some(*number),
            Self::Relative(text) => {
                let (side, divisor) = text.split_once('/')?;
                let side = match side {
                    "H" => height,
                    "W" => width,
                    _ => return None,
                };
                side.checked_div(divisor.parse().ok()?)
            }
        }
    }
}

impl fmt::Display for Dim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(number) => write!(f, "{number}"),
            Self::Relative(text) => f.write_str(text),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Manifest {
    pub(super) version: u32,
    #[serde(default)]
    pub(super) package: Vec<Package>,
    #[serde(default)]
    pub(super) model: Vec<Model>,
    #[serde(default)]
    pub(super) picture: Vec<KnownPicture>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KnownPicture {
    pub(super) id: String,
    pub(super) person: String,
    pub(super) package: String,
    pub(super) member: String,
    pub(super) sha256: Digest,
    pub(super) licence: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Model {
    pub(super) role: Role,
    pub(super) id: String,
    pub(super) name: String,
    pub(super) runner: bool,
    pub(super) package: Option<String>,
    pub(super) member: Option<String>,
    pub(super) file: Option<String>,
    pub(super) sha256: Digest,
    pub(super) bytes: u64,
    pub(super) licence: String,
    pub(super) card: Option<String>,
    pub(super) input: Input,
    pub(super) crop: Crop,
    pub(super) output: Vec<Output>,
    pub(super) dimension: Option<usize>,
    pub(super) recipe: Option<Recipe>,
    #[serde(default)]
    pub(super) threshold: Vec<Threshold>,
    #[serde(default)]
    pub(super) species: Vec<Species>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Input {
    pub(super) name: String,
    pub(super) channels: Channels,
    pub(super) mean: Vec<f32>,
    pub(super) divisor: Vec<f32>,
    pub(super) width: Option<u32>,
    pub(super) height: Option<u32>,
    pub(super) multiple_of: Option<u32>,
    pub(super) longest_side: Option<u32>,
}

#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Crop {
    Letterbox,
    Stretch,
    Align { template: String, points: [[f32; 2]; 5] },
    Box { factor: f32, factor_min: Option<f32> },
    Eyes { factor: f32 },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Output {
    pub(super) name: String,
    pub(super) kind: OutputKind,
    pub(super) shape: Vec<Dim>,
    pub(super) live_index: Option<usize>,
    pub(super) open_index: Option<usize>,
    pub(super) zero_deg: Option<f32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Recipe {
    pub(super) id: String,
    pub(super) looks: usize,
    pub(super) mirroring: Mirroring,
    pub(super) frames: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Threshold {
    #[serde(rename = "use")]
    pub(super) purpose: String,
    pub(super) score: f32,
    pub(super) fmr: Option<f64>,
    pub(super) fnmr: Option<f64>,
    pub(super) apcer: Option<f64>,
    pub(super) bpcer: Option<f64>,
    pub(super) dataset: String,
    pub(super) protocol: String,
    pub(super) mated: Option<u64>,
    pub(super) non_mated: Option<u64>,
    pub(super) attacks: Option<u64>,
    pub(super) bona_fide: Option<u64>,
    pub(super) subjects: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Species {
    pub(super) name: String,
    pub(super) claim: Claim,
    #[serde(default)]
    pub(super) presentations: u64,
    #[serde(default)]
    pub(super) passed: u64,
    pub(super) dataset: Option<String>,
}
