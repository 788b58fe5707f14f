//! Faults in mid-load: the center is killed, its disk fills up, its clock goes back. What was acknowledged is there once,
//! the audit log verifies, and the center goes on by itself.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::Duration,
};

use benches::load::{
    center::{Device, Place},
    drive::{self, Outcome},
    envelopes::{self, Form, Ready},
    ledger::Ledger,
    people::MadeBy,
};
use tests::{clock::Clock, process::Server};
use tests_postgres::Postgres;
use tonic::transport::Channel;

/// People enrolled.
const PEOPLE: u64 = 100;
const CALLERS: usize = 8;
/// The longest a capture is sent again: far beyond any fault.
const PATIENCE: Duration = Duration::from_secs(60);

/// A center with devices, before it serves.
struct Site {
    place: Place,
    devices: Vec<Device>,
    ledger: Arc<Ledger>,
    made: usize,
}

impl Site {
    async fn new(place: Place) -> Self {
        place.prepare().await.unwrap();
        let center = place.open().await.unwrap();
        place.enrol(&center, PEOPLE, 64, |_| {}).await.unwrap();
        let devices = place.devices(&center, 2, 2).await.unwrap();
        Self { place, devices, ledger: Arc::default(), made: 0 }
    }

    fn captures(&mut self, count: usize, sample_len: usize, clock_offset_ms: i64) -> Vec<Ready> {
        let form = Form { people: PEOPLE, sample_len, non_mated: 0.1, clock_offset_ms, run: "F".into() };
        let first = self.made;
        self.made += count;
        envelopes::make(&form, &MadeBy::shipped().unwrap(), &self.devices, first, count).unwrap()
    }

    fn connect(&self, server: &Server) -> Vec<Channel> {
        self.devices.iter().map(|device| device.connect(server.address()).unwrap()).collect()
    }

    /// Sends captures until each is answered, beside whatever else happens.
    fn send(&self, channels: &[Channel], captures: Vec<Ready>) -> tokio::task::JoinHandle<Outcome> {
        let (channels, ledger) = (channels.to_vec(), Arc::clone(&self.ledger));
        tokio::spawn(async move { drive::until_answered(&channels, captures, CALLERS, PATIENCE, &ledger).await.unwrap() })
    }

