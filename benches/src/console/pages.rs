//! Addresses to read: one or more for every route of the console's own list that reads, so that a new page is measured too.

use matcher::console::routes::{ROUTES, Route};
use matcher_core::{
    console::{CaseCode, Role, permits},
    evidence::CaseKind,
};

use super::fill::{City, INSTITUTION};

/// A page that is read again and again.
#[derive(Debug, Clone)]
pub struct Page {
    /// What it is called in the report.
    pub name: String,
    /// Who reads it.
    pub role: Role,
    /// Its addresses, in turns.
    pub paths: Vec<String>,
    /// The form, where it is sent and not read.
    pub form: Vec<(&'static str, String)>,
}

/// The empty page: as much door, session and layout as any other, and nothing from the store.
#[must_use]
pub fn empty() -> Page {
    Page { name: "(an empty page)".to_owned(), role: Role::Reviewer, paths: vec!["/search".to_owned()], form: Vec::new() }
}

/// Every page; and the routes that name something which is not known here, and are left out.
#[must_use]
pub fn all(city: &City) -> (Vec<Page>, Vec<String>) {
    let (mut pages, mut left_out) = (Vec::new(), Vec::new());
    for route in ROUTES.iter().filter(|route| *route.method == "GET") {
        let Some(role) = Role::ALL.iter().copied().find(|role| permits(Some(*role), route.action)) else { continue };
        match addresses(route, city) {
            found if found.is_empty() => left_out.push(route.path.to_owned()),
            found => pages.extend(found.into_iter().map(|(name, paths)| Page { name, role, paths, form: Vec::new() })),
        }
    }
    pages.extend(searches(city));
    (pages, left_out)
}

fn addresses(route: &Route, city: &City) -> Vec<(String, Vec<String>)> {
    let plain = || vec![(route.path.to_owned(), vec![route.path.to_owned()])];
    let of = |what: &str, paths: Vec<String>| (format!("{} {what}", route.path), paths);
    match route.path {
        // What leads elsewhere, is a file, or needs what is not here: weeks of charts, a case that was closed.
        "/" | "/sign-in" | "/language/{to}" | "/drift/chart" | "/cases/{case}/report" => Vec::new(),
        "/queue" => queue(),
        "/cases/{case}" => vec![
            of("step one", city.first_step.iter().map(|known| format!("/cases/{}", known.case)).collect()),
            of("step two", city.second_step.iter().map(|known| format!("/cases/{}", known.case)).collect()),
        ],
        "/cases/{case}/photo/{photo}" => {
            vec![of("", city.first_step.iter().map(|known| format!("/cases/{}/photo/{}", known.case, known.photo)).collect())]
        }
        "/cases/{case}/capture/{capture}" => {
            vec![of("", city.first_step.iter().map(|known| format!("/cases/{}/capture/{}", known.case, known.capture)).collect())]
        }
        path if path.ends_with('}') || path.contains("}/") => {
            let cases = path.starts_with("/cases/{case}/") && path.matches('{').count() == 1;
            let one = |known: &super::fill::Known| path.replace("{case}", &known.case.to_string());
            if cases { vec![of("", city.second_step.iter().map(one).collect())] } else { Vec::new() }
        }
        "/looks" => vec![of("newest", vec!["/looks".to_owned()]), of("of one reader", vec!["/looks?by=ben".to_owned()])],
        _ => plain(),
    }
}

fn queue() -> Vec<(String, Vec<String>)> {
    let of = |what: &str, queries: &[String]| {
        (format!("/queue {what}"), queries.iter().map(|query| format!("/queue?{query}")).collect::<Vec<_>>())
    };
    let kinds: Vec<String> = CaseKind::ALL.iter().map(|kind| format!("kind={}", kind.word())).collect();
    let states = ["open", "claimed", "second_due", "decided", "closed"].map(|state| format!("state={state}"));
    vec![
        ("/queue".to_owned(), vec!["/queue".to_owned()]),
        of("by state", &states),
        of("mine", &["assignee=me".to_owned()]),
        of("of a kind", &kinds),
        of("of a store", &[format!("store={INSTITUTION}"), format!("store={INSTITUTION}&state=closed")]),
        of("of a scene", &["scene=reception".to_owned(), "scene=settlement&state=closed".to_owned()]),
        of("by age", &["age=day", "age=week", "age=older"].map(str::to_owned)),
        of(
            "by several",
            &["kind=card_shared&scene=reception&age=week".to_owned(), "kind=same_face&scene=settlement&state=open".to_owned()],
        ),
    ]
}

fn searches(city: &City) -> Vec<Page> {
    let code = city.first_step.first().map_or_else(String::new, |known| CaseCode::of(&known.case.0).to_string());
    let texts = [("a case's code", code), ("a transaction", city.transaction.clone()), ("a card nobody has", "S999999999".to_owned())];
    let page = |(what, text): (&str, String)| Page {
        name: format!("/search for {what}"),
        role: Role::Reviewer,
        paths: vec!["/search".to_owned()],
        form: vec![("text", text), ("reason", "a bench".to_owned())],
    };
    texts.into_iter().map(page).collect()
}
