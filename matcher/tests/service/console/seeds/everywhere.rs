//! A known-answer case and a real one side by side, on every route that names a case, for every role, from the first look to the last: what
//! is shown, refused, linked and sent along is the same but for numbers, names of records and times.

use std::collections::BTreeMap;

use matcher::console::routes::ROUTES;

use super::*;

/// Links, form targets and picture addresses of a page, without what differs between any two cases.
fn links(answer: &Answer) -> Vec<String> {
    let of = |mark: &str| {
        let ends = |rest: &str| bare(rest.split('"').next().unwrap_or_default());
        answer.body.split(mark).skip(1).map(ends).collect::<Vec<_>>()
    };
    ["href=\"", "action=\"", "src=\"", "name=\"", "value=\""].into_iter().flat_map(of).collect()
}

#[track_caller]
fn same(what: &str, seeded: &Answer, real: &Answer) {
    assert_eq!((seeded.status, headers(seeded)), (real.status, headers(real)), "{what}");
    assert_eq!(bare(seeded.location()), bare(real.location()), "{what}");
    if !seeded.header("content-type").unwrap_or_default().starts_with("image/") {
        let (of_seeded, of_real) = (bare(&seeded.body), bare(&real.body));
        let differs = of_seeded.lines().zip(of_real.lines()).find(|(a, b)| a != b);
        assert_eq!(differs, None, "{what}");
        assert_eq!(links(seeded), links(real), "{what}");
        let (len, other) = (seeded.body.len() as i64, real.body.len() as i64);
        assert!((len - other).abs() < 60, "{what}: {len} {other}");
    }
}

