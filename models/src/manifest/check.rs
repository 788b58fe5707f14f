//! From the fields as written to models whose fields fit each other, or the list of all faults.

use std::{collections::HashSet, hash::Hash, path::Path};

use models_core::{Landmarks, ModelId, Point, RecipeId};

use super::{
    Channels, Claim, Crop, Input, InputSize, KnownPicture, Mirroring, Model, Output, OutputKind, Recipe, Role, Source, Species, Threshold,
    fields,
};
use crate::package::Package;

/// Networks take sides up to this many pixels; a larger number is a slip of the pen.
const SIDE_MAX: u32 = 4096;
/// More frames than a counter could wait for.
const FRAMES_MAX: usize = 8;

pub(super) fn manifest(fields: fields::Manifest, folder: &Path) -> Result<(Vec<Model>, Vec<KnownPicture>), Vec<String>> {
    let mut faults = Vec::new();
    if fields.version != 1 {
        faults.push(format!("version: expected 1, got {}", fields.version));
    }
    faults.extend(fields.package.iter().flat_map(Package::faults));
    faults.extend(repeated(fields.package.iter().map(|package| &package.id)).map(|id| format!("package {id}: id: expected each id once")));
    faults.extend(repeated(fields.model.iter().map(|model| &model.id)).map(|id| format!("model {id}: id: expected each id once")));
    faults.extend(
        repeated(fields.model.iter().map(|model| model.role)).map(|role| format!("model: role: expected one model for {}", role.word())),
    );
    let mut models = Vec::new();
    for model in fields.model {
        let mut faulty = Faults { model: model.id.clone(), list: &mut faults };
        models.extend(check_model(model, &fields.package, folder, &mut faulty));
    }
    models.sort_by_key(|model| model.role);
    let pictures = check_pictures(fields.picture, &fields.package, &mut faults);
    if faults.is_empty() { Ok((models, pictures)) } else { Err(faults) }
}

fn check_pictures(pictures: Vec<fields::KnownPicture>, packages: &[Package], faults: &mut Vec<String>) -> Vec<KnownPicture> {
    let mut checked = Vec::new();
    for picture in pictures {
        let fields::KnownPicture { id, person, package, member, sha256, licence } = picture;
        let plain = !id.is_empty() && id.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-')) && !id.starts_with('.');
        match packages.iter().find(|known| known.id == package) {
            Some(package) if plain => checked.push(KnownPicture { id, person, package: package.clone(), member, sha256, licence }),
            Some(_) => faults.push(format!("picture {id:?}: id: expected a file's name")),
            None => faults.push(format!("picture {id}: package: expected the id of a [[package]] of this manifest, got {package:?}")),
        }
    }
    checked
}

fn repeated<T: Copy + Eq + Hash>(values: impl Iterator<Item = T>) -> impl Iterator<Item = T> {
    let mut seen = HashSet::new();
    values.filter(move |value| !seen.insert(*value))
}

/// Collects what is wrong with one model.
struct Faults<'a> {
    model: String,
    list: &'a mut Vec<String>,
}

impl Faults<'_> {
    fn expect(&mut self, fits: bool, field: &str, expected: &str) {
        if !fits {
            self.list.push(format!("model {}: {field}: expected {expected}", self.model));
        }
    }
}

fn check_model(model: fields::Model, packages: &[Package], folder: &Path, faults: &mut Faults<'_>) -> Option<Model> {
    let id = ModelId::new(&model.id);
    faults.expect(id.is_ok(), "id", "1 to 64 of a–z 0–9 . _ - @");
    faults.expect(model.bytes > 0, "bytes", "the size of the file");
    faults.expect(!model.name.is_empty(), "name", "what people call it");
    faults.expect(!model.licence.is_empty(), "licence", "the licence, as its publisher states it");
    let source = check_source(&model, packages, folder, faults);
    let recipe = check_recipe(&model, faults);
    let size = check_input(&model.input, faults);
    check_crop(&model.crop, size, faults);
    check_outputs(&model, faults);
    check_role(&model, size, faults);
    model.threshold.iter().for_each(|threshold| check_threshold(threshold, faults));
    check_species(&model, faults);
    let fields::Input { name, channels, mean, divisor, .. } = model.input;
    Some(Model {
        role: model.role,
        id: id.ok()?,
        name: model.name,
        runner: model.runner,
        source: source?,
        sha256: model.sha256,
        bytes: model.bytes,
        licence: model.licence,
        card: model.card,
        input: Input { name, channels, mean, divisor, size: size? },
        crop: crop(model.crop),
        outputs: model.output.into_iter().map(output).collect(),
        dimension: model.dimension,
        recipe,
        thresholds: model.threshold.into_iter().map(threshold).collect(),
        species: model.species.into_iter().map(species).collect(),
    })
}

