//! What a dishonest store may try with its counter, and the flag that each leads to at the center: one table.
//!
//! An attack is a row: what is done with the device's key and connection, and the flags that stand afterwards. Whoever has the
//! key can seal what he likes, so that each row plays the store with everything it has. Attacks that need time to pass, or
//! neighbours, are played through the same functions with captures and reports dated as they would be.

use std::{
    pin::Pin,
    sync::{Arc, atomic::Ordering},
};

use matcher::{
    app::recheck::Rechecker,
    networks::Networks,
    surroundings::{Surroundings, System},
};
use matcher_core::{RecheckOutcome, RecheckRule};
use models::manifest::Manifest;
use proto::v1;

use crate::{
    leases::look,
    recheck::Eyes,
    support::{TestCenter, TestDevice, capture},
};

const CARD: &str = "A10020001";
const MINUTE_MS: i64 = 60_000;

type Done<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;

/// One attack.
struct Attack {
    name: &'static str,
    /// Plays it.
    play: for<'a> fn(&'a TestCenter, &'a TestDevice) -> Done<'a>,
    /// Names of the flags that it leads to (a suspicion of tampering by its reason), in the order of the alphabet.
    flags: &'static [&'static str],
}

/// The attacks.
const ATTACKS: &[Attack] = &[
    Attack { name: "nothing at all", play: |center, device| Box::pin(honest(center, device)), flags: &[] },
    Attack {
        name: "the clock is set back, so that an old capture seems new",
        play: |_, device| Box::pin(clock_set_back(device)),
        flags: &["clock_moved"],
    },
    Attack {
        name: "the clock is set back while the line is down, and right again before it is up",
        play: |_, device| Box::pin(clock_set_back_and_forth(device)),
        flags: &["clock_moved"],
    },
    Attack {
        name: "the spool is replayed: an older copy of the state folder is put back, and its numbers are used again",
        play: |_, device| Box::pin(spool_replayed(device)),
        flags: &["sequence_repeated"],
    },
    Attack {
        name: "the spool is deleted with captures that were never sent",
        play: |_, device| Box::pin(spool_deleted(device)),
        flags: &["spool_deleted"],
    },
    Attack {
        name: "an attempt that went badly is made again under its name, after the agent was started anew",
        play: |_, device| Box::pin(attempt_again(device)),
        flags: &["card_person_mismatch", "transaction_reused"],
    },
    Attack {
        name: "somebody steps in for the second attempt",
        play: |_, device| Box::pin(steps_in(device)),
        flags: &["card_person_mismatch", "match_after_non_match"],
    },
    Attack {
        name: "two agents work with one key, each with a state folder of its own",
        play: |_, device| Box::pin(two_agents(device)),
        flags: &["key_copied", "sequence_repeated"],
    },
    Attack { name: "a capture is altered on its way", play: |_, device| Box::pin(altered(device)), flags: &["envelope_altered"] },
    Attack {
        name: "another counter's captures are brought",
        play: |center, device| Box::pin(foreign(center, device)),
        flags: &["envelope_altered"],
    },
    Attack {
        name: "captures are brought late in another order, one of them altered",
        play: |_, device| Box::pin(reordered(device)),
        flags: &["envelope_altered"],
    },
    Attack {
        name: "the cable is pulled before an impostor comes, while the neighbours' lines are up",
        play: |center, device| Box::pin(cable_pulled(center, device)),
        flags: &["card_person_mismatch", "offline_alone"],
    },
    Attack {
        name: "a template that fits the card is injected beside somebody else's face",
        play: |center, device| Box::pin(template_injected(center, device)),
        flags: &["tampering_suspected"],
    },
];

#[tokio::test(flavor = "multi_thread")]
async fn each_attack_leads_to_its_flag() {
    // One of them needs the networks, and its row would be empty without.
    let Some(_) = Eyes::open() else { return };
    for Attack { name, play, flags } in ATTACKS {
        let center = TestCenter::live_with(|config| config.recheck.share = 1.0).await;
        let device = center.device("1").await;
        center.enrol(CARD).await;
        play(&center, &device).await;
        assert_eq!(center.flag_names().await, *flags, "{name}");
        let institutions: Vec<String> = center.flags().await.into_iter().map(|flag| flag.institution).collect();
        assert!(institutions.iter().all(|institution| institution == "P1"), "{name}: each names the store: {institutions:?}");
    }
}

fn report(agent: u8) -> v1::ReportHealthRequest {
    v1::ReportHealthRequest {
        agent_version: "0.1.0".into(),
        device_clock_ms: System.now_ms(),
        state: Some(v1::DeviceState { instance: vec![agent; 16], ..Default::default() }),
        ..Default::default()
    }
}

async fn say(device: &TestDevice, report: v1::ReportHealthRequest) {
    device.report(report).await.unwrap();
    // Reports of one millisecond are one.
    tokio::time::sleep(std::time::Duration::from_millis(2)).await;
}

/// Days of honest work, restarts and a wrong clock included.
async fn honest(_: &TestCenter, device: &TestDevice) {
    for agent in 1..4 {
        let wrong = v1::ReportHealthRequest { device_clock_ms: System.now_ms() - 30 * MINUTE_MS, ..report(agent) };
        say(device, wrong.clone()).await;
        let envelope = device.seal(&device.address(&format!("T-{agent}"), 1), &capture(CARD, 0.8));
        device.send(envelope.clone()).await.unwrap();
        assert!(device.send(envelope).await.unwrap().repeated_answer, "an answer was lost");
        say(device, wrong).await;
    }
}

