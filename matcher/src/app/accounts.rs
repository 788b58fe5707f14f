//! Accounts of the review console: signing in, sessions, passwords and second factors.
//!
//! Whether a name is unknown, a password or code wrong, or an account locked or disabled: the answer is the same, and so
//! is the work done for it. Not here: pages and cookies (`crate::console`), and the rules' numbers (`matcher_core::console`).

use std::sync::Arc;

use matcher_core::console::{LockRule, PasswordError, Role, SessionRule, check_name, check_password};
use sha2::{Digest, Sha256};
use thiserror::Error;
use tokio::sync::Semaphore;
use totp_rs::Secret;
use zeroize::Zeroizing;

use crate::{
    center::Center,
    store::{
        StoreError, TimeMs,
        accounts::{Session, User, UserChange},
    },
    surroundings::{Surroundings, os_random},
    vault::RecordContext,
};

pub use secrets::generated_password;

mod secrets;

use secrets::{SECRET_LEN, dummy_hash, offered, seconds, totp};

/// Passwords that are hashed at once: each takes 19 MiB and tens of milliseconds.
const HASHED_AT_ONCE: usize = 2;
/// Sessions are noted as used when they were not within this time.
const SEEN_MS: i64 = 60_000;

/// Something that was not done.
#[derive(Debug, Error)]
pub enum AccountError {
    /// Name, password or code is wrong, or the account cannot be used now.
    #[error("the name, the password or the code is wrong, or the account is locked for a while")]
    Refused,
    /// The new name or password is not taken.
    #[error(transparent)]
    Password(PasswordError),
    /// The code is wrong.
    #[error("code: expected the six digits that the app shows now")]
    Code,
    /// There is such a user.
    #[error("name: there is a user of this name")]
    Known,
    /// There is no such user.
    #[error("name: expected the name of a user")]
    Unknown,
    /// A store manager without an institution, or somebody else with one.
    #[error("institution: expected one for a store manager, and none for all others")]
    Institution,
    /// The store failed.
    #[error("the store could not be asked")]
    Store(#[source] StoreError),
    /// A password could not be hashed.
    #[error("the password could not be hashed")]
    Hash,
}

/// A session's token, as the browser keeps it.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(Zeroizing<[u8; 32]>);

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token([redacted])")
    }
}

impl Token {
    /// A token that nobody can foresee.
    #[must_use]
    pub fn random() -> Self {
        Self(Zeroizing::new(os_random()))
    }

    /// Takes a token's bytes.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// Its bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// What the store keeps of it.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        Sha256::digest(self.0.as_slice()).into()
    }

    /// What follows from it for a purpose, and says nothing about it.
    #[must_use]
    pub fn derive(&self, purpose: &str) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(b"countersign console ");
        hash.update(purpose.as_bytes());
        hash.update([0]);
        hash.update(self.0.as_slice());
        hash.finalize().into()
    }
}

/// What somebody typed to sign in.
#[derive(Clone)]
pub struct Credentials {
    /// The name.
    pub name: String,
    /// The password.
    pub password: Zeroizing<String>,
    /// The code of the second factor; empty where there is none yet.
    pub code: String,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Credentials([redacted])")
    }
}

/// A user to be added.
#[derive(Debug, Clone)]
pub struct NewUser {
    /// The name.
    pub name: String,
    /// What the user may do.
    pub role: Role,
    /// The institution of a store manager.
    pub institution: String,
    /// Whether the password is to be changed at the first sign-in.
    pub must_change: bool,
}

/// Accounts of a center.
#[derive(Clone)]
pub struct Accounts {
    center: Center,
    surroundings: Arc<dyn Surroundings>,
    lock: LockRule,
    session: SessionRule,
    work: Arc<Semaphore>,
}

impl std::fmt::Debug for Accounts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Accounts").field("lock", &self.lock).field("session", &self.session).finish_non_exhaustive()
    }
}

impl Accounts {
    /// Accounts of a center under these rules.
    #[must_use]
    pub fn new(center: Center, surroundings: Arc<dyn Surroundings>, lock: LockRule, session: SessionRule) -> Self {
        Self { center, surroundings, lock, session, work: Arc::new(Semaphore::new(HASHED_AT_ONCE)) }
    }

    /// How long sessions last.
    #[must_use]
    pub fn session_rule(&self) -> SessionRule {
        self.session
    }

