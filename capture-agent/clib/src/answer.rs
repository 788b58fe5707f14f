//! What a call ends with: a code and a text. The text of a failure is of one form, the agent's own.

use serde_json::{Value, json};
use thiserror::Error;

/// What the functions return. 0 is done; everything else is below 0.
pub mod code {
    /// Done; the answer is in the buffer.
    pub const OK: i32 = 0;
    /// A pointer is null, a length is below 0, or an argument is not of its form. Nothing was sent.
    pub const INVALID: i32 = -1;
    /// The answer does not fit into the buffer. The call was made: `countersign_last` gives its answer, and its length.
    pub const TOO_SHORT: i32 = -2;
    /// `countersign_init` was not called, or `countersign_close` was.
    pub const NOT_OPEN: i32 = -3;
    /// `countersign_init` was called before; `countersign_close` first.
    pub const ALREADY_OPEN: i32 = -4;
    /// The configuration is not in order.
    pub const CONFIGURATION: i32 = -5;
    /// Nothing listens at the agent's address: it is not running. Nothing was sent.
    pub const NO_AGENT: i32 = -6;
    /// No answer within the time. What was asked for may have been done: ask again with the same transaction and attempt.
    pub const TIMED_OUT: i32 = -7;
    /// The agent refuses (HTTP 4xx); the text says why and what to do.
    pub const REFUSED: i32 = -8;
    /// The agent could not do it (HTTP 5xx); the text says why and what to do.
    pub const FAILED: i32 = -9;
    /// What answered is not an agent, or its answer is larger than any of an agent's.
    pub const NOT_UNDERSTOOD: i32 = -10;
    /// The library broke down; the caller did not.
    pub const INTERNAL: i32 = -99;
}

/// A call that failed.
#[derive(Debug, Error)]
pub(crate) enum Failure {
    /// An argument.
    #[error("{0}")]
    Invalid(String),
    /// There is no session.
    #[error("expected countersign_init before")]
    NotOpen,
    /// There is one.
    #[error("expected countersign_close before another countersign_init")]
    AlreadyOpen,
    /// The configuration.
    #[error("{0}")]
    Configuration(String),
    /// Nobody listens.
    #[error("nothing listens at {0}: is the agent running?")]
    NoAgent(String),
    /// No answer in time.
    #[error("no answer within {0} ms; ask again with the same transaction and attempt")]
    TimedOut(u128),
    /// The agent says no, in its own words.
    #[error("HTTP {status}")]
    Said {
        /// The status.
        status: u16,
        /// The body.
        body: Value,
    },
    /// What came is no answer.
    #[error("{0}")]
    NotUnderstood(String),
    /// A panic.
    #[error("the library broke down")]
    Internal,
}

impl Failure {
    /// What the function returns.
    pub(crate) fn code(&self) -> i32 {
        match self {
            Self::Invalid(_) => code::INVALID,
            Self::NotOpen => code::NOT_OPEN,
            Self::AlreadyOpen => code::ALREADY_OPEN,
            Self::Configuration(_) => code::CONFIGURATION,
            Self::NoAgent(_) => code::NO_AGENT,
            Self::TimedOut(_) => code::TIMED_OUT,
            Self::Said { status, .. } if *status < 500 => code::REFUSED,
            Self::Said { .. } => code::FAILED,
            Self::NotUnderstood(_) => code::NOT_UNDERSTOOD,
            Self::Internal => code::INTERNAL,
        }
    }

    /// The text of the buffer: `{"error": {"code", "message", …}}`.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Said { body, .. } => body.to_string(),
            Self::Invalid(_) => self.of("library_invalid", "调用参数有误", "correct the call", "请检查调用参数"),
            Self::NotOpen => self.of("library_not_open", "尚未初始化", "call countersign_init", "请先调用 countersign_init"),
            Self::AlreadyOpen => self.of("library_already_open", "重复初始化", "call countersign_close", "请先调用 countersign_close"),
            Self::Configuration(_) => self.of("library_configuration", "配置有误", "correct config_json", "请检查配置"),
            Self::NoAgent(_) => self.of("library_no_agent", "核验程序未运行", "start the agent", "请启动核验程序"),
            Self::TimedOut(_) => self.of(
                "library_timed_out",
                "等待超时",
                "ask again with the same transaction and attempt; do not open another transaction",
                "请用同一交易号、同一次序号重试，不要另开交易",
            ),
            Self::NotUnderstood(_) => self.of("library_not_understood", "应答无法识别", "check the address", "请检查地址配置"),
            Self::Internal => self.of("library_internal", "程序库内部错误", "report this", "请联系技术支持"),
        }
    }

    fn of(&self, code: &str, message_zh: &str, action: &str, action_zh: &str) -> String {
        let error = json!({
            "code": code, "message": self.to_string(), "message_zh": message_zh, "action": action, "action_zh": action_zh,
        });
        json!({ "error": error }).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(failure: &Failure, code: i32, word: &str) {
        let text: Value = serde_json::from_str(&failure.text()).unwrap();
        assert_eq!((failure.code(), text["error"]["code"].as_str()), (code, Some(word)));
        for field in ["message", "message_zh", "action", "action_zh"] {
            assert!(text["error"][field].as_str().is_some_and(|text| !text.is_empty()), "{field}");
        }
    }

    #[test]
    fn every_failure_has_a_code_below_zero_and_says_what_to_do() {
        check(&Failure::Invalid("x".into()), code::INVALID, "library_invalid");
        check(&Failure::NotOpen, code::NOT_OPEN, "library_not_open");
        check(&Failure::AlreadyOpen, code::ALREADY_OPEN, "library_already_open");
        check(&Failure::Configuration("x".into()), code::CONFIGURATION, "library_configuration");
        check(&Failure::NoAgent("x".into()), code::NO_AGENT, "library_no_agent");
        check(&Failure::TimedOut(5), code::TIMED_OUT, "library_timed_out");
        check(&Failure::NotUnderstood("x".into()), code::NOT_UNDERSTOOD, "library_not_understood");
        check(&Failure::Internal, code::INTERNAL, "library_internal");
    }

    #[test]
    fn the_agents_own_words_are_passed_on() {
        let body = json!({ "error": { "code": "camera_lost" } });
        let failed = Failure::Said { status: 503, body: body.clone() };
        assert_eq!((failed.code(), failed.text()), (code::FAILED, body.to_string()));
        assert_eq!(Failure::Said { status: 409, body }.code(), code::REFUSED);
    }
}
