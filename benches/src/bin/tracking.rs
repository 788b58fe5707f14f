//! Frames a second of the tracking loop on one thread: a face of `registry-mini` moves through frames of
//! 640 × 480; the first is searched whole, the others around the last face; each face's quality is measured, and now and then
//! its attack score.
//!
//! Also says how far the landmarks found that way lie from those of a whole search of the same frame.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use benches::{Motion, median, moving_frame};
use clap::Parser;
use models::{DetectedFace, FaceRule, dominant_face, picture::Picture};
use serde::Serialize;

const SIZE: (u32, u32) = (640, 480);
/// What one core must reach.
const FRAMES_PER_SECOND_MIN: f64 = 15.0;

#[derive(Parser)]
struct Arguments {
    /// Frames of each picture.
    #[arg(long, default_value_t = 45)]
    frames: usize,
    /// Pictures, by id.
    #[arg(long, value_delimiter = ',', default_value = "cl_franck_02888.jpg,sk_astronaut.png")]
    pictures: Vec<String>,
    /// An attack score at every so many frames.
    #[arg(long, default_value_t = 5)]
    attack_every: usize,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report {
    frames: usize,
    lost: usize,
    frames_per_second: f64,
    frames_per_second_whole: f64,
    detect_ms: f64,
    detect_near_ms: f64,
    attack_score_ms: f64,
    quality_ms: f64,
    landmarks_off_median: f64,
    landmarks_off_max: f64,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let (pipeline, pack) = (benches::pipeline()?, benches::registry_mini()?);
    let (mut near, mut whole, mut attack, mut off, mut loops) = (Vec::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut quality = Vec::new();
    let mut lost = 0;
    for id in &arguments.pictures {
        let picture = benches::decode(pack.picture(id).with_context(|| format!("{id} is not in the pack"))?)?;
        let anchor = one_face(&pipeline.detect(&picture)?, &picture)?;
        let mut last: Option<DetectedFace> = None;
        for at in 0..arguments.frames {
            let frame = moving_frame(&picture, &anchor, &Motion::at(at as f32 / 15.0), SIZE)?;
            let begin = Instant::now();
            let (all, whole_took) = timed(|| pipeline.detect(&frame))?;
            let (truth, begin) = (one_face(&all, &frame)?, begin + whole_took);
            let found = match &last {
                Some(face) => {
                    let (found, took) = timed(|| pipeline.detect_near(&frame, face))?;
                    near.push(took);
                    found.into_iter().next()
                }
                None => Some(truth),
            };
            last = found;
            let Some(face) = found else {
                lost += 1;
                continue;
            };
            quality.push(timed(|| pipeline.quality(&frame, &[face], &face))?.1);
            if at.is_multiple_of(arguments.attack_every) {
                attack.push(timed(|| pipeline.attack_score(&frame, &face))?.1);
            }
            loops.push(begin.elapsed());
            whole.push(whole_took);
            off.push(distance(&face, &truth));
        }
    }
    let milliseconds = |times: &[Duration]| median(&times.iter().map(|time| time.as_secs_f64() * 1e3).collect::<Vec<_>>());
    let of_loop = |times: &[Duration]| times.len() as f64 / times.iter().sum::<Duration>().as_secs_f64();
    let with_whole: Vec<Duration> = loops.iter().zip(&whole).map(|(rest, whole)| *rest + *whole).collect();
    let report = Report {
        frames: loops.len(),
        lost,
        frames_per_second: of_loop(&loops),
        frames_per_second_whole: of_loop(&with_whole),
        detect_ms: milliseconds(&whole),
        detect_near_ms: milliseconds(&near),
        attack_score_ms: milliseconds(&attack),
        quality_ms: milliseconds(&quality),
        landmarks_off_median: median(&off),
        landmarks_off_max: off.iter().copied().fold(0.0, f64::max),
    };
    show(&report, arguments.json)?;
    ensure!(report.frames_per_second >= FRAMES_PER_SECOND_MIN, "expected {FRAMES_PER_SECOND_MIN} frames a second");
    Ok(())
}

fn show(report: &Report, json: bool) -> anyhow::Result<()> {
    if json {
        return benches::print(&format!("{}\n", serde_json::to_string_pretty(report)?));
    }
    benches::print(&format!(
        "tracking loop, one thread, 640 × 480, {} frames, {} lost:\n  \
         {:.1} frames a second (at least {FRAMES_PER_SECOND_MIN} wanted); {:.1} if every frame were searched whole as well\n  \
         medians: search around the last face {:.1} ms, whole search {:.1} ms, quality {:.1} ms, attack score {:.1} ms\n  \
         landmarks off those of the whole search by {:.3} (median) and {:.3} (largest) of the distance between the eyes\n",
        report.frames,
        report.lost,
        report.frames_per_second,
        report.frames_per_second_whole,
        report.detect_near_ms,
        report.detect_ms,
        report.quality_ms,
        report.attack_score_ms,
        report.landmarks_off_median,
        report.landmarks_off_max,
    ))
}

fn one_face(faces: &[DetectedFace], picture: &Picture) -> anyhow::Result<DetectedFace> {
    Ok(dominant_face(faces, picture.width() as f32, picture.height() as f32, &FaceRule::default())?)
}

/// Mean distance of the landmarks as a share of the distance between the eyes.
fn distance(a: &DetectedFace, b: &DetectedFace) -> f64 {
    let all = a.landmarks.0.iter().zip(&b.landmarks.0).map(|(a, b)| f64::from((a.x - b.x).hypot(a.y - b.y)));
    all.sum::<f64>() / 5.0 / f64::from(b.landmarks.inter_eye_distance())
}

fn timed<T, E>(run: impl FnOnce() -> Result<T, E>) -> Result<(T, Duration), E> {
    let begin = Instant::now();
    run().map(|result| (result, begin.elapsed()))
}