    /// Begins a session, for a new token.
    ///
    /// # Errors
    /// [`AccountError::Refused`], or when the store fails.
    pub async fn sign_in(&self, credentials: &Credentials, address: &str) -> Result<Token, AccountError> {
        let now = self.surroundings.now_ms();
        let user = self.center.store.user(&credentials.name).await.map_err(AccountError::Store)?;
        let hash = user.as_ref().map_or_else(dummy_hash, |user| user.password.clone());
        let right = self.verify(credentials.password.clone(), hash).await?;
        let user = user.filter(|user| right && user.disabled_at.is_none() && user.locked_until <= now);
        let step = user.as_ref().map(|user| self.step(user, &credentials.code, now));
        if let (Some(user), Some(Some(step))) = (user, step) {
            let token = Token::random();
            let session = Session { token_hash: token.hash(), user: user.name, created_at: now, seen_at: now, address: address.to_owned() };
            if self.center.store.sign_in(session, step).await.map_err(AccountError::Store)? {
                self.sweep().await?;
                return Ok(token);
            }
        }
        let refused = self.center.store.sign_in_refused(&credentials.name, self.lock, address, now);
        refused.await.map_err(AccountError::Store)?;
        Err(AccountError::Refused)
    }

    /// The user of a session that holds; notes that it is used.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn session(&self, token: &Token) -> Result<Option<User>, AccountError> {
        let now = self.surroundings.now_ms();
        let hash = token.hash();
        let Some((session, user)) = self.center.store.session(hash).await.map_err(AccountError::Store)? else { return Ok(None) };
        if !self.session.holds(session.created_at, session.seen_at, now) {
            self.center.store.end_session(hash).await.map_err(AccountError::Store)?;
            return Ok(None);
        }
        if now - session.seen_at > SEEN_MS {
            self.center.store.session_seen(hash, now).await.map_err(AccountError::Store)?;
        }
        Ok(Some(user))
    }

    /// Ends a session.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn sign_out(&self, token: &Token) -> Result<(), AccountError> {
        self.center.store.end_session(token.hash()).await.map_err(AccountError::Store)
    }

    /// Adds a user with a password.
    ///
    /// # Errors
    /// When name, password or institution is not taken, or the store fails.
    pub async fn add(&self, new: NewUser, password: Zeroizing<String>, by: &str) -> Result<(), AccountError> {
        check_name(&new.name).map_err(AccountError::Password)?;
        check_institution(new.role, &new.institution)?;
        check_password(&new.name, &password).map_err(AccountError::Password)?;
        let id = self.surroundings.new_subject();
        let user = User {
            id,
            data_key: self.center.vault.new_data_key(id).1,
            role: new.role,
            institution: new.institution,
            password: self.hash(password).await?,
            must_change: new.must_change,
            totp: None,
            totp_step: 0,
            failures: 0,
            locked_until: 0,
            created_at: self.surroundings.now_ms(),
            disabled_at: None,
            name: new.name,
        };
        match self.center.store.add_user(user, by).await {
            Err(StoreError::Conflict(_)) => Err(AccountError::Known),
            done => done.map_err(AccountError::Store),
        }
    }

    /// Changes a user's role.
    ///
    /// # Errors
    /// When the institution does not go with it, there is no such user, or the store fails.
    pub async fn set_role(&self, name: &str, role: Role, institution: &str, by: &str) -> Result<(), AccountError> {
        check_institution(role, institution)?;
        self.change(name, UserChange::Role(role, institution.to_owned()), None, by).await
    }

    /// Gives a user a new password; `keep` is the session that goes on.
    ///
    /// # Errors
    /// When the password is not taken, there is no such user, or the store fails.
    pub async fn set_password(
        &self,
        name: &str,
        (password, must_change): (Zeroizing<String>, bool),
        keep: Option<&Token>,
        by: &str,
    ) -> Result<(), AccountError> {
        check_password(name, &password).map_err(AccountError::Password)?;
        let hash = self.hash(password).await?;
        self.change(name, UserChange::Password(hash, must_change), keep, by).await
    }

    /// Changes one's own password, which takes the present one.
    ///
    /// # Errors
    /// [`AccountError::Refused`] when that is wrong; as [`Accounts::set_password`].
    pub async fn change_password(
        &self,
        user: &User,
        (present, new): (Zeroizing<String>, Zeroizing<String>),
        keep: &Token,
    ) -> Result<(), AccountError> {
        if user.locked_until > self.surroundings.now_ms() || !self.verify(present, user.password.clone()).await? {
            let now = self.surroundings.now_ms();
            self.center.store.sign_in_refused(&user.name, self.lock, "", now).await.map_err(AccountError::Store)?;
            return Err(AccountError::Refused);
        }
        self.set_password(&user.name, (new, false), Some(keep), &user.name).await
    }

    /// Lets a user in or out.
    ///
    /// # Errors
    /// When there is no such user, or the store fails.
    pub async fn set_disabled(&self, name: &str, disabled: bool, by: &str) -> Result<(), AccountError> {
        self.change(name, UserChange::Disabled(disabled), None, by).await
    }

    /// Forgets failures and the lock that followed.
    ///
    /// # Errors
    /// When there is no such user, or the store fails.
    pub async fn unlock(&self, name: &str, by: &str) -> Result<(), AccountError> {
        self.change(name, UserChange::Unlocked, None, by).await
    }

    /// Takes a user's second factor away, so that the next sign-in asks for a new one.
    ///
    /// # Errors
    /// When there is no such user, or the store fails.
    pub async fn drop_second_factor(&self, name: &str, by: &str) -> Result<(), AccountError> {
        self.change(name, UserChange::Totp(None), None, by).await
    }

    /// Gives a user a second factor with a new secret, in base 32 for the app.
    ///
    /// # Errors
    /// When there is no such user, or the store fails.
    pub async fn new_second_factor(&self, name: &str, by: &str) -> Result<Zeroizing<String>, AccountError> {
        let user = self.center.store.user(name).await.map_err(AccountError::Store)?.ok_or(AccountError::Unknown)?;
        let secret = Zeroizing::new(os_random::<SECRET_LEN>());
        self.put_secret(&user, secret.as_slice(), None, by).await?;
        Ok(Zeroizing::new(Secret::from(secret.as_slice()).to_base32()))
    }

    /// The secret that a session would set up, in base 32: it follows from the session's token.
    #[must_use]
    pub fn offered_secret(token: &Token) -> Zeroizing<String> {
        Zeroizing::new(Secret::from(offered(token).as_slice()).to_base32())
    }

    /// Sets the offered secret up, once a code shows that the app has it.
    ///
    /// # Errors
    /// [`AccountError::Code`] when it does not, or the store fails.
    pub async fn confirm_second_factor(&self, user: &User, token: &Token, code: &str) -> Result<(), AccountError> {
        let secret = offered(token);
        let now = self.surroundings.now_ms();
        totp(secret.as_slice()).check(code.trim(), seconds(now)).ok_or(AccountError::Code)?;
        self.put_secret(user, secret.as_slice(), Some(token), &user.name).await
    }

    /// All users, by name.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn users(&self) -> Result<Vec<User>, AccountError> {
        self.center.store.users().await.map_err(AccountError::Store)
    }

    /// Removes sessions that no longer hold.
    async fn sweep(&self) -> Result<u64, AccountError> {
        let now = self.surroundings.now_ms();
        self.center.store.sweep_sessions(now - self.session.absolute_ms, now - self.session.idle_ms).await.map_err(AccountError::Store)
    }

    async fn put_secret(&self, user: &User, secret: &[u8], keep: Option<&Token>, by: &str) -> Result<(), AccountError> {
        let key = self.center.vault.unwrap_data_key(user.id, &user.data_key).map_err(|_| AccountError::Hash)?;
        let sealed = key.seal(&RecordContext::second_factor(user.id), secret);
        self.change(&user.name, UserChange::Totp(Some(sealed)), keep, by).await
    }

    async fn change(&self, name: &str, change: UserChange, keep: Option<&Token>, by: &str) -> Result<(), AccountError> {
        let at = self.surroundings.now_ms();
        let changed = self.center.store.change_user(name, change, keep.map(Token::hash), by, at).await.map_err(AccountError::Store)?;
        if changed { Ok(()) } else { Err(AccountError::Unknown) }
    }

    /// Whether a code is right: the outer nothing when it is not, the inner when the user has no second factor.
    fn step(&self, user: &User, code: &str, now: TimeMs) -> Option<Option<i64>> {
        let Some(sealed) = &user.totp else { return Some(None) };
        let key = self.center.vault.unwrap_data_key(user.id, &user.data_key).ok()?;
        let secret = Zeroizing::new(key.open(&RecordContext::second_factor(user.id), sealed).ok()?);
        let step = totp(&secret).check(code.trim(), seconds(now))?;
        i64::try_from(step).ok().map(Some)
    }

    async fn verify(&self, password: Zeroizing<String>, hash: String) -> Result<bool, AccountError> {
        let _place = self.work.acquire().await.map_err(|_| AccountError::Hash)?;
        tokio::task::spawn_blocking(move || secrets::verify(&password, &hash)).await.map_err(|_| AccountError::Hash)?
    }

    async fn hash(&self, password: Zeroizing<String>) -> Result<String, AccountError> {
        let _place = self.work.acquire().await.map_err(|_| AccountError::Hash)?;
        tokio::task::spawn_blocking(move || secrets::hash(&password)).await.map_err(|_| AccountError::Hash)?
    }
}

fn check_institution(role: Role, institution: &str) -> Result<(), AccountError> {
    let fits = institution.len() <= 64 && !institution.chars().any(char::is_control);
    if fits && (role == Role::StoreManager) != institution.is_empty() { Ok(()) } else { Err(AccountError::Institution) }
}
