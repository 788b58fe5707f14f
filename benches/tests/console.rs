//! The console's bench at a small size: every page of the list is read by whoever may, and none is far from the limits even in a development
//! build. The real size is measured by the program `console`.

use benches::console::{
    fill::Size,
    run::{Plan, measure},
};

#[tokio::test(flavor = "multi_thread")]
async fn every_page_is_read_in_time() {
    let size = Size { verifications: 3_000, flags: 1_000, cases: 600, institutions: 20 };
    let folder = tempfile::tempdir().unwrap();
    let plan = Plan { size, rounds: 5, store: "sqlite".into() };
    let report = measure(&plan, folder.path(), |_| {}).await.unwrap();
    assert!(report.pages.len() > 20, "{}", report.text());
    assert!(report.within(1_000.0, f64::INFINITY, 0.5), "{}", report.text());
    assert_eq!(report.left_out, ["/", "/sign-in", "/language/{to}"], "{}", report.text());
    assert_eq!(report.twins.len(), 7);
}
