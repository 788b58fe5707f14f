//! A center on port 0 in a folder of its own, people in its store, and devices with keys of their own.

mod device;
mod late;

use std::sync::Arc;

use matcher::{
    app::{
        batch::{Pressure, Runner},
        sample::quality_to_bytes,
    },
    center::Center,
    config::Config,
    data_dir::DataDir,
    device::{IssueArgs, Role, issue},
    feature_models::FeatureModels,
    init::{InitArgs, init},
    policy::{Policies, PolicyKey, history::History},
    serve,
    store::{BoundIdentifier, Device, Enrolled, Flag, Listing, NewEnrolment, Sealed, StoredReference, SubjectId, Verification},
    surroundings::{Surroundings, System},
    tls::ServerTls,
    vault::{DataKey, IdentifierContext, RecordContext},
};
use matcher_core::{Identifier, IdentifierKind, Life, Policy, ReferenceSource, Region};
use models::manifest::Manifest;
use models_core::{Component, ModelId, Quality, RecipeId, Template};
use tempfile::TempDir;
use tests_postgres::Postgres;
use tokio::{sync::oneshot, task::JoinHandle};

pub(crate) use device::{TestDevice, attempt, capture, failure, measure, probe, sample};

/// A running center.
pub(crate) struct TestCenter {
    folder: TempDir,
    postgres: Option<Arc<Postgres>>,
    pub(crate) dir: DataDir,
    pub(crate) center: Center,
    pub(crate) address: String,
    pub(crate) published: std::net::SocketAddr,
    pub(crate) joining: String,
    pub(crate) console: Option<std::net::SocketAddr>,
    served: Arc<Policies>,
    tls: Arc<ServerTls>,
    stop: Option<oneshot::Sender<()>>,
    server: Option<JoinHandle<()>>,
}

impl TestCenter {
    /// An initialised center that serves.
    pub(crate) async fn init() -> Self {
        Self::init_with(|_| {}).await
    }

    /// An initialised center that serves under changed settings.
    pub(crate) async fn init_with(change: impl FnOnce(&mut Config)) -> Self {
        // Everything that does not look into the file can be tried on the other engine too.
        let postgres = std::env::var_os("COUNTERSIGN_TEST_POSTGRES").map(|_| Arc::new(Postgres::start().unwrap()));
        Self::init_on(postgres, change).await
    }

    /// An initialised center on a PostgreSQL of its own.
    pub(crate) async fn on_postgres() -> Self {
        Self::init_on(Some(Arc::new(Postgres::start().unwrap())), |_| {}).await
    }

    async fn init_on(postgres: Option<Arc<Postgres>>, change: impl FnOnce(&mut Config)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store_url = postgres.as_ref().map(|postgres| postgres.database("center").unwrap());
        let args = InitArgs { server_names: vec!["localhost".into(), "127.0.0.1".into()], demonstration: true, store_url };
        init(&DataDir::new(folder.path().join("center")), &args, System.now_ms()).await.unwrap();
        Self { postgres, ..Self::reopen(folder, change).await }
    }

    /// Another process's server on the same store: its address.
    pub(crate) async fn beside(&self) -> (Bystander, String) {
        let mut config = Config::load(&self.dir).unwrap();
        config.server.listen = "127.0.0.1:0".parse().unwrap();
        config.published.listen = "127.0.0.1:0".parse().unwrap();
        config.joining.listen = "127.0.0.1:0".parse().unwrap();
        let bound = serve::bind(&self.dir, &config).await.unwrap();
        let address = format!("https://{}", bound.address());
        let (stop, stopped) = oneshot::channel::<()>();
        let server = tokio::spawn(async move { bound.run(async { drop(stopped.await) }).await.unwrap() });
        (Bystander { _stop: stop, _server: server }, address)
    }

