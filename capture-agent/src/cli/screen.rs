//! `capture-agent screen`.

use std::{fs, path::Path};

use crate::{
    output::{self, exit},
    screen::LINK_FILE,
};

/// Prints the link that opens the counter's screen.
pub(super) fn run(dir: &Path) -> anyhow::Result<u8> {
    let Ok(link) = fs::read_to_string(dir.join(LINK_FILE)) else {
        output::note("error: the agent does not run: start `capture-agent serve` first\n本程序没有运行：请先启动 capture-agent serve");
        return Ok(exit::FAILED);
    };
    output::line(link.trim())?;
    Ok(exit::DONE)
}
