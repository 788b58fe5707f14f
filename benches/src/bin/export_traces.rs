//! Writes the exact inputs and outputs of every network on every picture of `registry-mini` to a folder, for
//! a comparison with another engine (`benches/peers/run.py`).
//!
//! The folder then holds features of real faces: keep it outside the source tree and remove it afterwards,
//! as `run.py` does.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context;
use clap::Parser;
use models::{cache, manifest::Manifest, pipeline::Trace};
use serde::Serialize;

#[derive(Parser)]
struct Arguments {
    /// Folder to write to; made if need be.
    folder: PathBuf,
}

#[derive(Serialize)]
struct Index {
    models: Vec<ModelFile>,
    traces: Vec<Entry>,
}

#[derive(Serialize)]
struct ModelFile {
    role: &'static str,
    path: PathBuf,
    input: String,
}

#[derive(Serialize)]
struct Entry {
    picture: String,
    role: &'static str,
    shape: [usize; 4],
    input: String,
    outputs: Vec<(String, String)>,
}

fn main() -> anyhow::Result<()> {
    let folder = Arguments::parse().folder;
    fs::create_dir_all(&folder).with_context(|| format!("could not make {}", folder.display()))?;
    let (pipeline, pack) = (benches::pipeline()?, benches::registry_mini()?);
    let mut traces = Vec::new();
    for picture in &pack.pictures {
        let pixels = benches::decode(picture)?;
        // The best face stands for the picture, whether or not it would count at a counter.
        let face = pipeline.detect(&pixels)?.into_iter().next();
        for trace in pipeline.trace(&pixels, face.as_ref())? {
            traces.push(write(&folder, traces.len(), &picture.id, &trace)?);
        }
    }
    let manifest = Manifest::shipped();
    let models = manifest.models().iter().filter(|model| model.runner).map(|model| ModelFile {
        role: model.role.word(),
        path: model.path(&cache::default_dir()),
        input: model.input.name.clone(),
    });
    let count = traces.len();
    let index = Index { models: models.collect(), traces };
    fs::write(folder.join("index.json"), serde_json::to_vec(&index)?)?;
    benches::print(&format!("{count} runs of networks on {} pictures written\n", pack.pictures.len()))
}

fn write(folder: &Path, number: usize, picture: &str, trace: &Trace) -> anyhow::Result<Entry> {
    let input = format!("{number}.input.f32");
    save(&folder.join(&input), &trace.input)?;
    let mut outputs = Vec::new();
    for (index, (name, values)) in trace.outputs.iter().enumerate() {
        let file = format!("{number}.output{index}.f32");
        save(&folder.join(&file), values)?;
        outputs.push((name.clone(), file));
    }
    Ok(Entry { picture: picture.to_owned(), role: trace.role.word(), shape: trace.shape, input, outputs })
}

fn save(path: &Path, values: &[f32]) -> anyhow::Result<()> {
    let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    fs::write(path, bytes).with_context(|| format!("could not write {}", path.display()))
}
