//! What is seen while an import runs: a bar with rate and time left, a line for each refused row; where
//! nobody watches (a log file), a line every ten seconds instead of the bar.

use std::{
    fmt,
    io::{self, IsTerminal, Write},
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressState, ProgressStyle};

use super::Refused;

const LINE_EVERY: Duration = Duration::from_secs(10);

/// Progress on the error stream.
pub(crate) struct Progress {
    bar: ProgressBar,
    watched: bool,
    started: Instant,
    last_line: Instant,
    done: u64,
    rows: u64,
}

impl Progress {
    /// Starts.
    pub(crate) fn new(rows: u64) -> Self {
        let bar = ProgressBar::new(rows);
        let rate = |state: &ProgressState, out: &mut dyn fmt::Write| {
            // A bar that cannot be drawn is no reason to stop.
            let _ = write!(out, "{:.1} rows/s", state.per_sec());
        };
        if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} · {rate} · {eta} left") {
            bar.set_style(style.with_key("rate", rate));
        }
        let now = Instant::now();
        Self { bar, watched: io::stderr().is_terminal(), started: now, last_line: now, done: 0, rows }
    }

    /// One more row is done.
    pub(crate) fn advance(&mut self) {
        self.done += 1;
        self.bar.set_position(self.done);
        if !self.watched && self.last_line.elapsed() >= LINE_EVERY {
            self.last_line = Instant::now();
            say(&self.line());
        }
    }

    /// Says why a row was refused.
    pub(crate) fn refused(&self, refused: &Refused) {
        self.bar.suspend(|| say(&refused.to_string()));
    }

    /// Takes the bar away.
    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }

    fn line(&self) -> String {
        let rate = self.done as f64 / self.started.elapsed().as_secs_f64().max(f64::EPSILON);
        let left = self.rows.saturating_sub(self.done) as f64 / rate.max(f64::EPSILON);
        format!("{} of {} rows, {rate:.1} rows/s, {left:.0} s left", self.done, self.rows)
    }
}

/// A line on the error stream. Nothing is done about a stream that is closed.
pub(crate) fn say(line: &str) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_how_far_and_how_long() {
        let mut progress = Progress::new(200);
        progress.started = Instant::now() - Duration::from_secs(10);
        progress.done = 50;
        assert_eq!(progress.line(), "50 of 200 rows, 5.0 rows/s, 30 s left");
    }
}
