//! Word to systemd, where it started this program and asks for it: ready, alive, stopping.

use sd_notify::NotifyState;
use tracing::debug;

/// Says that requests are taken, and from then on at the interval that systemd asks for that this program is alive. Must be
/// called within a tokio runtime: one that hangs says nothing.
pub fn ready() {
    say(NotifyState::Ready);
    if let Some(limit) = sd_notify::watchdog_enabled() {
        tokio::spawn(async move {
            loop {
                say(NotifyState::Watchdog);
                tokio::time::sleep(limit / 3).await;
            }
        });
    }
}

/// Says that it ends.
pub fn stopping() {
    say(NotifyState::Stopping);
}

fn say(state: NotifyState<'_>) {
    // Nobody asked, or nobody listens: nothing depends on it here.
    if let Err(error) = sd_notify::notify(&[state]) {
        debug!(error = &error as &dyn std::error::Error, "the service manager was not told");
    }
}