/// Who takes which step with what words.
type Step = (&'static str, &'static str, &'static [(&'static str, &'static str)]);

/// Two cases, and everybody who may look at them.
struct Pair {
    people: BTreeMap<&'static str, Visitor>,
    seeded: RecordId,
    real: RecordId,
}

impl Pair {
    async fn both(&mut self, who: &str, what: &str, path: &str, fields: Option<&[(&str, &str)]>) -> Answer {
        let visitor = self.people.get_mut(who).unwrap();
        let mut answers = Vec::new();
        for id in [self.seeded, self.real] {
            let path = path.replace("{case}", &id.to_string());
            answers.push(match fields {
                Some(fields) => {
                    let code = matcher_core::console::CaseCode::of(&id.0).to_string();
                    let fields: Vec<(&str, &str)> =
                        fields.iter().map(|(name, value)| (*name, if *value == "{code}" { code.as_str() } else { *value })).collect();
                    visitor.post(&path, &fields).await
                }
                None => visitor.get(&path).await,
            });
        }
        same(&format!("{what}: {who} {path}"), &answers[0], &answers[1]);
        answers.swap_remove(0)
    }

    /// Every route with a case that reads, for everybody, and the lists a case stands in.
    async fn look(&mut self, stage: &str) -> usize {
        let mut looked = 0;
        for who in self.people.keys().copied().collect::<Vec<_>>() {
            for route in ROUTES.iter().filter(|route| route.method == "GET" && route.path.contains("{case}")) {
                if route.path.contains("{photo}") || route.path.contains("{capture}") {
                    self.pictures(stage, who).await;
                } else {
                    self.both(who, stage, route.path, None).await;
                }
                looked += 1;
            }
            self.both(who, stage, "/looks?about={case}", None).await;
        }
        self.people.get_mut("anna").unwrap().get("/search").await;
        self.both("anna", stage, "/search", Some(&[("text", "{code}"), ("reason", "a slip")])).await;
        looked
    }

    /// The pictures that a page of each case names; and, where it names none, those of the other: refused alike.
    async fn pictures(&mut self, stage: &str, who: &str) {
        let visitor = self.people.get_mut(who).unwrap();
        let mut shown = Vec::new();
        for id in [self.seeded, self.real] {
            let page = visitor.get(&format!("/cases/{id}")).await;
            shown.push(super::super::journey::pictures(&page));
        }
        assert_eq!(shown[0].len(), shown[1].len(), "{stage} {who}");
        for (seeded, real) in shown[0].iter().zip(&shown[1]) {
            let (seeded, real) = (visitor.get(seeded).await, visitor.get(real).await);
            assert_eq!(seeded.status, 200);
            same(&format!("{stage} {who}"), &seeded, &real);
        }
        let nothing = RecordId([9; 16]);
        for what in ["photo", "capture"] {
            self.both(who, stage, &format!("/cases/{{case}}/{what}/{nothing}"), None).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_route_tells_anybody_which_cases_are_known() {
    let town = town().await;
    for (name, role) in [("otto", Role::Auditor), ("adam", Role::Administrator)] {
        add(&town.center, name, role).await;
    }
    let (seeds, real) = told_apart(&town).await;
    let mut people = BTreeMap::new();
    for name in ["anna", "ben", "susan", "otto", "adam"] {
        people.insert(name, Visitor::signed_in(&town.center, name).await);
    }
    let mut pair = Pair { people, seeded: seeds[0], real: real[0] };
    let mut looked = pair.look("open").await;
    let steps: [Step; 17] = [
        ("anna", "judge", &[("judgement", "-2")]),
        ("anna", "claim", &[]),
        ("ben", "claim", &[]),
        ("anna", "decide", &[("verdict", "confirmed"), ("reason", "two people")]),
        ("anna", "judge", &[("judgement", "-2")]),
        ("anna", "note", &[("text", "the ear")]),
        ("anna", "ask", &[("institution", "P1"), ("text", "who was at the till")]),
        ("anna", "complaint", &[("text", "it was me")]),
        ("anna", "decide", &[("verdict", "confirmed"), ("reason", "two people")]),
        ("susan", "close", &[]),
        ("ben", "claim", &[]),
        ("ben", "judge", &[("judgement", "-3")]),
        ("ben", "decide", &[("verdict", "confirmed"), ("reason", "two people")]),
        ("ben", "close", &[]),
        ("ben", "answer", &[("text", "we looked again")]),
        ("susan", "close", &[]),
        ("susan", "reopen", &[("reason", "an appeal")]),
    ];
    for (number, (who, step, fields)) in steps.into_iter().enumerate() {
        if number == steps.len() - 2 {
            // The store's time is over; of a known-answer case no store was asked.
            town.center.meddle("UPDATE case_statement SET due_at = 1 WHERE kind = 'store_asked'");
        }
        let answer = pair.both(who, "a step", &format!("/cases/{{case}}/{step}"), Some(fields)).await;
        if number >= steps.len() - 2 {
            assert_eq!(answer.status, 303, "{step}: {}", answer.body);
        }
        if ["judge", "decide", "close", "reopen"].contains(&step) {
            looked += pair.look(step).await;
        }
    }
    assert!(looked > 300, "{looked}");
    let count = |table: &str, id: RecordId| {
        let hex: String = id.0.iter().map(|byte| format!("{byte:02x}")).collect();
        town.center.count(&format!("SELECT count(*) FROM {table} WHERE lower(hex(case_id)) = '{hex}'"))
    };
    assert_eq!((count("case_event", pair.seeded), count("case_event", pair.real)), (6, 6));
    assert_eq!(count("case_judgement", pair.seeded), 2);
    // A store alone hears of no case that is none; it sees none of the others' pages.
    let mut mia = Visitor::signed_in(&town.center, "mia").await;
    let asked = mia.get("/store").await.body;
    assert_eq!((asked.matches("href=\"/store/").count(), asked.contains(&pair.seeded.to_string())), (1, false), "{asked}");
}

/// Share of pairs of one of each in which the second is larger.
fn larger(first: &[[u8; 16]], second: &[[u8; 16]]) -> f64 {
    let above = second.iter().map(|of| first.iter().filter(|other| *other < of).count()).sum::<usize>();
    above as f64 / (first.len() * second.len()) as f64
}

#[tokio::test(flavor = "multi_thread")]
async fn no_order_of_ids_and_no_time_of_day_tells_which_are_known() {
    let mut town = Town::with(center().await).await;
    town.runner.settings.seed_share = 0.5;
    town.pictured([&JPEG, &JPEG, &JPEG]);
    for card in 0..8 {
        town.shared_card(&format!("A1002000{card}")).await;
        pair(&town, &format!("pair {card}"), card % 2 == 0).await;
    }
    town.run().await;
    let (seeds, real) = told_apart(&town).await;
    assert_eq!((seeds.len(), real.len()), (8, 8));
    let store = &town.center.center.store;
    let (mut ids, mut times, mut takes) = ([Vec::new(), Vec::new()], [Vec::new(), Vec::new()], [Vec::new(), Vec::new()]);
    for (which, cases) in [&seeds, &real].into_iter().enumerate() {
        for id in cases {
            let stored = store.case(*id).await.unwrap().unwrap();
            ids[which].extend([id.0, stored.case.subject.0]);
            let around = store.case_surroundings(stored.case.subject, *id).await.unwrap();
            ids[which].extend(around.photos.iter().map(|photo| photo.photo.0));
            let keys = stored.case.members.iter().map(|member| (stored.case.subject, member.verification)).collect();
            for record in store.verifications_at(keys).await.unwrap() {
                let record = record.unwrap();
                ids[which].push(record.id.0);
                times[which].push(record.captured_at);
                takes[which].push(record.decided_at - record.captured_at);
            }
        }
        times[which].sort_unstable();
        takes[which].sort_unstable();
    }
    // Ids that rose with time would give 1 or 0; chance is beyond these bounds once in a hundred thousand runs.
    let share = larger(&ids[1], &ids[0]);
    assert!((0.25..0.75).contains(&share), "{share}");
    assert_eq!((ids[0].len(), takes[0].clone()), (ids[1].len(), takes[1].clone()));
    // Time by time in their order: nowhere further apart than captures are moved.
    for (seeded, real) in times[0].iter().zip(&times[1]) {
        assert!((seeded - real).abs() < 10 * 60_000, "{seeded} {real}");
    }
}