    async fn until_acknowledged(&self, number: usize) {
        while self.ledger.len() < number {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// All that was made was answered, and is in the store once.
    async fn check(&self, expected: usize) {
        let center = self.place.open().await.unwrap();
        let checked = self.ledger.check(&self.place, center.store.as_ref()).await.unwrap();
        let expected = expected as u64;
        assert!(checked.holds() && checked.acknowledged == expected && checked.stored == expected, "{expected} expected: {checked:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_center_that_is_killed_in_mid_load_loses_and_doubles_nothing() {
    const CAPTURES: usize = 300;
    let folder = tempfile::tempdir().unwrap();
    let mut site = Site::new(Place::new(folder.path(), None)).await;
    let mut server = site.place.serve("127.0.0.1:0").unwrap();
    let listen = server.address().trim_start_matches("https://").to_owned();
    let channels = site.connect(&server);
    let captures = site.captures(CAPTURES, 20_480, 0);
    let sending = site.send(&channels, captures);
    for kill in 1..=3 {
        site.until_acknowledged(kill * CAPTURES / 4).await;
        server.kill().unwrap();
        server = site.place.serve(&listen).unwrap();
    }
    let outcome = sending.await.unwrap();
    assert!(outcome.failed > 0, "nobody noticed that the center was killed");
    server.stop().unwrap();
    site.check(CAPTURES).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_killed_in_mid_load_loses_and_doubles_nothing() {
    const CAPTURES: usize = 200;
    let folder = tempfile::tempdir().unwrap();
    let mut postgres = Postgres::start().unwrap();
    let url = postgres.database("center").unwrap();
    let mut site = Site::new(Place::new(folder.path(), Some(url))).await;
    let server = site.place.serve("127.0.0.1:0").unwrap();
    let channels = site.connect(&server);
    let captures = site.captures(CAPTURES, 20_480, 0);
    let sending = site.send(&channels, captures);
    for kill in 1..=2 {
        site.until_acknowledged(kill * CAPTURES / 3).await;
        postgres.kill();
        postgres.run_again().unwrap();
    }
    let outcome = sending.await.unwrap();
    assert!(outcome.failed > 0, "nobody noticed that the database was killed");
    server.stop().unwrap();
    site.check(CAPTURES).await;
}

/// A file system of its own in memory, as small as is said.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// Nothing where this may not be done.
    fn mount(at: &Path, mib: u32) -> Option<Self> {
        fs::create_dir_all(at).unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={mib}m"), "countersign-faults"]).arg(at);
        mount.output().is_ok_and(|done| done.status.success()).then(|| Self(at.to_owned()))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_fills_up_in_mid_load_loses_and_doubles_nothing() {
    const CAPTURES: usize = 400;
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = SmallDisk::mount(&folder.path().join("disk"), 48) else {
        eprintln!("SKIPPED: a full disk needs a file system of its own, which only root may mount");
        return;
    };
    let mut site = Site::new(Place::new(&disk.0, None)).await;
    let server = site.place.serve("127.0.0.1:0").unwrap();
    let channels = site.connect(&server);
    // What fills the disk but for about a hundred captures, which take twice their size on the way.
    let ballast = disk.0.join("ballast");
    let free = free_bytes(&disk.0);
    fs::write(&ballast, vec![1; usize::try_from(free).unwrap() - 5 * 1024 * 1024]).unwrap();
    let captures = site.captures(CAPTURES, 20_480, 0);
    let sending = site.send(&channels, captures);
    // Until nothing more goes in, for so long that it is not a busy machine.
    let (mut before, mut unchanged) = (0, 0);
    while before == 0 || unchanged < 5 {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let now = site.ledger.len();
        unchanged = if now == before { unchanged + 1 } else { 0 };
        before = now;
    }
    assert!(before < CAPTURES, "the disk never filled up");
    fs::remove_file(&ballast).unwrap();
    let outcome = sending.await.unwrap();
    assert!(outcome.failed > 0, "nobody noticed that the disk was full");
    server.stop().unwrap();
    site.check(CAPTURES).await;
    drop(site);
    drop(disk);
}

fn free_bytes(folder: &Path) -> u64 {
    let output = Command::new("df").args(["--output=avail", "--block-size=1"]).arg(folder).output().unwrap();
    String::from_utf8(output.stdout).unwrap().lines().nth(1).unwrap().trim().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_goes_back_an_hour_loses_and_doubles_nothing() {
    const CAPTURES: usize = 60;
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::new(folder.path().join("clock")).unwrap();
    let mut site = Site::new(Place::new(folder.path(), None).under(clock.clone())).await;
    let server = site.place.serve("127.0.0.1:0").unwrap();
    let channels = site.connect(&server);
    let before = site.captures(CAPTURES, 4_096, 0);
    let first = site.send(&channels, before.clone()).await.unwrap();
    assert_eq!((first.answered, first.failed), (CAPTURES as u64, 0), "{:?}", first.failure);
    clock.set(-3_600).unwrap();
    // What was answered gets the same answer, and agents that know the center's clock are answered.
    let again = site.send(&channels, before).await.unwrap();
    assert_eq!((again.answered, again.failed), (CAPTURES as u64, 0), "{:?}", again.failure);
    let after = site.captures(CAPTURES, 4_096, -3_600_000);
    let after = site.send(&channels, after).await.unwrap();
    assert_eq!((after.answered, after.failed), (CAPTURES as u64, 0), "{:?}", after.failure);
    server.stop().unwrap();
    site.check(2 * CAPTURES).await;
}