    /// A center that serves a folder again, under changed settings.
    pub(crate) async fn reopen(folder: TempDir, change: impl FnOnce(&mut Config)) -> Self {
        let dir = DataDir::initialised(folder.path().join("center")).unwrap();
        let mut config = Config::load(&dir).unwrap();
        config.server.listen = "127.0.0.1:0".parse().unwrap();
        config.published.listen = "127.0.0.1:0".parse().unwrap();
        config.joining.listen = "127.0.0.1:0".parse().unwrap();
        // Tests that want it do it themselves, when they want it.
        config.recheck.here = false;
        config.retention.here = false;
        config.cases.here = false;
        config.batch.here = false;
        change(&mut config);
        let bound = serve::bind(&dir, &config).await.unwrap();
        let address = format!("https://{}", bound.address());
        let (published, console) = (bound.published_address(), bound.console_address());
        let joining = bound.joining_address().map(|address| format!("https://{address}")).unwrap_or_default();
        let (served, tls) = (bound.policies(), bound.tls());
        let (stop, stopped) = oneshot::channel::<()>();
        let server = tokio::spawn(async move {
            bound.run(async { drop(stopped.await) }).await.unwrap();
        });
        let center = Center::open(&dir).await.unwrap();
        let (stop, server) = (Some(stop), Some(server));
        Self { folder, postgres: None, dir, center, address, published, joining, console, served, tls, stop, server }
    }

    /// A center whose decisions count, under changed settings.
    pub(crate) async fn live_with(change: impl FnOnce(&mut Config)) -> Self {
        let center = Self::init_with(change).await;
        center.apply(&live()).await;
        center
    }

    /// A center whose decisions count, with one device at one counter.
    pub(crate) async fn live() -> (Self, TestDevice) {
        let center = Self::live_with(|_| {}).await;
        let device = center.device("1").await;
        (center, device)
    }

    /// Lets the server look at its certificates now, as it does every two seconds.
    pub(crate) fn look_at_certificates(&self) {
        self.tls.refresh();
    }

    /// Puts a policy in force and waits until the server works by it.
    pub(crate) async fn apply(&self, text: &str) {
        self.apply_at(text, System.now_ms()).await;
    }

    /// Puts a policy in force as of a time.
    pub(crate) async fn apply_at(&self, text: &str, at: i64) {
        let policy = Policy::from_toml(text).unwrap();
        let key = PolicyKey::load(&self.dir.policy_key()).unwrap();
        let after = self.center.store.policy_number().await.unwrap();
        let signed = key.sign(&policy, text, at, "a test", "a test");
        self.center.store.apply_policy(after, signed).await.unwrap();
        self.center.policies.refresh().await;
        self.served.refresh().await;
    }

    /// A center with one device at one counter.
    pub(crate) async fn with_device() -> (Self, TestDevice) {
        let center = Self::init().await;
        let device = center.device("1").await;
        (center, device)
    }

    /// Joins a device at a counter and connects it.
    pub(crate) async fn device(&self, counter: &str) -> TestDevice {
        self.device_as(counter, Role::Counter, System.now_ms()).await
    }

    /// Joins a device of another institution and connects it.
    pub(crate) async fn device_of(&self, institution: &str) -> TestDevice {
        let device = TestDevice::new(self.folder.path(), &format!("{institution}-1"));
        self.issue_to(&device, institution, "1", Role::Counter, System.now_ms()).await;
        device.connect(&self.address)
    }

    /// Joins a device in a role, issued at a time for a month.
    pub(crate) async fn device_as(&self, counter: &str, role: Role, issued_at: i64) -> TestDevice {
        let device = TestDevice::new(self.folder.path(), &format!("P1-{counter}"));
        self.issue(&device, counter, role, issued_at).await;
        device.connect(&self.address)
    }

    /// Signs a device's request.
    pub(crate) async fn issue(&self, device: &TestDevice, counter: &str, role: Role, issued_at: i64) -> Device {
        self.issue_to(device, "P1", counter, role, issued_at).await
    }

    async fn issue_to(&self, device: &TestDevice, institution: &str, counter: &str, role: Role, issued_at: i64) -> Device {
        let args = IssueArgs {
            csr: device.csr(),
            institution: institution.into(),
            counter: counter.into(),
            role,
            id: None,
            replace: false,
            out: device.bundle(),
        };
        issue(&self.dir, self.center.store.as_ref(), &args, 30, issued_at).await.unwrap()
    }

    /// Enrols a card with the reference every [`probe`] is measured against.
    pub(crate) async fn enrol(&self, card: &str) {
        let models = models();
        let current = models.current();
        self.enrol_with(card, &template(current.model.as_str(), current.recipe.as_str(), 1.0)).await;
    }

