//! What was said in a case, at rest.

use matcher::app::review::words::seal_all;

use super::{Visitor, desk};

const WORDS: &str = "the holder's son was at the till";

#[tokio::test(flavor = "multi_thread")]
async fn words_are_sealed_and_those_of_an_older_release_are_sealed_at_the_start() {
    let (town, case) = desk().await;
    let center = &town.center;
    let mut anna = Visitor::signed_in(center, "anna").await;
    anna.post(&format!("/cases/{case}/claim"), &[]).await;
    anna.post(&format!("/cases/{case}/judge"), &[("judgement", "-3")]).await;
    assert_eq!(anna.post(&format!("/cases/{case}/note"), &[("text", WORDS)]).await.status, 303);
    let clear = "SELECT count(*) FROM case_statement WHERE text <> '' OR sealed IS NULL OR wrapped IS NULL";
    assert_eq!((center.count("SELECT count(*) FROM case_statement"), center.count(clear)), (1, 0));
    let words: String = WORDS.bytes().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(center.count(&format!("SELECT count(*) FROM case_statement WHERE instr(lower(hex(sealed)), '{words}') > 0")), 0);
    center.meddle(
        "INSERT INTO case_statement (subject_id, case_id, number, at, actor, kind, institution, text, due_at)
         SELECT subject_id, case_id, 2, at, 'ben', 'note', '', 'a word of before', NULL FROM case_statement",
    );
    assert_eq!(center.count(clear), 1);
    assert_eq!(seal_all(&center.center).await.unwrap(), 1);
    assert_eq!((seal_all(&center.center).await.unwrap(), center.count(clear)), (0, 0));
    anna.post(&format!("/cases/{case}/decide"), &[("verdict", "false_alarm"), ("reason", "a haircut")]).await;
    let page = anna.get(&format!("/cases/{case}")).await.body;
    assert!(page.contains("the holder") && page.contains("a word of before"), "{page}");
    // Words that somebody moved to another place open for nobody.
    center.meddle(
        "DROP TRIGGER case_statement_stays;
         UPDATE case_statement SET sealed = (SELECT s.sealed FROM case_statement AS s WHERE s.number = 1),
             wrapped = (SELECT s.wrapped FROM case_statement AS s WHERE s.number = 1) WHERE number = 2",
    );
    let page = anna.get(&format!("/cases/{case}")).await.body;
    assert_eq!((page.matches("son was at the till").count(), page.contains("a word of before")), (1, false), "{page}");
}
