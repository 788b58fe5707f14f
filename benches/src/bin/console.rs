//! How fast the review console answers with a city in its store. Exits 1 when a page is beyond a limit.

use std::{net::SocketAddr, path::PathBuf, process::ExitCode};

use anyhow::{Context, Result, ensure};
use benches::{
    console::{
        fill::{self, PASSWORD, Size},
        pages::{self, Page},
        report::{Line, Report},
        visit::Visitor,
    },
    load::center::{Kept, Place},
};
use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};
use matcher::data_dir::DataDir;
use matcher_core::console::Role;
use tests::process::Server;

/// Fill a center with made-up verifications, flags and cases, sign in to its console and read every page.
///
/// Exit codes: 0 all pages are within the limits; 1 one is not, or it could not be run; 2 wrong arguments.
#[derive(Debug, Parser)]
struct Arguments {
    /// Verifications
    #[arg(long, default_value_t = 1_000_000)]
    verifications: usize,
    /// Flags
    #[arg(long, default_value_t = 100_000)]
    flags: usize,
    /// Cases
    #[arg(long, default_value_t = 100_000)]
    cases: usize,
    /// Institutions
    #[arg(long, default_value_t = 400, value_parser = clap::value_parser!(u16).range(1..=9_999))]
    institutions: u16,
    /// Reads of each page, in turns with the empty page
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    rounds: u32,
    /// Where the store is: "sqlite", "postgres" for a server of this run's own, or the address of an empty PostgreSQL database
    #[arg(long, default_value = "sqlite")]
    store: String,
    /// Longest 95th percentile of a page, in milliseconds
    #[arg(long, default_value_t = 150.0)]
    p95_max_ms: f64,
    /// Most that a page's 95th percentile may be of the empty page's
    #[arg(long, default_value_t = 10.0)]
    ratio_max: f64,
    /// Folder of the center; without it a new one that is removed
    #[arg(long)]
    data: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[tokio::main]
async fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    ensure!(arguments.cases * 3 <= arguments.verifications, "verifications: expected three for each case");
    ensure!(arguments.cases >= 200, "cases: expected at least 200");
    let folder = tempfile::tempdir()?;
    let root = arguments.data.clone().unwrap_or_else(|| folder.path().to_owned());
    std::fs::create_dir_all(&root)?;
    let report = measure(&arguments, &root).await?;
    benches::print(&if arguments.json { format!("{}\n", serde_json::to_string_pretty(&report)?) } else { report.text() })?;
    let within = report.within(arguments.p95_max_ms, arguments.ratio_max);
    Ok(if within { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn measure(arguments: &Arguments, root: &std::path::Path) -> Result<Report> {
    let kept = Kept::of(&arguments.store)?;
    let place = Place::new(root, kept.url.clone());
    place.prepare().await?;
    let bar = ProgressBar::new(u64::from(arguments.rounds)).with_style(ProgressStyle::with_template("{msg} {pos}/{len}")?);
    let (verifications, flags, cases) = (arguments.verifications, arguments.flags, arguments.cases);
    let size = Size { verifications, flags, cases, institutions: arguments.institutions.into() };
    let city = fill::fill(&place, kept.url.as_deref(), size, |what| bar.set_message(format!("writing {what}"))).await?;
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
    bar.set_message("reading pages");
    for round in 0..arguments.rounds as usize + 2 {
        for (page, times) in pages.iter().zip(&mut times) {
            let (_, reader) = readers.iter_mut().find(|(role, _)| *role == page.role).context("a reader of each role")?;
            let took = read(reader, page, round).await?;
            // The first two are for warming up.
            if round >= 2 {
                times.push(took);
            }
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    server.stop()?;
    let mut lines = pages.iter().zip(times);
    let (page, of_empty) = lines.next().context("the empty page")?;
    let empty = Line::of(&page.name, of_empty, None);
    let mut pages: Vec<Line> = lines.map(|(page, times)| Line::of(&page.name, times, Some(&empty))).collect();
    pages.sort_by(|a, b| b.p95_ms.total_cmp(&a.p95_ms));
    let profile = if cfg!(debug_assertions) { "development" } else { "release" };
    Ok(Report { engine: kept.engine().to_owned(), size: [verifications, flags, cases], profile, empty, pages, left_out })
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

fn serve(place: &Place, root: &std::path::Path) -> Result<(Server, SocketAddr)> {
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
