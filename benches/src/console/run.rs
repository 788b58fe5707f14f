//! One run: fill, serve, sign in, read every page in turns with the empty one.

use std::{net::SocketAddr, path::Path};

use anyhow::{Context, Result, ensure};
use matcher::data_dir::DataDir;
use matcher_core::console::Role;
use tests::process::Server;

use super::{
    apart,
    fill::{self, PASSWORD, Size},
    pages::{self, Page},
    report::{Line, Report},
    visit::Visitor,
};
use crate::load::center::{Kept, Place};

/// Rounds that are not counted.
pub(super) const WARMING: usize = 2;

/// Reads of a page of a known-answer case for each read of another page.
const TWINS: usize = 4;

/// What is measured.
#[derive(Debug, Clone)]
pub struct Plan {
    /// How much there is.
    pub size: Size,
    /// Reads of each page.
    pub rounds: u32,
    /// `sqlite`, `postgres`, or an address.
    pub store: String,
}

/// Measures in a folder; `said` hears what is under way.
///
/// # Errors
/// When the store refuses something, the center does not come up, or a page cannot be read.
pub async fn measure(plan: &Plan, root: &Path, mut said: impl FnMut(&str)) -> Result<Report> {
    let kept = Kept::of(&plan.store)?;
    let place = Place::new(root, kept.url.clone());
    place.prepare().await?;
    let city = fill::fill(&place, kept.url.as_deref(), plan.size, |what| said(&format!("writing {what}"))).await?;
    let (server, address) = serve(&place, root)?;
    let dir = DataDir::new(place.folder());
    let mut readers = Vec::new();
    for role in Role::ALL {
        let visitor = Visitor::signed_in(address, &dir.console_authority_certificate(), fill::name(*role), PASSWORD).await?;
        readers.push((*role, visitor));
    }
    let (pages, left_out) = pages::all(&city);
    let pages = [vec![pages::empty()], pages].concat();
    let mut times: Vec<Vec<f64>> = vec![Vec::new(); pages.len()];
    for round in 0..plan.rounds as usize + WARMING {
        said(&format!("reading pages, round {round}"));
        for (page, times) in pages.iter().zip(&mut times) {
            let (_, reader) = readers.iter_mut().find(|(role, _)| *role == page.role).context("a reader of each role")?;
            let took = read(reader, page, round).await?;
            if round >= WARMING {
                times.push(took);
            }
        }
    }
    said("telling cases apart");
    let twins = apart::compare(&mut readers, &city, TWINS * plan.rounds as usize).await?;
    server.stop()?;
    let mut lines = pages.iter().zip(times);
    let (page, of_empty) = lines.next().context("the empty page")?;
    let empty = Line::of(&page.name, of_empty, None);
    let mut pages: Vec<Line> = lines.map(|(page, times)| Line::of(&page.name, times, Some(&empty))).collect();
    pages.sort_by(|a, b| b.p95_ms.total_cmp(&a.p95_ms));
    let profile = if cfg!(debug_assertions) { "development" } else { "release" };
    let Size { verifications, flags, cases, .. } = plan.size;
    Ok(Report { engine: kept.engine().to_owned(), size: [verifications, flags, cases], profile, empty, pages, twins, left_out })
}

/// Reads a page once; its milliseconds.
async fn read(reader: &mut Visitor, page: &Page, round: usize) -> Result<f64> {
    let path = page.paths.get(round % page.paths.len().max(1)).context("a page has an address")?;
    let answer = if page.form.is_empty() {
        reader.get(path).await?
    } else {
        let fields: Vec<(&str, &str)> = page.form.iter().map(|(name, value)| (*name, value.as_str())).collect();
        reader.post(path, &fields).await?
    };
    ensure!(matches!(answer.status, 200 | 303), "{} ({path}) answered {}", page.name, answer.status);
    Ok(answer.took.as_secs_f64() * 1e3)
}

fn serve(place: &Place, root: &Path) -> Result<(Server, SocketAddr)> {
    let mut command = place.matcher(&["serve"])?;
    let settings = [
        ("SERVER__LISTEN", "127.0.0.1:0"),
        ("PUBLISHED__LISTEN", "127.0.0.1:0"),
        ("JOINING__LISTEN", "127.0.0.1:0"),
        ("CONSOLE__LISTEN", "127.0.0.1:0"),
        ("CONSOLE__SECOND_FACTOR", "false"),
        ("RECHECK__HERE", "false"),
        ("CASES__HERE", "false"),
        ("LOG__FILTER", "warn"),
    ];
    for (key, value) in settings {
        command.env(format!("COUNTERSIGN_MATCHER__{key}"), value);
    }
    let server = Server::start(&mut command, &root.join("center.log"))?;
    let address = std::fs::read_to_string(DataDir::new(place.folder()).console_address())?;
    Ok((server, address.trim().trim_start_matches("https://").trim_end_matches('/').parse()?))
}
