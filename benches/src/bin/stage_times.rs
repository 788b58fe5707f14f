//! Our side of the comparison of speed (`benches/peers/run.py`): writes frames and inputs of networks to a
//! folder, says `ready`, and then answers each line `STAGE PICTURE` with the milliseconds that the stage took.
//!
//! The folder then holds faces and features: keep it outside the source tree and remove it afterwards.

use std::{
    fs,
    hint::black_box,
    io::{self, BufRead},
    path::{Path, PathBuf},
    time::Instant,
};

use anyhow::Context;
use clap::Parser;
use models::{
    DetectedFace, cache,
    manifest::Manifest,
    picture::Picture,
    pipeline::{Pipeline, Trace},
};
use serde::Serialize;

#[derive(Parser)]
struct Arguments {
    /// Folder to write to; made if need be.
    folder: PathBuf,
    /// Pictures of `registry-mini`, by id.
    #[arg(default_values = ["cl_franck_02888.jpg", "sk_astronaut.png", "fr_obama.jpg"])]
    pictures: Vec<String>,
}

#[derive(Serialize)]
struct Index {
    models: Vec<ModelFile>,
    pictures: Vec<Entry>,
}

#[derive(Serialize)]
struct ModelFile {
    role: &'static str,
    path: PathBuf,
    input: String,
    outputs: Vec<String>,
}

#[derive(Serialize)]
struct Entry {
    frame: String,
    width: u32,
    height: u32,
    traces: Vec<Input>,
    features: String,
    live: f32,
}

#[derive(Serialize)]
struct Input {
    role: &'static str,
    shape: [usize; 4],
    input: String,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    fs::create_dir_all(&arguments.folder).with_context(|| format!("could not make {}", arguments.folder.display()))?;
    let (pipeline, pack) = (benches::pipeline()?, benches::registry_mini()?);
    let (mut pictures, mut entries) = (Vec::new(), Vec::new());
    for (number, id) in arguments.pictures.iter().enumerate() {
        let picture = benches::decode(pack.picture(id).with_context(|| format!("{id} is not in the pack"))?)?;
        let face = best(&pipeline, &picture)?;
        let traces = pipeline.trace(&picture, Some(&face))?;
        entries.push(write(&arguments.folder, number, &pipeline, &picture, &face, &traces)?);
        pictures.push((picture, traces));
    }
    let manifest = Manifest::shipped();
    let models = manifest.models().iter().filter(|model| ["detector", "features", "attack"].contains(&model.role.word()));
    let models = models.map(|model| ModelFile {
        role: model.role.word(),
        path: model.path(&cache::default_dir()),
        input: model.input.name.clone(),
        outputs: model.outputs.iter().map(|output| output.name.clone()).collect(),
    });
    let index = Index { models: models.collect(), pictures: entries };
    fs::write(arguments.folder.join("index.json"), serde_json::to_vec(&index)?)?;
    benches::print("ready\n")?;
    for line in io::stdin().lock().lines() {
        let line = line?;
        let (stage, number) = line.split_once(' ').context("expected STAGE PICTURE")?;
        let (picture, traces) = pictures.get(number.parse::<usize>()?).context("no such picture")?;
        benches::print(&format!("{}\n", time(&pipeline, stage, picture, traces)?))?;
    }
    Ok(())
}

/// Milliseconds for one run of a network, of the chain that every engine runs alike (from a decoded frame to the
/// features of one crop and the attack score), or of all that the recipe asks for besides: `recipe`.
fn time(pipeline: &Pipeline, stage: &str, picture: &Picture, traces: &[Trace]) -> anyhow::Result<f64> {
    let begin = Instant::now();
    if stage == "chain" {
        let face = best(pipeline, picture)?;
        black_box((pipeline.plain_template(picture, &face)?, pipeline.attack_score(picture, &face)?));
    } else if stage == "recipe" {
        let face = best(pipeline, picture)?;
        black_box((pipeline.template(picture, &face)?, pipeline.attack_score(picture, &face)?));
    } else {
        let trace = traces.iter().find(|trace| trace.role.word() == stage).with_context(|| format!("no stage {stage}"))?;
        black_box(pipeline.replay(trace)?);
    }
    Ok(begin.elapsed().as_secs_f64() * 1e3)
}

fn best(pipeline: &Pipeline, picture: &Picture) -> anyhow::Result<DetectedFace> {
    pipeline.detect(picture)?.into_iter().next().context("no face found")
}

fn write(
    folder: &Path,
    number: usize,
    pipeline: &Pipeline,
    picture: &Picture,
    face: &DetectedFace,
    traces: &[Trace],
) -> anyhow::Result<Entry> {
    let (frame, features) = (format!("{number}.frame.rgb"), format!("{number}.template.f32"));
    fs::write(folder.join(&frame), picture.pixels())?;
    save(&folder.join(&features), &pipeline.plain_template(picture, face)?.to_f32())?;
    let mut inputs = Vec::new();
    for trace in traces {
        let role = trace.role.word();
        let input = format!("{number}.{role}.f32");
        save(&folder.join(&input), &trace.input)?;
        inputs.push(Input { role, shape: trace.shape, input });
    }
    let live = pipeline.attack_score(picture, face)?.context("the face fills the picture too much for an attack score")?.live;
    Ok(Entry { frame, width: picture.width(), height: picture.height(), traces: inputs, features, live })
}

fn save(path: &Path, values: &[f32]) -> anyhow::Result<()> {
    let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    fs::write(path, bytes).with_context(|| format!("could not write {}", path.display()))
}
