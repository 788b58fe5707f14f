//! Signing in: passwords, codes, locks, sessions.

use std::{
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use matcher::{
    app::accounts::{Accounts, Credentials},
    surroundings::{Surroundings, System},
};
use matcher_core::console::{LockRule, Role, SessionRule};

use super::{PASSWORD, Visitor, accounts, add, center, center_with};

#[tokio::test(flavor = "multi_thread")]
async fn a_first_password_is_changed_and_a_second_factor_set_up_before_anything_else() {
    let center = center_with(|config| config.console.second_factor = true).await;
    let mut child = Command::new(env!("CARGO_BIN_EXE_matcher"))
        .args(["--data", center.dir.path().to_str().unwrap(), "user", "add", "anna", "--role", "reviewer"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), b"first pass phrase\n").unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success() && output.stdout.is_empty(), "what was typed is not printed: {output:?}");

    let mut anna = Visitor::new(&center);
    assert_eq!(anna.sign_in("anna", "first pass phrase", "").await.status, 303);
    assert_eq!(anna.get("/queue").await.location(), "/account/password");
    anna.get("/account/password").await;
    let weak =
        anna.post("/account/password", &[("now", "first pass phrase"), ("new", "anna anna anna"), ("again", "anna anna anna")]).await;
    assert_eq!(weak.status, 400);
    let other = anna.clone();
    let change = [("now", "first pass phrase"), ("new", PASSWORD), ("again", PASSWORD)];
    assert_eq!(anna.post("/account/password", &change).await.status, 303);
    assert_eq!(other.cookies, anna.cookies, "this session goes on");
    assert_eq!(anna.get("/queue").await.location(), "/account/second-factor");

    let page = anna.get("/account/second-factor").await;
    let key = page.body.split("id=\"factor-key\">").nth(1).unwrap().split('<').next().unwrap().replace(' ', "");
    assert_eq!(anna.post("/account/second-factor", &[("code", "000000")]).await.status, 400);
    let secret = totp_rs::Secret::try_from_base32(&key).unwrap();
    let totp = totp_rs::Builder::new().with_secret(secret).build().unwrap();
    let seconds = |ahead: i64| u64::try_from(System.now_ms() / 1000 + ahead).unwrap();
    let code = totp.generate(seconds(0)).to_string();
    assert_eq!(anna.post("/account/second-factor", &[("code", &code)]).await.location(), "/account/second-factor?done=1");
    assert_eq!(anna.get("/queue").await.status, 200);

    // From now on a password alone is not enough, and a code works once.
    let mut again = Visitor::new(&center);
    assert_eq!(again.sign_in("anna", PASSWORD, "").await.status, 403);
    let code = totp.generate(seconds(0)).to_string();
    assert_eq!(again.sign_in("anna", PASSWORD, &code).await.status, 303);
    assert_eq!(Visitor::new(&center).sign_in("anna", PASSWORD, &code).await.status, 403, "the same code");
    let database = std::fs::read(center.dir.store()).unwrap_or_default();
    assert!(!database.windows(key.len()).any(|window| window == key.as_bytes()));
    assert_eq!(center.count("SELECT count(*) FROM console_user WHERE password NOT LIKE '$argon2id$%'"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_lock_an_account_and_an_administrator_unlocks_it() {
    let center = center().await;
    add(&center, "anna", Role::Reviewer).await;
    add(&center, "adam", Role::Administrator).await;
    for _ in 0..6 {
        assert_eq!(Visitor::new(&center).sign_in("anna", "not the pass phrase", "").await.status, 403);
    }
    let locked = Visitor::new(&center).sign_in("anna", PASSWORD, "").await;
    assert_eq!(locked.status, 403, "the right password does not help");
    let unknown = Visitor::new(&center).sign_in("nobody", PASSWORD, "").await;
    let strip = |body: &str, csrf: String| body.replace(&csrf, "");
    assert_eq!(strip(&locked.body, locked.csrf()), strip(&unknown.body, unknown.csrf()), "nobody learns who there is");
    let mut adam = Visitor::signed_in(&center, "adam").await;
    adam.get("/users").await;
    assert_eq!(adam.post("/users/anna/unlock", &[]).await.location(), "/users");
    Visitor::signed_in(&center, "anna").await;
    let refused = "SELECT count(*) FROM audit_entry WHERE action = 'sign_in_refused'";
    assert_eq!(center.count(refused), 8);
    assert_eq!(center.count("SELECT count(*) FROM audit_entry WHERE object = 'nobody' OR actor = 'nobody'"), 0, "it may be a password");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_address_tries_so_often_and_no_more() {
    let center = center_with(|config| config.console.sign_ins_a_minute = 3).await;
    add(&center, "anna", Role::Reviewer).await;
    let mut statuses = Vec::new();
    for _ in 0..4 {
        statuses.push(Visitor::new(&center).sign_in("nobody", PASSWORD, "").await.status);
    }
    assert_eq!(statuses, [403, 403, 403, 429]);
    assert_eq!(Visitor::new(&center).sign_in("anna", PASSWORD, "").await.status, 429);
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_names_take_as_long_as_known_ones() {
    let center = center().await;
    add(&center, "anna", Role::Reviewer).await;
    let accounts = accounts(&center);
    let mut times: [Vec<u128>; 2] = Default::default();
    for _ in 0..7 {
        for (of, name) in times.iter_mut().zip(["anna", "nobody"]) {
            let credentials = Credentials { name: name.into(), password: "not the pass phrase".to_owned().into(), code: String::new() };
            let began = std::time::Instant::now();
            accounts.sign_in(&credentials, "").await.unwrap_err();
            of.push(began.elapsed().as_micros());
        }
    }
    let median = |times: &mut Vec<u128>| {
        times.sort_unstable();
        times[times.len() / 2] as f64
    };
    let [known, unknown] = &mut times;
    let ratio = median(known) / median(unknown);
    assert!((0.5..2.0).contains(&ratio), "{known:?} {unknown:?}");
}

/// A clock that a test sets.
struct Clock(AtomicI64);

impl Surroundings for Clock {
    fn now_ms(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
    }

    fn random_id(&self) -> [u8; 16] {
        System.random_id()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_end_when_they_idle_when_they_are_old_and_when_their_user_is_put_out() {
    let center = center().await;
    add(&center, "anna", Role::Reviewer).await;
    let clock = Arc::new(Clock(AtomicI64::new(System.now_ms())));
    let lock = LockRule { free: 5, first_ms: 1, max_ms: 1 };
    let accounts = Accounts::new(center.center.clone(), clock.clone(), lock, SessionRule { idle_ms: 900_000, absolute_ms: 3_600_000 });
    let credentials = Credentials { name: "anna".into(), password: PASSWORD.to_owned().into(), code: String::new() };
    let sign_in = async || accounts.sign_in(&credentials, "").await.unwrap();
    let holds = async |token| accounts.session(&token).await.unwrap().is_some();
    let pass = |ms| {
        clock.0.fetch_add(ms, Ordering::SeqCst);
    };
    let idle = sign_in().await;
    pass(899_999);
    assert!(holds(idle.clone()).await);
    pass(900_000);
    assert!(!holds(idle).await);
    let old = sign_in().await;
    for _ in 0..4 {
        pass(800_000);
        assert!(holds(old.clone()).await);
    }
    pass(800_000);
    assert!(!holds(old).await, "used all the time, and old");
    let out = sign_in().await;
    accounts.set_disabled("anna", true, "adam").await.unwrap();
    assert!(!holds(out).await);
    assert!(accounts.sign_in(&credentials, "").await.is_err());
    accounts.set_disabled("anna", false, "adam").await.unwrap();
    sign_in().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_left_is_over_and_the_language_is_kept() {
    let center = center().await;
    add(&center, "otto", Role::Auditor).await;
    let mut otto = Visitor::signed_in(&center, "otto").await;
    assert_eq!(otto.get("/").await.location(), "/looks");
    let before = otto.clone();
    assert!(otto.get("/language/zh?back=/log").await.location() == "/log");
    assert!(otto.get("/log").await.body.contains("<html lang=\"zh\">"));
    assert_eq!(otto.get("/language/zh?back=//evil.example").await.location(), "/");
    assert_eq!(otto.post("/sign-out", &[]).await.location(), "/sign-in?out=1");
    let mut stolen = before;
    assert_eq!(stolen.get("/log").await.location(), "/sign-in?next=%2Flog", "the cookie of before opens nothing");
    let rotated = Visitor::signed_in(&center, "otto").await;
    assert_ne!(rotated.cookies["__Host-session"], stolen.cookies["__Host-session"]);
}
