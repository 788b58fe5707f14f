//! Real features enlarged: as many templates as wanted, each a real one changed as pictures of one person change.
//!
//! The cosine of a template and its changed form is drawn from those of real pairs of one person, and the direction of the
//! change is a mixture of real changes, so that noise has the shape it has between pictures and is not alike in all
//! directions. Features stay in memory; nothing of them is written.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};
use datasets::Identity;
use models::{FaceRule, Gate, pipeline::Pipeline};

use rayon::prelude::*;

/// Real changes that one change is mixed of.
const MIXED: usize = 8;

/// Real templates, and how pictures of one person differ.
pub struct Real {
    /// Numbers of each template.
    pub dimension: usize,
    templates: Vec<Vec<f32>>,
    /// Cosines of pairs of one person, rising.
    cosines: Vec<f32>,
    /// What is across in those pairs, of length 1.
    changes: Vec<Vec<f32>>,
}

impl std::fmt::Debug for Real {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Real([{} templates, {} pairs])", self.templates.len(), self.cosines.len())
    }
}

impl Real {
    /// Templates of `registry-mini`, and of at most `limit` pictures under other folders, where a picture's folder names who
    /// it shows. A picture that gives no template is left out.
    ///
    /// # Errors
    /// When a picture cannot be read, a network fails, or there is no pair of one person.
    pub fn extract(folders: &[PathBuf], limit: usize) -> Result<Self> {
        let pipeline = crate::pipeline()?;
        let mut pictures: Vec<(String, PathBuf)> = Vec::new();
        for picture in crate::registry_mini()?.pictures {
            if let Identity::Person(name) = picture.identity {
                pictures.push((name, picture.path));
            }
        }
        let mut others = Vec::new();
        folders.iter().try_for_each(|folder| list(folder, &mut others))?;
        pictures.extend(others.into_iter().take(limit));
        let template = |(name, path): (String, PathBuf)| Ok(of(&pipeline, &path)?.map(|features| (name, features)));
        let found: Vec<Option<(String, Vec<f32>)>> = pictures.into_par_iter().map(template).collect::<Result<_>>()?;
        Self::of_named(found.into_iter().flatten().collect(), pipeline.dimension())
    }

    fn of_named(named: Vec<(String, Vec<f32>)>, dimension: usize) -> Result<Self> {
        let mut people: BTreeMap<&str, Vec<&[f32]>> = BTreeMap::new();
        named.iter().for_each(|(name, features)| people.entry(name).or_default().push(features));
        let (mut cosines, mut changes) = (Vec::new(), Vec::new());
        for pictures in people.values() {
            for (at, a) in pictures.iter().enumerate() {
                for b in pictures.iter().skip(at + 1).take(4) {
                    let cosine = dot(a, b);
                    cosines.push(cosine);
                    changes.push(unit(a.iter().zip(*b).map(|(a, b)| b - cosine * a).collect()));
                }
            }
        }
        ensure!(cosines.len() >= 4, "expected pairs of one person among the pictures, found {}", cosines.len());
        cosines.sort_by(f32::total_cmp);
        Ok(Self { dimension, templates: named.into_iter().map(|(_, features)| features).collect(), cosines, changes })
    }

    /// How many templates and pairs there are.
    #[must_use]
    pub fn counts(&self) -> (usize, usize) {
        (self.templates.len(), self.cosines.len())
    }

    /// The cosine that a share of the pairs of one person stays below.
    #[must_use]
    pub fn quantile(&self, share: f64) -> f32 {
        let at = (share * (self.cosines.len() - 1) as f64).round() as usize;
        self.cosines.get(at).copied().unwrap_or_default()
    }

    /// The template of a number, the same each time: another real one changed.
    #[must_use]
    pub fn template(&self, number: u64) -> Vec<f32> {
        let mut random = fastrand::Rng::with_seed(number.wrapping_mul(2));
        let at = random.usize(..self.templates.len());
        self.templates.get(at).map(|real| self.changed(real, &mut random)).unwrap_or_default()
    }

    /// Another picture of the person of a template.
    #[must_use]
    pub fn changed(&self, template: &[f32], random: &mut fastrand::Rng) -> Vec<f32> {
        let cosine = self.cosines.get(random.usize(..self.cosines.len())).copied().unwrap_or(1.0);
        let mut noise = vec![0.0; template.len()];
        for _ in 0..MIXED {
            let Some(change) = self.changes.get(random.usize(..self.changes.len())) else { continue };
            let weight = (0..12).map(|_| random.f32()).sum::<f32>() - 6.0;
            noise.iter_mut().zip(change).for_each(|(to, from)| *to += weight * from);
        }
        let along = dot(&noise, template);
        noise.iter_mut().zip(template).for_each(|(noise, template)| *noise -= along * template);
        let across = (1.0 - cosine * cosine).max(0.0).sqrt();
        unit(template.iter().zip(unit(noise)).map(|(template, noise)| cosine * template + across * noise).collect())
    }
}

fn list(folder: &Path, pictures: &mut Vec<(String, PathBuf)>) -> Result<()> {
    let entries = fs::read_dir(folder).with_context(|| format!("could not read {}", folder.display()))?;
    let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    paths.sort();
    for path in paths {
        if path.is_dir() {
            list(&path, pictures)?;
        } else if path.extension().is_some_and(|ending| ["jpg", "jpeg", "png"].iter().any(|known| ending.eq_ignore_ascii_case(known))) {
            pictures.push((folder.display().to_string(), path));
        }
    }
    Ok(())
}

fn of(pipeline: &Pipeline, path: &Path) -> Result<Option<Vec<f32>>> {
    let photo = fs::read(path).with_context(|| format!("could not read {}", path.display()))?;
    Ok(pipeline.enrol(&photo, &FaceRule::default(), &Gate::default())?.ok().map(|enrolled| enrolled.template.to_f32()))
}

/// Sum of products.
#[must_use]
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn unit(mut row: Vec<f32>) -> Vec<f32> {
    let length = dot(&row, &row).sqrt().max(f32::MIN_POSITIVE);
    row.iter_mut().for_each(|x| *x /= length);
    row
}
