//! Every role on every route, from the very list the router is made of.

use std::collections::BTreeSet;

use matcher::console::routes::{ROUTES, Route};
use matcher_core::console::{Action, Role, permits};

use super::{Visitor, desk};

const FORBIDDEN: &str = "You may not do this.";

/// A path of a route with something that exists in every place.
fn path(route: &Route, case: &str) -> String {
    let named = [("{case}", case), ("{photo}", case), ("{capture}", case), ("{name}", "nobody"), ("{to}", "en"), ("{number}", "1")];
    let path = named.iter().fold(route.path.to_owned(), |path, (part, value)| path.replace(part, value));
    assert!(!path.contains('{'), "a part that this test has nothing for: {route:?}");
    path
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_opens_that_should_not() {
    let (town, case) = desk().await;
    let people = [
        (None, ""),
        (Some(Role::Reviewer), "ben"),
        (Some(Role::Supervisor), "susan"),
        (Some(Role::Auditor), "otto"),
        (Some(Role::Administrator), "adam"),
        (Some(Role::StoreManager), "mia"),
    ];
    assert_eq!(people.len(), Role::ALL.len() + 1, "every role is tried");
    let (mut tried, mut opened) = (0, 0);
    let mut seen = BTreeSet::new();
    for (role, name) in people {
        let mut visitor = if role.is_some() { Visitor::signed_in(&town.center, name).await } else { Visitor::new(&town.center) };
        for route in ROUTES {
            // Signing in or out changes who tries.
            if matches!(route.path, "/sign-in" | "/sign-out") && route.method == "POST" {
                continue;
            }
            let path = path(route, &case);
            let before = visitor.cookies.clone();
            let answer = if route.method == "GET" { visitor.get(&path).await } else { visitor.post(&path, &[]).await };
            visitor.cookies = before;
            tried += 1;
            let said = format!("{role:?} {route:?}: {} {}", answer.status, answer.body);
            assert!(answer.status != 405 && answer.status < 500 && answer.status != 0, "{said}");
            if permits(role, route.action) {
                assert!(!answer.body.contains(FORBIDDEN), "{said}");
                assert!(role.is_none() || !answer.location().starts_with("/sign-in"), "{said}");
                opened += 1;
                seen.extend((route.method == "GET" && matches!(answer.status, 200 | 303)).then_some(route.path));
            } else if role.is_none() && route.method == "GET" {
                assert!(answer.status == 303 && answer.location().starts_with("/sign-in?next="), "{said}");
            } else {
                assert!(answer.status == 403 && answer.body.contains(FORBIDDEN), "{said}");
            }
        }
    }
    assert!(tried > 250 && opened > 80, "{tried} tried, {opened} open");
    // All pages opened to somebody, but for those that ask for more than a role: a case that one holds, was asked about, or may know of.
    let never = ROUTES.iter().filter(|route| route.method == "GET").map(|route| route.path).filter(|path| !seen.contains(path));
    let more = ["/cases/{case}/photo/{photo}", "/cases/{case}/capture/{capture}", "/store/{case}", "/drift/chart", "/cases/{case}/report"];
    assert_eq!(never.collect::<Vec<_>>(), more);
}

#[test]
fn changes_are_posts_and_every_action_has_a_route() {
    for action in Action::ALL {
        assert!(ROUTES.iter().any(|route| route.action == *action), "{action:?}");
    }
    for route in ROUTES.iter().filter(|route| matches!(route.action, Action::WorkOnCase | Action::CloseCase | Action::ReopenCase)) {
        assert_eq!(route.method, "POST", "{route:?}");
    }
    let open: Vec<&str> = ROUTES.iter().filter(|route| route.action == Action::Anyone).map(|route| route.path).collect();
    assert_eq!(open, ["/", "/sign-in", "/sign-in", "/language/{to}", "/static/console.css", "/static/console.js", "/static/icon.svg"]);
}
