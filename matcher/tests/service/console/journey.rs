//! A case from the queue to its end, as the people of a center go about it.

use super::{Answer, JPEG, Visitor, desk};
use crate::cases::Town;

fn at(case: &str, step: &str) -> String {
    format!("/cases/{case}/{step}")
}

/// Takes a case, judges and decides it.
async fn decide(visitor: &mut Visitor, case: &str, verdict: &str, reason: &str) -> Answer {
    assert_eq!(visitor.post(&at(case, "claim"), &[]).await.status, 303);
    assert_eq!(visitor.post(&at(case, "judge"), &[("judgement", "-2")]).await.status, 303);
    visitor.post(&at(case, "decide"), &[("verdict", verdict), ("reason", reason)]).await
}

/// The addresses of the pictures of a page.
pub(super) fn pictures(page: &Answer) -> Vec<String> {
    page.body.split("<img ").skip(1).filter_map(|part| Some(part.split("src=\"").nth(1)?.split('"').next()?.to_owned())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_but_faces_before_the_judgement_is_locked() {
    let (town, case) = desk().await;
    let mut anna = Visitor::signed_in(&town.center, "anna").await;
    let path = format!("/cases/{case}");
    let told = |page: &Answer| {
        ["T-1", "T-2", "class=\"bands\"", "live", "most like the photo", "card shared", "0417", "settlement", "****"]
            .into_iter()
            .filter(|word| page.body.contains(word))
            .collect::<Vec<_>>()
    };
    let before = anna.get(&path).await;
    assert!(told(&before).is_empty() && pictures(&before).is_empty(), "nobody holds it: {:?}", told(&before));
    let decide = [("verdict", "false_alarm"), ("reason", "a haircut")];
    assert_eq!(anna.post(&at(&case, "judge"), &[("judgement", "1")]).await.status, 403);
    assert_eq!(anna.post(&at(&case, "claim"), &[]).await.location(), path);
    let one = anna.get(&path).await;
    assert_eq!((told(&one), pictures(&one).len()), (vec![], 2), "the faces alone");
    assert_eq!(anna.post(&at(&case, "decide"), &decide).await.status, 403, "not before the judgement");
    for wrong in ["4", "-4", "", "x"] {
        assert_eq!(anna.post(&at(&case, "judge"), &[("judgement", wrong)]).await.status, 403);
    }
    assert_eq!(anna.post(&at(&case, "judge"), &[("judgement", "-3")]).await.status, 303);
    assert_eq!(anna.post(&at(&case, "judge"), &[("judgement", "3")]).await.status, 409, "it is locked");
    let two = anna.get(&path).await;
    assert!(told(&two).len() >= 7, "{:?}", told(&two));
    assert!(!two.body.as_bytes().windows(2).any(|two| two[0].is_ascii_digit() && two[1] == b'%'), "never a percentage");
    assert_eq!(anna.post(&at(&case, "decide"), &[("verdict", "false_alarm"), ("reason", " ")]).await.status, 409);
    assert!(anna.post(&at(&case, "decide"), &decide).await.location().starts_with("/queue?done="));
    assert_eq!(town.center.count("SELECT judgement FROM case_judgement"), -3);
    assert_eq!(town.center.count("SELECT count(*) FROM audit_entry WHERE action = 'case_judged' AND actor = 'anna'"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_face_shown_is_in_the_log_before_it_leaves_and_only_whoever_holds_the_case_sees_it() {
    let (town, case) = desk().await;
    let mut anna = Visitor::signed_in(&town.center, "anna").await;
    anna.post(&at(&case, "claim"), &[]).await;
    let shown = pictures(&anna.get(&format!("/cases/{case}")).await);
    let looks = |town: &Town| town.center.count("SELECT count(*) FROM audit_entry WHERE action = 'face_viewed' AND actor = 'anna'");
    assert_eq!(looks(&town), 0);
    for (place, path) in (1..).zip(&shown) {
        let picture = anna.get(path).await;
        assert_eq!(
            (picture.status, picture.header("content-type"), picture.header("cache-control")),
            (200, Some("image/jpeg"), Some("no-store"))
        );
        assert_eq!(picture.header("content-length"), Some(JPEG.len().to_string().as_str()));
        assert_eq!(looks(&town), place);
    }
    for name in ["ben", "susan", "otto", "adam", "mia"] {
        let mut other = Visitor::signed_in(&town.center, name).await;
        for path in &shown {
            let answer = other.get(path).await;
            assert!(answer.status == 403 && !answer.head.contains("image/"), "{name}: {answer:?}");
        }
    }
    anna.post(&at(&case, "release"), &[]).await;
    assert_eq!(anna.get(&shown[0]).await.status, 403, "no longer hers");
    // When the log cannot be written, nothing is shown.
    anna.get("/queue").await;
    anna.post(&at(&case, "claim"), &[]).await;
    town.center
        .meddle("CREATE TRIGGER full BEFORE INSERT ON audit_entry WHEN NEW.action = 'face_viewed' BEGIN SELECT RAISE(ABORT, 'full'); END");
    let answer = anna.get(&shown[0]).await;
    assert!(answer.status == 503 && !answer.head.contains("image/"), "{answer:?}");
    town.center.meddle("DROP TRIGGER full");
    // The auditor proves who saw it.
    let mut otto = Visitor::signed_in(&town.center, "otto").await;
    let page = otto.get(&format!("/looks?about={case}")).await.body;
    assert_eq!(page.matches("<td>anna</td>").count(), shown.len());
    assert!(otto.get("/looks?by=ben").await.body.contains("No look fits."));
    otto.get("/log").await;
    assert_eq!(otto.post("/log/check", &[]).await.location(), "/log");
    let whole = tokio::time::timeout(std::time::Duration::from_secs(20), async {
        while !otto.get("/log").await.body.contains("Whole: nothing was changed.") {
            tokio::task::yield_now().await;
        }
    });
    whole.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_person_judges_without_knowing_the_first() {
    let (town, case) = desk().await;
    let (mut anna, mut ben) = (Visitor::signed_in(&town.center, "anna").await, Visitor::signed_in(&town.center, "ben").await);
    assert_eq!(decide(&mut anna, &case, "confirmed", "surely a stranger").await.status, 303);
    anna.post(&at(&case, "note"), &[("text", "I saw him before")]).await;
    assert_eq!(anna.post(&at(&case, "close"), &[]).await.status, 409, "not by one person alone");
    assert_eq!(anna.post(&at(&case, "claim"), &[]).await.status, 403 + 6, "nor by the same person twice");
    let path = format!("/cases/{case}");
    let leaks = |page: &Answer| {
        ["surely", "I saw him", "<b>anna</b>", ": confirmed"].into_iter().filter(|word| page.body.contains(word)).collect::<Vec<_>>()
    };
    assert!(leaks(&ben.get(&path).await).is_empty());
    assert!(ben.get("/queue?state=second_due").await.body.contains("second review due"));
    assert_eq!(ben.post("/queue/next", &[]).await.location(), path, "second looks come first");
    assert!(leaks(&ben.get(&path).await).is_empty());
    assert_eq!(
        ben.post(&at(&case, "decide"), &[("verdict", "confirmed"), ("reason", "x")]).await.status,
        403,
        "faces first, for everybody"
    );
    ben.post(&at(&case, "judge"), &[("judgement", "-3")]).await;
    let two = ben.get(&path).await;
    assert!(leaks(&two).is_empty() && two.body.contains("T-1"), "the story, but not the first verdict: {:?}", leaks(&two));
    ben.post(&at(&case, "decide"), &[("verdict", "confirmed"), ("reason", "two people")]).await;
    let after = ben.get(&path).await;
    assert!(leaks(&after).len() >= 3, "now it is told: {:?}", leaks(&after));
    let mut susan = Visitor::signed_in(&town.center, "susan").await;
    let page = susan.get("/reviewers").await.body;
    assert!(page.contains("anna") && page.contains("fewer than 50") && !page.contains("1.00"), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_store_and_the_patient_are_heard_before_a_confirmed_case_ends() {
    let (town, case) = desk().await;
    let (mut anna, mut ben) = (Visitor::signed_in(&town.center, "anna").await, Visitor::signed_in(&town.center, "ben").await);
    let mut mia = Visitor::signed_in(&town.center, "mia").await;
    mia.get("/store").await;
    assert_eq!(mia.get(&format!("/store/{case}")).await.status, 404, "nobody asked yet");
    assert_eq!(mia.post(&format!("/store/{case}/reply"), &[("text", "unasked")]).await.status, 404);
    decide(&mut anna, &case, "confirmed", "two people").await;
    decide(&mut ben, &case, "confirmed", "two people").await;
    let refused = ben.post(&at(&case, "close"), &[]).await;
    assert!(refused.status == 409 && refused.body.contains("Ask the institution"), "{refused:?}");
    assert_eq!(ben.post(&at(&case, "ask"), &[("institution", "P9"), ("text", "who?")]).await.status, 409);
    assert_eq!(ben.post(&at(&case, "ask"), &[("institution", "P1"), ("text", "Who came with this card?")]).await.status, 303);
    assert!(ben.post(&at(&case, "close"), &[]).await.body.contains("The institution may still reply."));
    let page = mia.get(&format!("/store/{case}")).await;
    assert!(page.body.contains("Who came with this card?") && page.body.contains("T-1"), "{}", page.body);
    assert!(!page.body.contains("<img") && !page.body.contains("confirmed") && !page.body.contains("anna"), "no face, no verdict, no name");
    assert_eq!(mia.post(&format!("/store/{case}/reply"), &[("text", "Her son, with papers.")]).await.status, 303);
    ben.post(&at(&case, "complaint"), &[("text", "It was my son.")]).await;
    assert!(ben.post(&at(&case, "close"), &[]).await.body.contains("A complaint waits for its answer."));
    ben.post(&at(&case, "answer"), &[("text", "We looked again.")]).await;
    assert_eq!(ben.post(&at(&case, "close"), &[]).await.status, 303);
    let slip = ben.get(&at(&case, "slip")).await;
    assert!(slip.status == 200 && slip.body.contains("15 days"), "{}", slip.body);
    // A new decision by somebody who has not judged it: nothing is overwritten.
    let mut susan = Visitor::signed_in(&town.center, "susan").await;
    assert_eq!(anna.post(&at(&case, "reopen"), &[("reason", "an appeal")]).await.status, 403);
    assert_eq!(susan.post(&at(&case, "reopen"), &[("reason", "an appeal")]).await.status, 303);
    decide(&mut susan, &case, "proxy", "her son, with papers").await;
    let steps = town.cases().await[0].steps.len();
    assert_eq!(steps, 8, "claimed, decided, claimed, reviewed, closed, reopened, claimed, decided");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_queue_is_filtered_paged_and_searched() {
    let (mut town, _) = desk().await;
    for card in 2..8 {
        town.shared_card(&format!("A1002000{card}")).await;
    }
    town.run().await;
    let mut anna = Visitor::signed_in(&town.center, "anna").await;
    let rows = |page: &Answer| page.body.matches("data-row").count();
    assert_eq!(rows(&anna.get("/queue").await), 7);
    for (query, expected) in [
        ("state=open", 7),
        ("state=closed", 0),
        ("kind=card_shared&scene=settlement&store=P1&age=day", 7),
        ("kind=complaint", 0),
        ("scene=reception", 0),
        ("store=P2", 0),
        ("age=older", 0),
        ("assignee=me", 0),
    ] {
        assert_eq!(rows(&anna.get(&format!("/queue?{query}")).await), expected, "{query}");
    }
    let first = anna.post("/queue/next", &[]).await.location().to_owned();
    assert!(first.starts_with("/cases/"));
    assert_eq!(anna.post("/queue/next", &[]).await.location(), first, "what one holds comes first");
    assert_eq!(rows(&anna.get("/queue?assignee=me").await), 1);
    anna.get("/search").await;
    let search = |text: &'static str| [("text", text), ("reason", "asked at the desk"), ("kind", "social_security_card"), ("region", "")];
    assert!(anna.post("/search", &search("A10020003")).await.location().starts_with("/cases/"));
    assert!(anna.post("/search", &search("T-6")).await.location().starts_with("/cases/"));
    assert!(anna.post("/search", &search("A10029999")).await.body.contains("No case was found."));
    let page = anna.get(&first).await.body;
    let code = page.split("<span class=\"code\">").nth(1).unwrap().split('<').next().unwrap().to_lowercase();
    let by_code = [("text", code.as_str()), ("reason", "a slip"), ("kind", ""), ("region", "")];
    assert_eq!(anna.post("/search", &by_code).await.location(), first);
    assert_eq!(anna.post("/search", &[("text", "T-6"), ("reason", " ")]).await.status, 200, "not without a reason");
    assert_eq!(town.center.count("SELECT count(*) FROM audit_entry WHERE action = 'case_searched'"), 4);
    assert_eq!(town.center.count("SELECT count(*) FROM audit_entry WHERE detail LIKE '%A1002%'"), 0, "never a number");
}
