//! What the spool holds, in numbers: for health reports and the doctor.

use super::{Spool, SpoolError};

/// What is on the disk.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Holdings {
    /// Envelopes the center has neither answered nor refused.
    pub waiting: u32,
    /// Envelopes it refused for good, kept for inspection.
    pub refused: u32,
    /// Bytes of all envelopes that are kept.
    pub bytes: u64,
    /// When the oldest one that waits was made, by this machine's clock.
    pub oldest_ms: Option<i64>,
    /// The next number.
    pub next_sequence: u64,
}

impl Spool {
    /// Counts what is held.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn holdings(&self) -> Result<Holdings, SpoolError> {
        let sql = "SELECT count(*) FILTER (WHERE settled_at_ms IS NULL), count(*) FILTER (WHERE refusal <> '' AND body IS NOT NULL),
                   coalesce(sum(length(body)), 0), min(made_at_ms) FILTER (WHERE settled_at_ms IS NULL),
                   (SELECT next_sequence FROM numbering) FROM envelope";
        let holdings = self.lock().query_row(sql, [], |row| {
            let bytes = u64::try_from(row.get::<_, i64>(2)?).unwrap_or_default();
            let next_sequence = row.get::<_, i64>(4)?.cast_unsigned();
            Ok(Holdings { waiting: row.get(0)?, refused: row.get(1)?, bytes, oldest_ms: row.get(3)?, next_sequence })
        })?;
        Ok(holdings)
    }
}
