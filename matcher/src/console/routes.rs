//! All there is: method, path, and what somebody must be allowed to do. The router is made from this list and nothing else, so
//! that a test can try every role on every route.

use std::{pin::Pin, sync::Arc};

use axum::{
    Router,
    http::Method,
    response::Response,
    routing::{MethodFilter, MethodRouter, on},
};
use matcher_core::console::Action;

use super::{
    Console,
    door::{Refusal, Visit, enter},
    pages::{
        account, assets, case, drift, exports, faces, figures, log, parties, peers, policies, queue, report, reviewers, search, seeds,
        sign_in, store, trial, users,
    },
};

/// What makes a page.
pub type Page = fn(Visit) -> Pin<Box<dyn Future<Output = Result<Response, Refusal>> + Send>>;

/// A route.
#[derive(Clone, Copy)]
pub struct Route {
    /// Its method: GET reads, POST changes.
    pub method: &'static Method,
    /// Its path; `{name}` is any part.
    pub path: &'static str,
    /// What somebody must be allowed to do.
    pub action: Action,
    /// What makes the page.
    pub page: Page,
}

impl std::fmt::Debug for Route {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} ({})", self.method, self.path, self.action.word())
    }
}

impl Route {
    /// The parts of a path that this route names, in order.
    #[must_use]
    pub fn parts(&self, path: &str) -> Vec<String> {
        let named = |(of_route, of_path): (&str, &str)| of_route.starts_with('{').then(|| of_path.to_owned());
        self.path.split('/').zip(path.split('/')).filter_map(named).collect()
    }
}

macro_rules! routes {
    ($($method:ident $path:literal $action:ident $page:path,)+) => {
        /// The routes.
        pub static ROUTES: &[Route] = &[$(Route {
            method: &Method::$method,
            path: $path,
            action: Action::$action,
            page: |visit| Box::pin($page(visit)),
        },)+];
    };
}

routes! {
    GET "/" Anyone sign_in::start,
    GET "/sign-in" Anyone sign_in::form,
    POST "/sign-in" Anyone sign_in::enter,
    POST "/sign-out" Oneself sign_in::leave,
    GET "/language/{to}" Anyone sign_in::language,
    GET "/static/console.css" Anyone assets::style,
    GET "/static/console.js" Anyone assets::script,
    GET "/static/icon.svg" Anyone assets::icon,
    GET "/account/password" Oneself account::password,
    POST "/account/password" Oneself account::change_password,
    GET "/account/second-factor" Oneself account::second_factor,
    POST "/account/second-factor" Oneself account::confirm_second_factor,
    GET "/queue" SeeQueue queue::list,
    POST "/queue/next" WorkOnCase queue::next,
    GET "/search" Search queue::search_form,
    POST "/search" Search queue::search,
    GET "/cases/{case}" SeeCase case::show,
    POST "/cases/{case}/claim" WorkOnCase case::claim,
    POST "/cases/{case}/release" WorkOnCase case::release,
    POST "/cases/{case}/judge" WorkOnCase case::judge,
    POST "/cases/{case}/decide" WorkOnCase case::decide,
    POST "/cases/{case}/close" CloseCase case::close,
    POST "/cases/{case}/reopen" ReopenCase case::reopen,
    POST "/cases/{case}/note" WorkOnCase parties::note,
    POST "/cases/{case}/ask" HearParties parties::ask,
    POST "/cases/{case}/complaint" HearParties parties::complaint,
    POST "/cases/{case}/answer" HearParties parties::answer,
    GET "/cases/{case}/slip" HearParties parties::slip,
    GET "/cases/{case}/photo/{photo}" SeeFace faces::photo,
    GET "/cases/{case}/capture/{capture}" SeeFace faces::capture,
    GET "/store" AnswerForStore store::list,
    GET "/store/{case}" AnswerForStore store::show,
    POST "/store/{case}/reply" AnswerForStore store::reply,
    GET "/looks" SeeLooks log::looks,
    GET "/log" CheckLog log::log,
    POST "/log/check" CheckLog log::check,
    GET "/reviewers" SeeReviewers reviewers::show,
    GET "/figures" SeeFigures figures::show,
    GET "/drift" SeeFigures drift::show,
    GET "/drift/chart" SeeFigures drift::chart,
    POST "/drift/accept" AcceptDrift drift::accept,
    GET "/peers" SeeFigures peers::show,
    GET "/policies" SeePolicies policies::list,
    GET "/policies/{number}" SeePolicies policies::one,
    GET "/policy-trial" TryPolicy trial::show,
    POST "/policy-trial" TryPolicy trial::begin,
    GET "/face-search" SearchFaces search::form,
    POST "/face-search" SearchFaces search::ask,
    GET "/exports" ExportTables exports::form,
    POST "/exports" ExportTables exports::take,
    GET "/cases/{case}/report" ReportCase report::show,
    GET "/seeds" SeeSeeds seeds::list,
    GET "/users" ManageUsers users::list,
    POST "/users/add" ManageUsers users::add,
    POST "/users/{name}/role" ManageUsers users::role,
    POST "/users/{name}/password" ManageUsers users::password,
    POST "/users/{name}/second-factor" ManageUsers users::second_factor,
    POST "/users/{name}/disable" ManageUsers users::disable,
    POST "/users/{name}/enable" ManageUsers users::enable,
    POST "/users/{name}/unlock" ManageUsers users::unlock,
}

/// What a request goes to that no route takes.
static NOTHING: Route = Route { method: &Method::GET, path: "", action: Action::Anyone, page: |visit| Box::pin(nothing(visit)) };

async fn nothing(_: Visit) -> Result<Response, Refusal> {
    Err(Refusal::NotFound)
}

pub(super) fn router(console: &Arc<Console>) -> Router {
    let mut paths: Vec<&'static str> = ROUTES.iter().map(|route| route.path).collect();
    paths.sort_unstable();
    paths.dedup();
    let mut router = Router::new();
    for path in paths {
        let mut methods: MethodRouter = MethodRouter::new();
        for route in ROUTES.iter().filter(|route| route.path == path) {
            let filter = if *route.method == Method::GET { MethodFilter::GET } else { MethodFilter::POST };
            methods = methods.merge(on(filter, enter).with_state((Arc::clone(console), route)));
        }
        router = router.route(path, methods);
    }
    router.fallback_service(axum::routing::any(enter).with_state((Arc::clone(console), &NOTHING)))
}
