//! Time of each stage from a photo to a template, one thread, on a picture of 720 × 576 with one face.

use criterion::{Criterion, criterion_group, criterion_main};
use models::{FaceRule, compare, dominant_face, picture::Picture, sample};

const PICTURE: &str = "cl_franck_02888.jpg";

fn stages(criterion: &mut Criterion) {
    if let Err(error) = run(criterion) {
        // Without models or pictures there is nothing to measure; say so instead of failing a test run.
        eprintln!("SKIPPED: {error:#}");
    }
}

fn run(criterion: &mut Criterion) -> anyhow::Result<()> {
    let (pipeline, pack) = (benches::pipeline()?, benches::registry_mini()?);
    let photo = pack.picture(PICTURE).ok_or_else(|| anyhow::anyhow!("{PICTURE} is missing"))?.read()?;
    let picture = Picture::decode(&photo)?;
    let (rule, gate) = (FaceRule::default(), models::quality::reference_gate());
    let faces = pipeline.detect(&picture)?;
    let face = dominant_face(&faces, picture.width() as f32, picture.height() as f32, &rule)?;
    let template = pipeline.template(&picture, &face)?;
    let mut group = criterion.benchmark_group("stages");
    group.sample_size(20);
    group.bench_function("decode", |b| b.iter(|| Picture::decode(&photo)));
    group.bench_function("detect", |b| b.iter(|| pipeline.detect(&picture)));
    group.bench_function("template", |b| b.iter(|| pipeline.template(&picture, &face)));
    group.bench_function("attack_score", |b| b.iter(|| pipeline.attack_score(&picture, &face)));
    group.bench_function("sample", |b| b.iter(|| sample::crop(&picture, &face)));
    group.bench_function("compare", |b| b.iter(|| compare(&template, &template)));
    group.bench_function("enrol", |b| b.iter(|| pipeline.enrol(&photo, &rule, &gate)));
    group.finish();
    Ok(())
}

criterion_group!(benches, stages);
criterion_main!(benches);