async fn clock_set_back(device: &TestDevice) {
    say(device, report(1)).await;
    say(device, v1::ReportHealthRequest { device_clock_ms: System.now_ms() - 60 * MINUTE_MS, ..report(1) }).await;
    let old = v1::Capture { captured_at_ms: System.now_ms() - 60 * MINUTE_MS, ..capture(CARD, 0.8) };
    device.verify("T-1", &old).await.unwrap_err();
}

async fn clock_set_back_and_forth(device: &TestDevice) {
    say(device, report(1)).await;
    let mut noticed = report(1);
    noticed.state.as_mut().unwrap().clock_step_ms = -60 * MINUTE_MS;
    say(device, noticed).await;
}

async fn spool_replayed(device: &TestDevice) {
    device.verify("T-1", &capture(CARD, 0.8)).await.unwrap();
    device.sequence.store(0, Ordering::SeqCst);
    device.verify("T-2", &capture(CARD, 0.8)).await.unwrap_err();
}

async fn spool_deleted(device: &TestDevice) {
    let next = |number| {
        let mut report = report(1);
        report.state.as_mut().unwrap().next_sequence = number;
        report
    };
    device.verify("T-1", &capture(CARD, 0.8)).await.unwrap();
    say(device, next(5)).await;
    say(device, next(1)).await;
}

async fn attempt_again(device: &TestDevice) {
    device.verify("T-1", &capture(CARD, 0.1)).await.unwrap();
    device.verify("T-1", &capture(CARD, 0.8)).await.unwrap_err();
}

async fn steps_in(device: &TestDevice) {
    device.verify("T-1", &capture(CARD, 0.1)).await.unwrap();
    device.verify_attempt("T-1", 2, &capture(CARD, 0.8)).await.unwrap();
}

async fn two_agents(device: &TestDevice) {
    for agent in [1, 2, 1, 2] {
        say(device, report(agent)).await;
    }
    device.verify("T-1", &capture(CARD, 0.8)).await.unwrap();
    // The other one counts for itself.
    device.sequence.store(0, Ordering::SeqCst);
    device.verify("T-2", &capture(CARD, 0.8)).await.unwrap_err();
}

async fn altered(device: &TestDevice) {
    let mut envelope = device.seal(&device.address("T-1", 1), &capture(CARD, 0.8));
    *envelope.ciphertext.last_mut().unwrap() ^= 1;
    device.send(envelope).await.unwrap_err();
}

async fn foreign(center: &TestCenter, device: &TestDevice) {
    let other = center.device("2").await;
    let envelope = other.seal(&other.address("T-1", 1), &capture(CARD, 0.8));
    device.send(envelope).await.unwrap_err();
}

async fn reordered(device: &TestDevice) {
    let mut envelopes: Vec<_> = (1..4).map(|number| device.seal(&device.address(&format!("T-{number}"), 1), &capture(CARD, 0.8))).collect();
    envelopes.reverse();
    envelopes[1].signature[3] ^= 1;
    let told = device.upload(envelopes).await.unwrap();
    assert_eq!(told.len(), 3);
}

/// Captured under a lease, brought late: judged then as it would have been, and the store stood out meanwhile.
async fn cable_pulled(center: &TestCenter, device: &TestDevice) {
    for institution in ["P2", "P3", "P4"] {
        say(&center.device_of(institution).await, report(9)).await;
    }
    say(device, report(1)).await;
    let serial = device.lease().await.unwrap().unwrap().serial;
    center.center.store.heard("P1-1", System.now_ms() - 180 * MINUTE_MS, None).await.unwrap();
    look(center, 0).await;
    let impostor = v1::Capture {
        captured_at_ms: System.now_ms(),
        clock_offset_ms: 1,
        lease_serial: serial.clone(),
        degraded: true,
        ..capture(CARD, 0.1)
    };
    let envelope = device.seal(&device.address("T-1", 1), &impostor);
    let receipt = device.sign_provisional(&device.provisional(&envelope, &serial, System.now_ms()));
    assert_eq!(device.upload_with(vec![(envelope, receipt)]).await, [v1::UploadOutcome::Stored]);
    center.work().await;
}

/// What the center makes of the sample again does not agree.
async fn template_injected(center: &TestCenter, device: &TestDevice) {
    let eyes = Eyes::open().unwrap();
    let mut injected = capture(CARD, 0.8);
    if let Some(v1::capture::Outcome::Sample(probe)) = &mut injected.outcome {
        probe.sample = Some(eyes.sample("fr_obama.jpg"));
        probe.further_samples.clear();
    }
    assert_eq!(device.verify("T-1", &injected).await.unwrap().decision(), v1::Decision::Match);
    let networks = Networks::new(Manifest::shipped(), models::cache::default_dir());
    let rule = RecheckRule { share: 1.0, agreement_min: 0.8 };
    let rechecker = Rechecker { center: center.center.clone(), networks, surroundings: Arc::new(System), rule };
    assert_eq!(rechecker.next().await.unwrap(), Some(RecheckOutcome::Disagrees));
}