fn check_source(model: &fields::Model, packages: &[Package], folder: &Path, faults: &mut Faults<'_>) -> Option<Source> {
    match (&model.package, &model.member, &model.file) {
        (Some(id), Some(member), None) => {
            let package = packages.iter().find(|package| package.id == *id).cloned();
            faults.expect(package.is_some(), "package", &format!("the id of a [[package]] of this manifest, got {id:?}"));
            let plain = !member.is_empty() && !member.ends_with('/') && !member.split('/').any(|part| matches!(part, "" | "." | ".."));
            faults.expect(plain, "member", &format!("a path inside the archive, got {member:?}"));
            Some(Source::Package { package: package?, member: member.clone() })
        }
        (None, None, Some(file)) => {
            faults.expect(!file.is_empty(), "file", "a path");
            Some(Source::File(folder.join(file)))
        }
        _ => {
            faults.expect(false, "package, member, file", "either package and member, or file");
            None
        }
    }
}

fn check_recipe(model: &fields::Model, faults: &mut Faults<'_>) -> Option<Recipe> {
    let recipe = model.recipe.as_ref()?;
    let id = RecipeId::new(&recipe.id);
    faults.expect(id.is_ok(), "recipe.id", "1 to 64 of a–z 0–9 . _ - @");
    faults.expect((1..=FRAMES_MAX).contains(&recipe.frames), "recipe.frames", &format!("1 to {FRAMES_MAX}"));
    faults.expect(matches!(recipe.looks, 1 | 3), "recipe.looks", "1 or 3");
    if let fields::Crop::Align { template, .. } = &model.crop {
        let looks = if recipe.looks == 3 { "x3" } else { "" };
        let flip = match recipe.mirroring {
            Mirroring::None => "",
            Mirroring::Mean => "-flip",
        };
        let stem = format!("{template}{looks}-{}{flip}-f{}@", model.input.channels.word(), recipe.frames);
        faults.expect(
            recipe.id.starts_with(&stem),
            "recipe.id",
            &format!("{stem}… as alignment, looks, channels, mirroring and frames say"),
        );
    }
    Some(Recipe { id: id.ok()?, looks: recipe.looks, mirroring: recipe.mirroring, frames: recipe.frames })
}

fn check_input(input: &fields::Input, faults: &mut Faults<'_>) -> Option<InputSize> {
    let channels = input.channels.count();
    let all = |numbers: &[f32], fits: fn(f32) -> bool| numbers.len() == channels && numbers.iter().all(|x| x.is_finite() && fits(*x));
    faults.expect(!input.name.is_empty(), "input.name", "the graph's name for it");
    faults.expect(all(&input.mean, |_| true), "input.mean", &format!("{channels} finite numbers, one for each channel"));
    faults.expect(all(&input.divisor, |x| x > 0.0), "input.divisor", &format!("{channels} numbers above 0, one for each channel"));
    let side = |side: u32| (1..=SIDE_MAX).contains(&side);
    match (input.width, input.height, input.multiple_of, input.longest_side) {
        (Some(width), Some(height), None, None) => {
            faults.expect(side(width) && side(height), "input.width, input.height", &format!("1 to {SIDE_MAX} pixels"));
            Some(InputSize::Fixed { width, height })
        }
        (None, None, Some(multiple_of), Some(longest_side)) => {
            let fits = side(multiple_of) && side(longest_side) && longest_side % multiple_of == 0;
            faults.expect(fits, "input.longest_side", &format!("a multiple of input.multiple_of, up to {SIDE_MAX} pixels"));
            fits.then_some(InputSize::Any { multiple_of, longest_side })
        }
        _ => {
            faults.expect(false, "input", "either width and height, or multiple_of and longest_side");
            None
        }
    }
}

fn check_crop(crop: &fields::Crop, size: Option<InputSize>, faults: &mut Faults<'_>) {
    match crop {
        fields::Crop::Align { template, points } => {
            faults.expect(!template.is_empty(), "crop.template", "a name");
            if let Some(InputSize::Fixed { width, height }) = size {
                let inside = |[x, y]: &[f32; 2]| (0.0..width as f32).contains(x) && (0.0..height as f32).contains(y);
                faults.expect(points.iter().all(inside), "crop.points", "five points inside the input");
            }
        }
        fields::Crop::Box { factor, factor_min } => {
            faults.expect((0.1..=10.0).contains(factor), "crop.factor", "0.1 to 10");
            faults.expect(factor_min.is_none_or(|least| (0.0..=*factor).contains(&least)), "crop.factor_min", "0 to crop.factor");
        }
        fields::Crop::Eyes { factor } => faults.expect((0.5..=5.0).contains(factor), "crop.factor", "0.5 to 5"),
        fields::Crop::Letterbox | fields::Crop::Stretch => {}
    }
}

