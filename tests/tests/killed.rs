//! The center is killed again and again; what it answered is in the store exactly once.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking; indexing a JSON value never does"
)]

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Mutex,
        atomic::{AtomicU32, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use tests::{people, site::Site};

const VERIFICATIONS: u32 = 1000;
const KILLS: u32 = 10;
const TILLS: usize = 4;

#[test]
fn a_thousand_answers_survive_ten_kills() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::new(folder.path()).unwrap();
    site.init_center().unwrap();
    site.join_counter("P330212", "1").unwrap();
    site.enrol(&[("A10020001", people::picture("cl_franck_01829.jpg").unwrap())]).unwrap();
    site.stand_before_the_camera(&[people::picture("cl_franck_02221.jpg").unwrap()]).unwrap();

    let center = site.start_center("127.0.0.1:0").unwrap();
    let address = center.address().to_owned();
    let listen = address.trim_start_matches("https://").to_owned();
    let counter = site.start_counter(&address).unwrap();

    let (next, tills_left) = (AtomicU32::new(0), AtomicUsize::new(TILLS));
    let answered = Mutex::new(BTreeMap::new());
    thread::scope(|scope| {
        for _ in 0..TILLS {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= VERIFICATIONS {
                        break;
                    }
                    let transaction = format!("K-{number:04}");
                    // A till asks again until it has its answer; the agent sends the same envelope again.
                    let id = loop {
                        match counter.verify("A10020001", "settlement", &transaction) {
                            Ok((200, answer)) => break answer["verification_id"].as_str().unwrap().to_owned(),
                            Ok((503, _)) => thread::sleep(Duration::from_millis(50)),
                            Ok((status, answer)) => panic!("{transaction}: {status} {answer}"),
                            Err(error) => panic!("{transaction}: {error:#}"),
                        }
                    };
                    answered.lock().unwrap().insert(transaction, id);
                }
                tills_left.fetch_sub(1, Ordering::Relaxed);
            });
        }
        let mut center = Some(center);
        let mut moment = 0x9E37_79B9_u32;
        for kill in 1..=KILLS {
            // At a random moment within the tenth of the work that this kill belongs to.
            moment = moment.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let at = (kill - 1) * VERIFICATIONS / KILLS + (moment >> 8) % (VERIFICATIONS / KILLS);
            while next.load(Ordering::Relaxed) < at && tills_left.load(Ordering::Relaxed) > 0 {
                thread::sleep(Duration::from_millis(1));
            }
            center.take().unwrap().kill().unwrap();
            center = Some(site.start_center(&listen).unwrap());
        }
        while tills_left.load(Ordering::Relaxed) > 0 {
            thread::sleep(Duration::from_millis(20));
        }
    });

    let answered = answered.into_inner().unwrap();
    assert_eq!(answered.len(), VERIFICATIONS as usize);
    let stored = site.listing("verifications").unwrap();
    let mut ids: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for record in &stored {
        let word = |key: &str| record[key].as_str().unwrap().to_owned();
        ids.entry(word("transaction")).or_default().push(word("verification_id"));
    }
    for (transaction, id) in &answered {
        assert_eq!(ids.get(transaction), Some(&vec![id.clone()]), "{transaction}");
    }
    let distinct: BTreeSet<_> = stored.iter().map(|record| record["verification_id"].as_str().unwrap()).collect();
    assert_eq!(distinct.len(), stored.len());
    assert_eq!(site.listing("flags").unwrap().len(), 0, "retries are no attack");
}
