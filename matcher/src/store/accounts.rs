//! Users of the review console and their sessions, as the store keeps them.
//!
//! Passwords come here as Argon2id strings, second factors sealed, session tokens hashed. Not here: how they are checked
//! (`crate::console`), and what a role may do (`matcher_core::console`).

use async_trait::async_trait;
use matcher_core::console::{LockRule, Role};

use super::{Sealed, StoreError, SubjectId, TimeMs};

/// A user.
#[derive(Clone, PartialEq, Eq)]
pub struct User {
    /// The name, unique.
    pub name: String,
    /// What the user's data key belongs to.
    pub id: SubjectId,
    /// That key, wrapped.
    pub data_key: Sealed,
    /// What the user may do.
    pub role: Role,
    /// The institution of a store manager; empty for all others.
    pub institution: String,
    /// The password as an Argon2id string.
    pub password: String,
    /// Whether the password is to be changed before anything else.
    pub must_change: bool,
    /// The secret of the second factor, sealed; none where there is none yet.
    pub totp: Option<Sealed>,
    /// The latest time step whose code was used.
    pub totp_step: i64,
    /// Failures to sign in since the last success.
    pub failures: u32,
    /// Until when sign-in is refused.
    pub locked_until: TimeMs,
    /// When the user was added.
    pub created_at: TimeMs,
    /// When the user was disabled, if so.
    pub disabled_at: Option<TimeMs>,
}

/// Without password and key.
impl std::fmt::Debug for User {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("User").field("name", &self.name).field("role", &self.role).finish_non_exhaustive()
    }
}

/// A change of a user.
#[derive(Clone, PartialEq, Eq)]
pub enum UserChange {
    /// Another role, and the institution of a store manager.
    Role(Role, String),
    /// Another password, and whether it is to be changed at once. Unlocks.
    Password(String, bool),
    /// Another second factor, or none.
    Totp(Option<Sealed>),
    /// In or out.
    Disabled(bool),
    /// No failures, no lock.
    Unlocked,
}

impl UserChange {
    /// The word for it in the audit log.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Role(..) => "role",
            Self::Password(..) => "password",
            Self::Totp(Some(_)) => "second_factor",
            Self::Totp(None) => "no_second_factor",
            Self::Disabled(true) => "disabled",
            Self::Disabled(false) => "enabled",
            Self::Unlocked => "unlocked",
        }
    }

    /// Whether the user's sessions end with it.
    #[must_use]
    pub fn ends_sessions(&self) -> bool {
        match self {
            Self::Role(..) | Self::Password(..) | Self::Totp(_) | Self::Disabled(true) => true,
            Self::Disabled(false) | Self::Unlocked => false,
        }
    }
}

impl std::fmt::Debug for UserChange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.word())
    }
}

/// A session.
#[derive(Clone, PartialEq, Eq)]
pub struct Session {
    /// SHA-256 of its token.
    pub token_hash: [u8; 32],
    /// Whose.
    pub user: String,
    /// When it began.
    pub created_at: TimeMs,
    /// When it was used last, give or take a minute.
    pub seen_at: TimeMs,
    /// Where it came from.
    pub address: String,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Session of {}", self.user)
    }
}

/// Users and sessions.
#[async_trait]
pub trait Accounts: Send + Sync {
    /// Adds a user. [`StoreError::Conflict`] when there is one of the name.
    async fn add_user(&self, user: User, by: &str) -> Result<(), StoreError>;
    /// The user of a name.
    async fn user(&self, name: &str) -> Result<Option<User>, StoreError>;
    /// All users, by name.
    async fn users(&self) -> Result<Vec<User>, StoreError>;
    /// Changes a user, and ends the sessions that it ends but the one to be kept; false when there is none of the name.
    async fn change_user(&self, name: &str, change: UserChange, keep: Option<[u8; 32]>, by: &str, at: TimeMs) -> Result<bool, StoreError>;
    /// Notes a refused sign-in; counts it and locks by the rule where there is a user of the name.
    async fn sign_in_refused(&self, name: &str, rule: LockRule, address: &str, at: TimeMs) -> Result<(), StoreError>;
    /// Begins a session and forgets failures; `step` is the time step of the code that was used, which is not taken twice:
    /// false, and nothing written, when it was.
    async fn sign_in(&self, session: Session, step: Option<i64>) -> Result<bool, StoreError>;
    /// The session of a token's hash with its user; none of a disabled one.
    async fn session(&self, token_hash: [u8; 32]) -> Result<Option<(Session, User)>, StoreError>;
    /// Notes that a session was used.
    async fn session_seen(&self, token_hash: [u8; 32], at: TimeMs) -> Result<(), StoreError>;
    /// Ends a session.
    async fn end_session(&self, token_hash: [u8; 32]) -> Result<(), StoreError>;
    /// Ends sessions begun or last used before these times.
    async fn sweep_sessions(&self, begun_before: TimeMs, seen_before: TimeMs) -> Result<u64, StoreError>;
}