    /// Enrols a card with a template, past the networks.
    pub(crate) async fn enrol_with(&self, card: &str, template: &Template) {
        // Captures of some tests were made minutes before.
        self.enrol_at(card, template, System.now_ms() - 3_600_000).await;
    }

    /// Enrols a card with a template as of a time, past the networks.
    pub(crate) async fn enrol_at(&self, card: &str, template: &Template, at: i64) {
        let subject = System.new_subject();
        let (key, wrapped) = self.center.vault.new_data_key(subject);
        assert_eq!(self.put(card, template, at, (subject, &key, wrapped)).await, Enrolled::New);
    }

    /// Enrols a card as [`TestCenter::enrol`] does, with a photo that can be looked at.
    pub(crate) async fn enrol_pictured(&self, card: &str, photo: &[u8]) {
        let models = models();
        let current = models.current();
        let subject = System.new_subject();
        let (key, wrapped) = self.center.vault.new_data_key(subject);
        let template = template(current.model.as_str(), current.recipe.as_str(), 1.0);
        let put = self.put_pictured(card, (&template, photo), System.now_ms() - 3_600_000, (subject, &key, wrapped));
        assert_eq!(put.await, Enrolled::New);
    }

    /// Enrols another photo of a card as of now, in the place of the one before.
    pub(crate) async fn replace(&self, card: &str, template: &Template) {
        let (stored, _) = self.center.subject_of(&number(card)).await.unwrap().unwrap();
        let key = self.center.vault.unwrap_data_key(stored.subject, &stored.data_key).unwrap();
        let put = self.put(card, template, System.now_ms(), (stored.subject, &key, stored.data_key));
        assert_eq!(put.await, Enrolled::Replaced);
    }

    async fn put(&self, card: &str, template: &Template, at: i64, person: (SubjectId, &DataKey, Sealed)) -> Enrolled {
        self.put_pictured(card, (template, b"photo"), at, person).await
    }

    async fn put_pictured(
        &self,
        card: &str,
        (template, photo): (&Template, &[u8]),
        at: i64,
        (subject, key, wrapped): (SubjectId, &DataKey, Sealed),
    ) -> Enrolled {
        let (record, model) = (System.new_record(), template.model().as_str().to_owned());
        let reference = StoredReference {
            subject,
            record,
            photo: record,
            template: key.seal(&RecordContext::reference_template(subject, record, &model), &template.to_f16_le_bytes()),
            model,
            recipe: template.recipe().as_str().to_owned(),
            photo_mac: key.photo_mac(&record.0),
            source: ReferenceSource::CardPhoto,
            life: Life::begun(at),
            photo_taken_on: None,
        };
        let photo = key.seal(&RecordContext::enrolment_photo(subject, record), photo);
        let mut measured = Quality::default();
        measured.set(Component::InterEyeDistance, 60.0, 70);
        let quality = key.seal(&RecordContext::enrolment_quality(subject, record), &quality_to_bytes(&measured));
        let row = self.center.lookup.row(&number(card));
        let sealed = Some(key.seal_number(&IdentifierContext { subject, key: &row }, &number(card)));
        let identifiers = vec![BoundIdentifier { key: row, lookup_key_id: self.center.lookup.id(), number: sealed }];
        let new = NewEnrolment { identifiers, data_key: wrapped, strict_data_key: None, birth: None, reference, photo, quality };
        self.center.store.put_enrolments(vec![new]).await.unwrap().remove(0).unwrap()
    }

    /// What compares captures that came late and captures again, in this process.
    pub(crate) fn runner(&self) -> Runner {
        let history = Arc::new(History::new(Arc::clone(&self.center.store), *self.center.policies.key()));
        serve::runner(&self.center, &Config::load(&self.dir).unwrap(), history, Pressure::default())
    }

    /// Compares all that waits.
    pub(crate) async fn work(&self) {
        let runner = self.runner();
        while runner.next().await.unwrap() {}
    }

    /// All verifications, newest first.
    pub(crate) async fn verifications(&self) -> Vec<Verification> {
        self.center.store.verifications(&Listing { limit: 1000, ..Listing::default() }).await.unwrap()
    }

