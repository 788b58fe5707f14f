//! 2,000 transactions over two lines that come and go for 30 minutes: none lost, none doubled, every provisional receipt
//! resolved. Exits with 1 when that does not hold.

use std::{process::ExitCode, time::Duration};

use benches::flapping::{Flapping, flap};
use clap::Parser;

/// A counter over lines that come and go
#[derive(Debug, Parser)]
struct Arguments {
    /// Transactions
    #[arg(long, default_value_t = 2_000)]
    transactions: u32,
    /// How long it lasts, in seconds
    #[arg(long, default_value_t = 1_800)]
    seconds: u64,
    /// Which faults come when
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let Arguments { transactions, seconds, seed } = Arguments::parse();
    let folder = tempfile::tempdir()?;
    let outcome = flap(Flapping { transactions, lasts: Duration::from_secs(seconds), seed }, folder.path()).await?;
    benches::print(&format!("flapping: {outcome:#?}\n"))?;
    Ok(if outcome.holds() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