fn check_outputs(model: &fields::Model, faults: &mut Faults<'_>) {
    faults.expect(!model.output.is_empty(), "output", "at least one output");
    faults.expect(repeated(model.output.iter().map(|output| &output.name)).next().is_none(), "output.name", "each name once");
    for output in &model.output {
        let field = format!("output {}: shape", output.name);
        let shape = !output.shape.is_empty() && output.shape.iter().all(|dim| dim.at(960, 960).is_some_and(|number| number > 0));
        faults.expect(shape, &field, "numbers above 0, or H or W over a number, such as \"H/4\"");
        let numbers = output.shape.last().and_then(|dim| dim.at(960, 960)).unwrap_or(0);
        let one_of = |index: Option<usize>| index.is_some_and(|index| index < numbers);
        let live = if output.kind == OutputKind::LiveLogits { one_of(output.live_index) } else { output.live_index.is_none() };
        faults.expect(live, &format!("output {}: live_index", output.name), "for live_logits only: which number stands for live");
        let open = if output.kind == OutputKind::OpenLogits { one_of(output.open_index) } else { output.open_index.is_none() };
        faults.expect(open, &format!("output {}: open_index", output.name), "for open_logits only: which number stands for open");
        let zero = output.zero_deg.is_none_or(|zero| output.kind == OutputKind::AngleBins && (-45.0..=45.0).contains(&zero));
        faults.expect(zero, &format!("output {}: zero_deg", output.name), "for angle_bins only: −45 to 45");
    }
}

/// What a runner takes for granted about the model in its role.
fn check_role(model: &fields::Model, size: Option<InputSize>, faults: &mut Faults<'_>) {
    let kinds: Vec<OutputKind> = model.output.iter().map(|output| output.kind).collect();
    let square = matches!(size, Some(InputSize::Fixed { width, height }) if width == height);
    let has_threshold = |purpose: &str| model.threshold.iter().any(|threshold| threshold.purpose == purpose);
    if model.role == Role::Features {
        let aligned = matches!(model.crop, fields::Crop::Align { .. });
        faults.expect(aligned && (square || size.is_none()), "crop", "align, and a square input, for features");
        faults.expect(kinds == [OutputKind::Features], "output.kind", "one output, features");
        let last = model.output.first().and_then(|output| output.shape.last()).and_then(|dim| dim.at(1, 1));
        faults.expect(model.dimension.is_some() && model.dimension == last, "dimension", "the last number of the output's shape");
        faults.expect(model.recipe.is_some(), "recipe", "id, looks, mirroring and frames");
        faults.expect(
            model.threshold.iter().all(|threshold| threshold.fmr.is_some()),
            "threshold.fmr",
            "the false match rate of each score",
        );
    } else {
        faults.expect(model.dimension.is_none(), "dimension", "none but for features");
        faults.expect(model.recipe.is_none(), "recipe", "none but for features");
    }
    if model.role == Role::Detector && model.runner {
        let any = matches!((&model.crop, size), (fields::Crop::Letterbox, Some(InputSize::Any { .. }) | None));
        faults.expect(any, "crop", "letterbox, and an input of any size, for the detector");
        let expected = [OutputKind::HeatMap, OutputKind::LogSize, OutputKind::Offset, OutputKind::Landmarks];
        faults.expect(expected.iter().all(|kind| kinds.contains(kind)), "output.kind", "heat_map, log_size, offset and landmarks");
        faults.expect(has_threshold("detect"), "threshold", "one with use = \"detect\"");
    }
    if model.role == Role::Attack && model.runner {
        let boxed = matches!(model.crop, fields::Crop::Box { .. }) && matches!(size, Some(InputSize::Fixed { .. }) | None);
        faults.expect(boxed, "crop", "box, and an input of one size, for the attack detector");
        faults.expect(kinds == [OutputKind::LiveLogits], "output.kind", "one output, live_logits");
        let rates = model.threshold.iter().all(|threshold| threshold.apcer.is_some() && threshold.bpcer.is_some());
        faults.expect(rates, "threshold.apcer, threshold.bpcer", "both error rates of each score");
    }
    if model.runner {
        check_quality_role(model, size, faults);
        faults.expect(model.role != Role::FastBoxes, "runner", "false: this release does not run fast boxes");
        let colour = model.input.channels != Channels::Grey;
        faults.expect(colour || model.role > Role::Attack, "input.channels", "rgb or bgr for detector, features and attack");
    }
}

