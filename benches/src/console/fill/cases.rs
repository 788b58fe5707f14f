//! Cases in every state, as a desk leaves them, with what lists and filters are made of.

use anyhow::Result;
use matcher_core::evidence::CaseKind;

use super::{
    super::sink::{Cell, Sink},
    DAY_MS, DAYS, MEMBERS, Of, Plan, id, scene,
};

impl Plan {
    /// State, standing, second look due: a third is open, most are closed, as a desk leaves them.
    fn state(case: usize) -> (&'static str, &'static str, i64) {
        match Of::case(case) {
            Of::FirstStep | Of::SecondStep | Of::SeededFirst | Of::SeededSecond => ("claimed", "claimed", 0),
            Of::Closed | Of::SeededClosed => ("closed", "closed", 0),
            Of::Others => match case % 20 {
                0..7 => ("open", "open", 0),
                7 => ("decided", "second_due", 1),
                8 => ("decided", "decided", 0),
                _ => ("closed", "closed", 0),
            },
        }
    }

    pub(super) fn opened(&self, case: usize) -> i64 {
        self.now - (case as i64 * 2_654_435_761 % (DAYS * DAY_MS)).abs()
    }

    fn kind(case: usize) -> &'static str {
        CaseKind::ALL.get(case * 13 % CaseKind::ALL.len()).map_or("card_shared", |kind| kind.word())
    }

    fn rank(case: usize) -> f64 {
        (case * 7_919 % 100_000) as f64 / 1_000.0
    }

    /// Whether a store was asked about a case: the manager's about all of theirs.
    pub(super) fn is_asked(&self, case: usize) -> bool {
        Of::case(case) == Of::Others && (case % 20 == 8 || case.is_multiple_of(self.size.institutions))
    }

    pub(super) async fn cases(&self, sink: &mut Sink) -> Result<()> {
        let all = 0..self.size.cases;
        let key = |case: usize| [Cell::from(self.subject(case)), Cell::from(id(b'c', case))];
        let of = |case: usize, rest: Vec<Cell>| [key(case).to_vec(), rest].concat();
        let files = all.clone().map(|case| {
            let opening = if case % 50 == 3 { "complaint" } else { "evidence" };
            of(
                case,
                vec![Self::kind(case).into(), opening.into(), self.opened(case).into(), Self::rank(case).into(), 2_i64.into(), "".into()],
            )
        });
        sink.put("case_file", "subject_id, id, kind, opening, opened_at, log_odds, days, reason", files).await?;
        let members = all.clone().flat_map(|case| {
            (0..MEMBERS).map(move |place| (case, place)).map(|(case, place)| {
                of(case, vec![id(b'v', case * MEMBERS + place).into(), (place as i64 % 2).into(), i64::from(place > 0).into()])
            })
        });
        sink.put("case_member", "subject_id, case_id, verification_id, face, suspect", members).await?;
        let events = all.clone().flat_map(|case| self.events(case));
        sink.put("case_event", "subject_id, case_id, number, at, actor, event, verdict, reason", events).await?;
        let judged = all
            .clone()
            .filter(|case| matches!(Of::case(*case), Of::SecondStep | Of::SeededSecond))
            .map(|case| of(case, vec!["anna".into(), self.now.into(), id(b'v', case * MEMBERS).into(), 1_i64.into(), 0.5.into()]));
        sink.put("case_judgement", "subject_id, case_id, actor, at, verification_id, judgement, draw", judged).await?;
        let desks = all.clone().map(|case| {
            let (state, standing, due) = Self::state(case);
            let assignee = if state == "claimed" { "anna".into() } else { Cell::Null };
            let masked = format!("S{:03}****{:02}", case % 1_000, case % 100);
            let head = vec![Self::kind(case).into(), self.opened(case).into(), Self::rank(case).into(), state.into(), assignee];
            let tail = vec![due.into(), self.opened(case).into(), standing.into(), (MEMBERS as i64).into(), self.institution(case).into()];
            of(case, [head, tail, vec![1_i64.into(), masked.into()]].concat())
        });
        let columns = "subject_id, case_id, kind, opened_at, rank, state, assignee, second_due, changed_at, standing, captures, institution, institutions, identifier_masked";
        sink.put("case_desk", columns, desks).await?;
        let places = all.clone().flat_map(|case| {
            (0..MEMBERS).map(move |place| (case, place)).map(|(case, place)| {
                of(case, vec![self.institution(case).into(), self.transaction(case * MEMBERS + place).into(), scene(case).into()])
            })
        });
        sink.put("case_place", "subject_id, case_id, institution, transaction_id, scene", places).await?;
        let facets = all.flat_map(|case| {
            let (_, standing, _) = Self::state(case);
            [("kind", Self::kind(case).to_owned()), ("institution", self.institution(case)), ("scene", scene(case).to_owned())].map(
                |(facet, value)| {
                    of(case, vec![facet.into(), value.into(), standing.into(), Self::rank(case).into(), self.opened(case).into()])
                },
            )
        });
        sink.put("case_facet", "subject_id, case_id, facet, value, standing, rank, opened_at", facets).await?;
        sink.run("INSERT INTO case_institution SELECT DISTINCT institution FROM case_place").await?;
        sink.run(
            "INSERT INTO reviewer_day SELECT actor, at / 86400000, count(*), 0, 0, 0, 0 FROM case_event WHERE event = 'decided'
             GROUP BY actor, at / 86400000",
        )
        .await?;
        let asked = (0..self.size.cases).filter(|case| self.is_asked(*case)).map(|case| {
            let due = self.now + DAY_MS;
            let head = vec![1_i64.into(), self.opened(case).into(), "susan".into(), "store_asked".into()];
            of(case, [head, vec![self.institution(case).into(), "who was at the till".into(), due.into()]].concat())
        });
        sink.put("case_statement", "subject_id, case_id, number, at, actor, kind, institution, text, due_at", asked).await.map(drop)
    }

    fn events(&self, case: usize) -> Vec<Vec<Cell>> {
        let by = if Of::case(case) != Of::Others { "anna" } else { "ben" };
        let claimed = ("claimed", Cell::Null, "");
        let decided = ("decided", Cell::from("false_alarm"), "the same person");
        let steps = match Self::state(case).0 {
            "open" => vec![],
            "claimed" => vec![claimed],
            "decided" => vec![claimed, decided],
            _ => vec![claimed, decided, ("closed", Cell::Null, "")],
        };
        let row = |(number, (event, verdict, reason)): (i64, (&str, Cell, &str))| {
            let at = self.opened(case) + number * 60_000;
            vec![
                self.subject(case).into(),
                id(b'c', case).into(),
                number.into(),
                at.into(),
                by.into(),
                event.into(),
                verdict,
                reason.into(),
            ]
        };
        (1..).zip(steps).map(row).collect()
    }
}
