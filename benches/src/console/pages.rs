//! Addresses to read: one or more for every route of the console's own list that reads, so that a new page is measured too.

use matcher::console::routes::{ROUTES, Route};
use matcher_core::{
    console::{CaseCode, Role, permits},
    evidence::CaseKind,
};

use super::fill::{City, DRIFTING, INSTITUTION, Known, camera};

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

/// The empty page: TLS, door, session, role, layout with its menu and the token of a form, as any other page has them; of the store it
/// asks for its session alone. It is a reviewer's form to search cases.
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
        // What leads elsewhere.
        "/" | "/sign-in" | "/language/{to}" => Vec::new(),
        "/queue" => queue(),
        "/cases/{case}" => vec![of("step one", cases(&city.first_step, "")), of("step two", cases(&city.second_step, ""))],
        "/cases/{case}/report" => vec![of("", cases(&city.closed, "/report"))],
        "/cases/{case}/photo/{photo}" => vec![of("", photos(&city.first_step))],
        "/cases/{case}/capture/{capture}" => vec![of("", captures(&city.first_step))],
        "/store/{case}" => vec![of("", city.asked.iter().map(|case| format!("/store/{case}")).collect())],
        "/policies/{number}" => vec![of("", vec!["/policies/1".to_owned()])],
        "/figures" | "/peers" | "/drift" | "/drift/chart" => supervision(route.path),
        path if path.ends_with('}') || path.contains("}/") => {
            let cases = path.starts_with("/cases/{case}/") && path.matches('{').count() == 1;
            let one = |known: &Known| path.replace("{case}", &known.case.to_string());
            if cases { vec![of("", city.second_step.iter().map(one).collect())] } else { Vec::new() }
        }
        "/looks" => vec![of("newest", vec!["/looks".to_owned()]), of("of one reader", vec!["/looks?by=ben".to_owned()])],
        _ => plain(),
    }
}

fn cases(of: &[Known], what: &str) -> Vec<String> {
    of.iter().map(|known| format!("/cases/{}{what}", known.case)).collect()
}

fn photos(of: &[Known]) -> Vec<String> {
    of.iter().map(|known| format!("/cases/{}/photo/{}", known.case, known.photo)).collect()
}

fn captures(of: &[Known]) -> Vec<String> {
    of.iter().map(|known| format!("/cases/{}/capture/{}", known.case, known.capture)).collect()
}

/// Figures of a week as they open, and of longer times by what there is most of.
fn supervision(path: &str) -> Vec<(String, Vec<String>)> {
    let one = |what: &str, query: &str| (format!("{path} {what}").trim_end().to_owned(), vec![format!("{path}{query}")]);
    let institution = INSTITUTION;
    match path {
        "/figures" => vec![
            one("", ""),
            one("by camera", "?days=30&by=camera"),
            one("by operator", "?days=30&by=operator"),
            one("by hour", "?days=90&by=hour"),
            one("of a quarter", "?days=90"),
            one("of a store", &format!("?days=90&by=camera&store={institution}")),
        ],
        "/peers" => vec![one("", ""), one("by failures to acquire", "?of=no_face")],
        "/drift/chart" => {
            let of = |number: usize| {
                let name = format!("P1{number:04}");
                format!("/drift/chart?by=camera&store={name}&item={}", camera(&name, 1))
            };
            let store = format!("?by=store&store={institution}&item=");
            vec![(format!("{path} of a camera"), [DRIFTING, 0, 7].map(of).to_vec()), one("of a store", &store)]
        }
        _ => vec![one("", "")],
    }
}

/// The same pages of real cases and of known-answer ones, who reads them: nobody should tell them apart by their time.
#[must_use]
pub fn twins(city: &City) -> Vec<(&'static str, Role, [Vec<String>; 2])> {
    let [first, second, closed] = &city.seeded;
    let (reviewer, supervisor) = (Role::Reviewer, Role::Supervisor);
    vec![
        ("step one", reviewer, [cases(&city.first_step, ""), cases(first, "")]),
        ("photo", reviewer, [photos(&city.first_step), photos(first)]),
        ("capture", reviewer, [captures(&city.first_step), captures(first)]),
        ("step two", reviewer, [cases(&city.second_step, ""), cases(second, "")]),
        ("slip", reviewer, [cases(&city.second_step, "/slip"), cases(second, "/slip")]),
        ("closed, to a supervisor", supervisor, [cases(&city.closed, ""), cases(closed, "")]),
        ("report", supervisor, [cases(&city.closed, "/report"), cases(closed, "/report")]),
    ]
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