/// What the runners of landmarks, eyes and pose take for granted.
fn check_quality_role(model: &fields::Model, size: Option<InputSize>, faults: &mut Faults<'_>) {
    let kinds: Vec<OutputKind> = model.output.iter().map(|output| output.kind).collect();
    let fixed = matches!(size, Some(InputSize::Fixed { .. }) | None);
    let boxed = matches!(model.crop, fields::Crop::Box { .. });
    if model.role == Role::Landmarks {
        faults.expect(boxed && fixed, "crop", "box, and an input of one size, for landmarks");
        let points = model.output.first().and_then(|output| output.shape.last()).and_then(|dim| dim.at(1, 1));
        faults.expect(kinds == [OutputKind::Landmarks] && points == Some(136), "output", "one output, landmarks, of 136 numbers");
    } else if model.role == Role::Eyes {
        faults.expect(matches!(model.crop, fields::Crop::Eyes { .. }) && fixed, "crop", "eyes, and an input of one size, for eyes");
        faults.expect(kinds == [OutputKind::OpenLogits], "output.kind", "one output, open_logits");
    } else if model.role == Role::Pose {
        faults.expect(boxed && fixed, "crop", "box, and an input of one size, for pose");
        faults.expect(kinds == [OutputKind::AngleBins; 3], "output.kind", "three outputs, angle_bins, for yaw, pitch and roll");
    }
}

fn check_species(model: &fields::Model, faults: &mut Faults<'_>) {
    faults.expect(model.species.is_empty() || model.role == Role::Attack, "species", "none but for attack");
    for species in &model.species {
        let field = |name: &str| format!("species {}: {name}", species.name);
        faults.expect(!species.name.is_empty(), "species.name", "a kind of attack");
        faults.expect(species.passed <= species.presentations, &field("passed"), "at most presentations");
        let measured = species.presentations > 0 && species.dataset.is_some();
        faults.expect(species.claim == Claim::NotClaimed || measured, &field("claim"), "not_claimed without presentations and dataset");
    }
}

fn check_threshold(threshold: &fields::Threshold, faults: &mut Faults<'_>) {
    let purpose = &threshold.purpose;
    let field = |name: &str| format!("threshold {purpose}: {name}");
    faults.expect(!purpose.is_empty(), "threshold.use", "what it is for");
    faults.expect((-1.0..=1.0).contains(&threshold.score), &field("score"), "a number from −1 to 1");
    faults.expect(!threshold.dataset.is_empty(), &field("dataset"), "the data it was set on");
    faults.expect(!threshold.protocol.is_empty(), &field("protocol"), "how it was measured");
    for (name, rate) in [("fmr", threshold.fmr), ("fnmr", threshold.fnmr), ("apcer", threshold.apcer), ("bpcer", threshold.bpcer)] {
        faults.expect(rate.is_none_or(|rate| (0.0..=1.0).contains(&rate)), &field(name), "a share from 0 to 1");
    }
}

fn crop(crop: fields::Crop) -> Crop {
    match crop {
        fields::Crop::Letterbox => Crop::Letterbox,
        fields::Crop::Stretch => Crop::Stretch,
        fields::Crop::Eyes { factor } => Crop::Eyes { factor },
        fields::Crop::Box { factor, factor_min } => Crop::Box { factor, factor_min: factor_min.unwrap_or_default() },
        fields::Crop::Align { template, points } => Crop::Align { template, points: Landmarks(points.map(|[x, y]| Point { x, y })) },
    }
}

fn output(output: fields::Output) -> Output {
    let fields::Output { name, kind, shape, live_index, open_index, zero_deg } = output;
    Output { name, kind, shape, index: live_index.or(open_index), zero_deg: zero_deg.unwrap_or_default() }
}

fn species(species: fields::Species) -> Species {
    let fields::Species { name, claim, presentations, passed, dataset } = species;
    Species { name, claim, presentations, passed, dataset }
}

fn threshold(threshold: fields::Threshold) -> Threshold {
    let fields::Threshold { purpose, score, fmr, fnmr, apcer, bpcer, dataset, protocol, mated, non_mated, attacks, bona_fide, subjects } =
        threshold;
    Threshold { purpose, score, fmr, fnmr, apcer, bpcer, dataset, protocol, mated, non_mated, attacks, bona_fide, subjects }
}
