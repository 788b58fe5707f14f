//! What can be asked of the API: one list, which the router and the description are made of.

/// HTTP methods in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// `GET`.
    Get,
    /// `POST`.
    Post,
}

macro_rules! operations {
    ($($(#[$doc:meta])* $variant:ident = $verb:ident $path:literal, $zh:literal, $en:literal;)+) => {
        /// Something that can be asked.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Operation { $($(#[$doc])* $variant,)+ }

        impl Operation {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// Its method.
            #[must_use]
            pub fn verb(self) -> Verb {
                match self { $(Self::$variant => Verb::$verb),+ }
            }

            /// Its path.
            #[must_use]
            pub fn path(self) -> &'static str {
                match self { $(Self::$variant => $path),+ }
            }

            /// What it does, in Chinese and English.
            #[must_use]
            pub fn summary(self) -> [&'static str; 2] {
                match self { $(Self::$variant => [$zh, $en]),+ }
            }

            /// Its name in the description.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => stringify!($variant)),+ }
            }
        }
    };
}

operations! {
    /// One call from face to answer.
    Verify = Post "/v1/verifications", "一次完成人脸核验", "Verify a face in one call";
    /// Opens a transaction.
    Open = Post "/v1/transactions", "开始交易；相同内容可重复发送", "Open a transaction; the same fields again find it as it is";
    /// Shows one.
    Show = Get "/v1/transactions/{id}", "查询交易", "Show a transaction";
    /// A face.
    Attempt = Post "/v1/transactions/{id}/attempts", "人脸核验", "Verify by the face";
    /// A document.
    DocumentCheck = Post "/v1/transactions/{id}/document-checks", "证件核验：操作员署名记录是否本人", "Record by name what the operator saw on a document";
    /// A document's chip.
    Chip = Post "/v1/transactions/{id}/chip", "以读卡器上证件芯片的照片核验", "Verify the face by the chip of the document on the reader";
    /// Another way.
    OtherWay = Post "/v1/transactions/{id}/other-way", "采用其他核验方式，无需理由", "Take another way of verifying; no reason is asked";
    /// Somebody for the holder.
    Proxy = Post "/v1/transactions/{id}/proxy", "登记代办人", "Name who came in the holder's place";
    /// Settled.
    Confirm = Post "/v1/transactions/{id}/confirm", "结算后确认", "Confirm after the settlement";
    /// Refunded.
    Reverse = Post "/v1/transactions/{id}/reverse", "退费时撤销", "Reverse on a refund";
    /// Called off.
    Cancel = Post "/v1/transactions/{id}/cancel", "取消交易", "Call a transaction off";
    /// Progress.
    Events = Get "/v1/transactions/{id}/events", "进度（server-sent events）", "Watch a transaction (server-sent events)";
    /// Shift change.
    Operator = Post "/v1/operators/current", "交接班：设置当前操作员", "Change the operator of the counter";
    /// Health.
    Health = Get "/v1/health", "本机状态", "Show how the agent is";
    /// This description.
    Description = Get "/v1/openapi.json", "接口说明（OpenAPI）", "Show this description (OpenAPI)";
}

/// What every request may meet.
const ALWAYS: &[&str] = &["foreign_host", "foreign_origin", "bad_token", "too_many_requests"];
/// What a request with a body may meet.
const BODY: &[&str] = &["not_json", "body_too_large", "invalid_request", "timed_out", "internal"];
/// What an attempt may meet.
const ATTEMPT: &[&str] = &[
    "attempts_spent",
    "transaction_conflict",
    "answer_expired",
    "outbox_full",
    "outbox_failed",
    "center_unreachable",
    "lease_missing",
    "lease_used_up",
    "recorded_only",
    "lease_expired",
    "clock_set_back",
    "spool_too_old",
    "center_failed",
    "device_refused",
    "request_refused",
    "envelope_stale",
];
/// What an attempt with a camera may meet beside that.
const CAMERA: &[&str] = &[
    "camera_queue_full",
    "model_mismatch",
    "consent_missing",
    "camera_absent",
    "camera_busy",
    "camera_lost",
    "camera_stalled",
    "camera_frozen",
    "camera_black",
    "camera_upside_down",
    "attempt_given_up",
    "camera_failed",
    "playback_unreadable",
    "models_failed",
];
/// What an attempt of a transaction may meet beside that.
const IN_TRANSACTION: &[&str] = &[
    "transaction_unknown",
    "transaction_not_open",
    "transaction_over",
    "attempt_under_way",
    "already_settles",
    "attempt_out_of_order",
    "book_failed",
];
const READER: &[&str] = &["reader_absent", "no_document", "document_unreadable", "no_face_on_chip", "document_of_another"];

impl Operation {
    /// The codes of its errors.
    #[must_use]
    pub fn codes(self) -> Vec<&'static str> {
        let own: &[&[&str]] = match self {
            Self::Verify => &[BODY, ATTEMPT, CAMERA],
            Self::Open => &[BODY, &["transaction_conflict", "too_many_transactions", "book_failed"]],
            Self::Show => &[&["transaction_unknown", "book_failed", "timed_out", "internal"]],
            Self::Attempt => &[BODY, ATTEMPT, CAMERA, IN_TRANSACTION],
            Self::DocumentCheck => &[BODY, ATTEMPT, IN_TRANSACTION, &["operator_missing"]],
            Self::Chip => &[BODY, ATTEMPT, CAMERA, IN_TRANSACTION, READER],
            Self::OtherWay => &[BODY, ATTEMPT, IN_TRANSACTION],
            Self::Proxy => &[BODY, &["transaction_unknown", "transaction_not_open", "proxy_not_allowed", "proxy_conflict", "book_failed"]],
            Self::Confirm => {
                &[BODY, &["transaction_unknown", "transaction_over", "attempt_under_way", "not_to_be_settled", "no_receipt", "book_failed"]]
            }
            Self::Reverse => &[BODY, &["transaction_unknown", "not_confirmed", "book_failed"]],
            Self::Cancel => &[BODY, &["transaction_unknown", "transaction_not_open", "transaction_over", "book_failed"]],
            Self::Events => &[&["transaction_unknown", "too_many_watchers"]],
            Self::Operator => &[BODY],
            Self::Health => &[&["outbox_failed", "book_failed"]],
            Self::Description => &[],
        };
        [ALWAYS].iter().chain(own).flat_map(|codes| codes.iter().copied()).collect()
    }
}
