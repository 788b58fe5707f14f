//! The relay between many counters and a center: killed, without room, without a line, and what its disk and memory hold.

mod rig;

use std::{
    collections::HashSet,
    fs,
    path::Path,
    process::Command,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use capture_agent::{clock::Clock, identity::Identity, relay::serve::Relay};
use proto::{acknowledgement, v1::Envelope};
use tokio::sync::watch;
use tonic::Code;

use rig::{CARD, Counter, Process, Rig, Said};

fn digests(envelopes: &[Envelope]) -> HashSet<[u8; 32]> {
    envelopes.iter().map(acknowledgement::digest).collect()
}

/// Waits until the center has all of these.
async fn until_taken(rig: &Rig, wanted: &HashSet<[u8; 32]>) {
    let started = Instant::now();
    while !wanted.is_subset(&rig.taken.all()) {
        let missing = wanted.difference(&rig.taken.all()).count();
        assert!(started.elapsed() < Duration::from_secs(60), "{missing} of {} envelopes never came", wanted.len());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Counters that the center has let in through the relay.
async fn counters(rig: &Rig, relay: &str, count: usize) -> Vec<Counter> {
    let mut counters = Vec::new();
    for number in 1..=count {
        let mut counter = rig.counter(&format!("till-{number}"));
        counter.connect(relay);
        counter.fetch_policy().await.unwrap();
        counters.push(counter);
    }
    counters
}

/// Uploads until the relay has said something on each envelope; what it keeps the counter never brings again.
async fn hand_over(counter: &Counter, envelopes: &[Envelope]) -> HashSet<[u8; 32]> {
    let (mut done, started) = (0, Instant::now());
    while done < envelopes.len() {
        assert!(started.elapsed() < Duration::from_secs(60), "{} of {} envelopes were taken", done, envelopes.len());
        let (said, _) = counter.upload(&envelopes[done..envelopes.len().min(done + 5)]).await;
        if said.is_empty() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        done += said.len();
    }
    digests(envelopes)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_that_is_killed_in_mid_load_loses_nothing_it_took() {
    let rig = Rig::new().await;
    rig.configure("");
    let mut relay = Process::start(rig.dir.path(), "127.0.0.1:0");
    let mut all = counters(&rig, &relay.address, 4).await;
    rig.down(true);
    let batches: Vec<Vec<Envelope>> = all.iter_mut().map(|counter| (0..40).map(|_| counter.seal(20_000)).collect()).collect();
    let handing: Vec<_> = all
        .into_iter()
        .zip(batches)
        .map(|(counter, envelopes)| tokio::spawn(async move { hand_over(&counter, &envelopes).await }))
        .collect();
    for _ in 0..4 {
        tokio::time::sleep(Duration::from_millis(120)).await;
        relay.kill_and_start(rig.dir.path());
    }
    let mut taken = HashSet::new();
    for handed in handing {
        taken.extend(handed.await.unwrap());
    }
    relay.kill_and_start(rig.dir.path());
    assert_eq!((taken.len(), rig.taken.all().len()), (160, 0), "the line was dead");
    rig.down(false);
    // The counters are off: what arrives comes from the relay's disk.
    until_taken(&rig, &taken).await;
}

/// A file system of its own in memory, as small as is said.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    /// Nothing where this may not be done.
    fn mount(mib: u32) -> Option<Self> {
        let at = tempfile::tempdir().unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={mib}m"), "countersign-relay"]).arg(at.path());
        mount.output().is_ok_and(|done| done.status.success()).then(|| Self(at))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.0.path()).status();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_whose_disk_is_full_says_so_and_loses_nothing_it_took() {
    let Some(disk) = SmallDisk::mount(16) else {
        eprintln!("SKIPPED: a full disk needs a file system of its own, which only root may mount");
        return;
    };
    let rig = Rig::within(tempfile::tempdir_in(disk.0.path()).unwrap()).await;
    rig.configure("[spool]\ndisk_free_min_mb = 1\n");
    let ballast = disk.0.path().join("ballast");
    let mut relay = Process::start(rig.dir.path(), "127.0.0.1:0");
    let mut counter = counters(&rig, &relay.address, 1).await.remove(0);
    fs::write(&ballast, vec![1; 8 << 20]).unwrap();
    rig.down(true);
    let envelopes: Vec<Envelope> = (0..60).map(|_| counter.seal(200_000)).collect();
    let (mut kept, mut refusal) = (0, None);
    for envelope in &envelopes {
        let (said, status) = counter.upload(std::slice::from_ref(envelope)).await;
        if said.is_empty() {
            refusal = status;
            break;
        }
        assert_eq!(said, [Said::Held]);
        kept += 1;
    }
    let refusal = refusal.expect("the disk never filled up");
    assert!(kept > 5 && refusal.code() == Code::ResourceExhausted && refusal.message().contains("disk"), "{kept}: {refusal:?}");
    // Somebody else takes what was left. A line that is there needs no disk, and what is kept goes on without it.
    let more = disk.0.path().join("more");
    let _ = fs::write(&more, vec![1; 16 << 20]);
    rig.down(false);
    let started = Instant::now();
    while counter.verify(envelopes[59].clone()).await.is_err() {
        assert!(started.elapsed() < Duration::from_secs(30));
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    until_taken(&rig, &digests(&envelopes[..kept])).await;
    // It is killed without room, and there is room again.
    fs::remove_file(&ballast).unwrap();
    fs::remove_file(&more).unwrap();
    relay.kill_and_start(rig.dir.path());
    let handed = hand_over(&counter, &envelopes).await;
    until_taken(&rig, &handed).await;
    drop(relay);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_hour_without_a_line_loses_nothing_and_shows_nothing() {
    static AHEAD_MS: AtomicU64 = AtomicU64::new(0);
    let rig = Rig::new().await;
    let config = rig.configure("");
    let relay = Relay::open(rig.dir.path(), config, Identity::load(rig.dir.path()).unwrap(), Clock::ahead(&AHEAD_MS)).unwrap();
    let forwarding = std::sync::Arc::clone(relay.forwarding());
    let (stop, stopped) = watch::channel(false);
    let (bound, address) = tokio::sync::oneshot::channel();
    let serving = tokio::spawn(relay.serve(stopped, |at| bound.send(at).map_err(|_| std::io::ErrorKind::Other.into())));
    let address = format!("https://{}", address.await.unwrap().counters);
    let mut all = counters(&rig, &address, 2).await;
    rig.down(true);
    let mut wanted = HashSet::new();
    for _minute in 0..60 {
        for counter in &mut all {
            let envelopes = [counter.seal(10_000), counter.seal(100)];
            // A live call is refused at once, and the counter goes on under its lease.
            let asked = Instant::now();
            assert_eq!(counter.verify(envelopes[0].clone()).await.unwrap_err().code(), Code::Unavailable);
            assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());
            assert_eq!(counter.upload(&envelopes).await.0, [Said::Held, Said::Held]);
            wanted.extend(digests(&envelopes));
        }
        AHEAD_MS.fetch_add(60_000, Ordering::Relaxed);
        let _ = forwarding.pass().await;
    }
    assert_eq!((wanted.len(), rig.taken.all().len()), (240, 0));
    check_nothing_readable(rig.dir.path());
    rig.down(false);
    // The lines rest for 15 s at most; that time passes too.
    AHEAD_MS.fetch_add(20_000, Ordering::Relaxed);
    forwarding.wake();
    until_taken(&rig, &wanted).await;
    assert_eq!(forwarding.pass().await.unwrap().kept, 0);
    stop.send_replace(true);
    serving.await.unwrap().unwrap();
    check_nothing_readable(rig.dir.path());
}

/// No card number lies open in a folder, as text or as UTF-16, and neither does the long text of the captures.
#[track_caller]
fn check_nothing_readable(folder: &Path) {
    let utf16: Vec<u8> = CARD.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let wanted = [CARD.as_bytes(), &utf16, &[b'x'; 40]];
    let mut database = 0;
    for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        let bytes = fs::read(&path).unwrap();
        if path.file_name().unwrap().to_string_lossy().starts_with("relay.db") {
            database += bytes.len();
        }
        for wanted in wanted {
            assert!(!bytes.windows(wanted.len()).any(|window| window == wanted), "{}", path.display());
        }
    }
    assert!(database > 100_000, "the envelopes are there: {database} bytes");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_the_counters_own_goes_nowhere() {
    let rig = Rig::new().await;
    rig.configure("");
    let relay = Process::start(rig.dir.path(), "127.0.0.1:0");
    let mut all = counters(&rig, &relay.address, 2).await;
    let foreign = all[1].seal(10);
    let mut altered = all[0].seal(10);
    altered.header[10] ^= 1;
    let mut short = all[0].seal(10);
    short.ciphertext.pop();
    for (envelope, code) in [(&foreign, Code::PermissionDenied), (&short, Code::InvalidArgument)] {
        assert_eq!(all[0].verify(envelope.clone()).await.unwrap_err().code(), code);
    }
    assert!(all[0].verify(altered.clone()).await.is_err());
    let good = all[0].seal(10);
    // They do not hold up what comes after them.
    let (said, status) = all[0].upload(&[foreign, altered, short, good.clone()]).await;
    assert_eq!((said, status.map(|status| status.code())), (vec![Said::Held, Said::Held, Said::Held, Said::Acknowledged], None));
    assert_eq!(rig.taken.all(), digests(&[good]));
    // A counter the center has never let in takes no room.
    rig.down(true);
    let mut stranger = rig.counter("till-9");
    stranger.connect(&relay.address);
    let envelope = stranger.seal(10);
    assert_eq!(stranger.upload(&[envelope]).await.1.unwrap().code(), Code::Unavailable);
    let other = Rig::new().await;
    let mut foreign = other.counter("till-1");
    foreign.connect(&relay.address);
    assert!(foreign.fetch_policy().await.is_err(), "another authority's");
}

/// What 200 counters may cost in memory.
const RSS_MAX_MIB: u64 = 256;

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_counters_cost_bounded_memory() {
    const COUNTERS: usize = 200;
    let rig = Rig::new().await;
    rig.configure("");
    let relay = Process::start(rig.dir.path(), "127.0.0.1:0");
    let mut all = counters(&rig, &relay.address, COUNTERS).await;
    let batches: Vec<[Envelope; 3]> =
        all.iter_mut().map(|counter| [counter.seal(150_000), counter.seal(150_000), counter.seal(150_000)]).collect();
    let mut wanted = HashSet::new();
    batches.iter().for_each(|batch| wanted.extend(digests(batch)));
    // At the same moment: a live call and an upload of each, first without a line and then with one.
    for is_down in [true, false] {
        rig.down(is_down);
        let calls: Vec<_> = all
            .drain(..)
            .zip(batches.clone())
            .map(|(counter, batch)| {
                tokio::spawn(async move {
                    let (_, _) = tokio::join!(counter.verify(batch[0].clone()), hand_over(&counter, &batch));
                    counter
                })
            })
            .collect();
        for call in calls {
            all.push(call.await.unwrap());
        }
    }
    until_taken(&rig, &wanted).await;
    let status = fs::read_to_string(format!("/proc/{}/status", relay.id())).unwrap();
    let mib = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
    };
    let (peak, now) = (mib("VmHWM:"), mib("VmRSS:"));
    println!("{COUNTERS} counters: {now} MiB resident, {peak} MiB at most (bound {RSS_MAX_MIB} MiB)");
    assert!(peak < RSS_MAX_MIB, "{peak} MiB");
}