    /// All flags, newest first.
    pub(crate) async fn flags(&self) -> Vec<Flag> {
        self.center.store.flags(&Listing { limit: 1000, ..Listing::default() }).await.unwrap()
    }

    /// Words of all flags, in the order of the alphabet.
    pub(crate) async fn flag_words(&self) -> Vec<&'static str> {
        let mut words: Vec<_> = self.flags().await.iter().map(|flag| flag.kind.word()).collect();
        words.sort_unstable();
        words
    }

    /// Names of all flags, in the order of the alphabet: a suspicion of tampering by its reason.
    pub(crate) async fn flag_names(&self) -> Vec<String> {
        let name = |flag: Flag| if flag.reason.is_empty() { flag.kind.word().to_owned() } else { flag.reason };
        let mut names: Vec<_> = self.flags().await.into_iter().map(name).collect();
        names.sort_unstable();
        names
    }

    /// Somebody with the database but without the keys changes it.
    pub(crate) fn meddle(&self, sql: &str) {
        match &self.postgres {
            Some(postgres) => drop(postgres.query("center", sql).unwrap()),
            None => rusqlite::Connection::open(self.dir.store()).unwrap().execute_batch(sql).unwrap(),
        }
    }

    /// A number that a query of the database gives.
    pub(crate) fn count(&self, sql: &str) -> i64 {
        match &self.postgres {
            Some(postgres) => postgres.query("center", sql).unwrap().parse().unwrap(),
            None => rusqlite::Connection::open(self.dir.store()).unwrap().query_row(sql, [], |row| row.get(0)).unwrap(),
        }
    }

    /// A text that a query of the database gives.
    pub(crate) fn text(&self, sql: &str) -> String {
        match &self.postgres {
            Some(postgres) => postgres.query("center", sql).unwrap(),
            None => rusqlite::Connection::open(self.dir.store()).unwrap().query_row(sql, [], |row| row.get(0)).unwrap(),
        }
    }

    /// Asks the server to stop and waits until it has.
    pub(crate) async fn stop(mut self) -> TempDir {
        self.stop.take().unwrap().send(()).unwrap();
        self.server.take().unwrap().await.unwrap();
        self.folder
    }
}

/// A server beside a center's own, for as long as this is held.
pub(crate) struct Bystander {
    _stop: oneshot::Sender<()>,
    _server: JoinHandle<()>,
}

/// The shipped policy as if it had been calibrated and accepted: its decisions count, and receipts settle.
pub(crate) fn live() -> String {
    let shipped = "trials = { source = \"public\", nonmated = 19420, nonmated_errors = 1, mated = 281, mated_errors = 0 }";
    let local = "trials = { source = \"local\", nonmated = 100000, nonmated_errors = 33, mated = 40000, mated_errors = 40 }";
    let chips = "trials = { source = \"public\", nonmated = 0, nonmated_errors = 0, mated = 0, mated_errors = 0 }";
    let accepted = "[accepted]\nby = \"a test\"\non = \"2026-11-22\"";
    Policy::demonstration()
        .replacen("demonstration-1", "live-1", 1)
        .replacen("mode = \"demonstration\"", "mode = \"live\"", 1)
        .replacen("# [accepted]\n# by = \"name\"\n# on = \"2026-11-22\"", accepted, 1)
        .replacen(shipped, local, 1)
        .replacen(chips, local, 1)
}

/// The number of a card.
fn number(card: &str) -> Identifier {
    Identifier::new(IdentifierKind::SocialSecurityCard, Region::default(), card).unwrap()
}

/// The models of the shipped manifest.
pub(crate) fn models() -> Arc<FeatureModels> {
    Arc::new(FeatureModels::from_manifest(&Manifest::shipped()).unwrap())
}

/// A template of a model whose cosine with the one for 1.0 is about `cosine`.
pub(crate) fn template(model: &str, recipe: &str, cosine: f32) -> Template {
    let mut features = vec![0.0; models().current().dimension];
    features[0] = cosine;
    features[1] = (1.0 - cosine * cosine).sqrt();
    Template::from_features(ModelId::new(model).unwrap(), RecipeId::new(recipe).unwrap(), &features).unwrap()
}
