//! Every error of the local API: its code, its status, and what to say and do about it in Chinese and English.
//!
//! One table. A code never changes its meaning; new ones may be added. Not here: when one occurs.

use schemars::JsonSchema;
use serde::Serialize;

use crate::verify::VerifyError;

#[cfg(test)]
mod tests;

/// An error that callers may meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Problem {
    /// The stable word for it.
    pub code: &'static str,
    /// HTTP status; 0 for those of the command line alone.
    pub status: u16,
    /// What happened, in Chinese.
    pub zh: &'static str,
    /// What happened, in English.
    pub en: &'static str,
    /// What to do, in Chinese.
    pub do_zh: &'static str,
    /// What to do, in English.
    pub do_en: &'static str,
}

/// The problem of a code; that of an internal failure for a word that is none.
#[must_use]
pub fn of(code: &str) -> &'static Problem {
    PROBLEMS.iter().find(|problem| problem.code == code).unwrap_or(&INTERNAL)
}

/// An error as the local API gives it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ErrorBody {
    /// What it is.
    pub error: ErrorFields,
}

/// Code, message and what to do, for programs and for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ErrorFields {
    /// The stable word for it.
    pub code: &'static str,
    /// What happened in this case, in English; names the field and what was expected, never a value.
    pub message: String,
    /// What happened, in Chinese.
    pub message_zh: &'static str,
    /// What to do, in English.
    pub action: &'static str,
    /// What to do, in Chinese.
    pub action_zh: &'static str,
}

impl ErrorBody {
    /// An error with its code, and what happened in this case.
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        let Problem { zh, do_zh, do_en, .. } = of(code);
        Self { error: ErrorFields { code, message: message.into(), message_zh: zh, action: do_en, action_zh: do_zh } }
    }

    /// The body for a verification that gave no answer.
    #[must_use]
    pub fn of(error: &VerifyError) -> Self {
        Self::new(error.code(), error.to_string())
    }

    /// For people.
    #[must_use]
    pub fn text(&self) -> String {
        let ErrorFields { code, message, message_zh, action, action_zh } = &self.error;
        format!("{message} ({code})\nwhat to do: {action}\n{message_zh}：{action_zh}")
    }
}

const INTERNAL: Problem =
    problem("internal", 500, ["本程序内部出错", "a part of the agent broke down"], ["查看本机日志", "look at the agent's log"]);

const fn problem(code: &'static str, status: u16, [zh, en]: [&'static str; 2], [do_zh, do_en]: [&'static str; 2]) -> Problem {
    Problem { code, status, zh, en, do_zh, do_en }
}

/// What to do where this counter may not answer by itself.
const OFFER_OTHER_WAY: [&str; 2] = [
    "提供其他核验方式；中心恢复答复后，本柜台会自行恢复",
    "offer the other way; this counter answers by itself again when the center has answered",
];

/// All of them.
pub const PROBLEMS: &[Problem] = &[
    INTERNAL,
    problem(
        "camera_queue_full",
        429,
        ["等待摄像头的核验太多", "too many verifications wait for the camera"],
        ["等前一位核验结束后，再发送同一请求", "wait for the verification before this one to end, then send the same request again"],
    ),
    problem(
        "model_mismatch",
        503,
        ["本机模型与中心不一致", "the center compares with another model than this device's"],
        [
            "在本机安装中心使用的模型（`models fetch`），或联系中心运维人员",
            "install the models the center uses on this device (`models fetch`), or ask the center's operator",
        ],
    ),
    problem(
        "consent_missing",
        422,
        ["本场景须先取得单独同意", "the scene rests on the person's consent and the request names none"],
        ["征得本人同意并注明版本，或提供其他核验方式", "ask for the person's consent and name its version, or offer another way"],
    ),
    problem(
        "attempts_spent",
        422,
        ["本次交易的核验次数已用完", "the transaction has had its attempts by this way"],
        ["核对证件，或提供其他核验方式", "look at the person's document, or offer another way"],
    ),
    problem(
        "camera_absent",
        503,
        ["没有找到摄像头", "no camera was found"],
        [
            "连接摄像头（`capture-agent cameras` 可列出）；在此之前提供其他核验方式",
            "connect a camera; `capture-agent cameras` lists those the system knows; offer another way meanwhile",
        ],
    ),
    problem(
        "camera_busy",
        503,
        ["摄像头被其他程序占用", "another program uses the camera"],
        ["关闭占用摄像头的程序，再发送同一请求", "close the other program that uses the camera, then send the same request again"],
    ),
    problem(
        "camera_lost",
        503,
        ["摄像头已断开", "the camera was unplugged"],
        ["检查摄像头连线，再发送同一请求", "check the camera's cable, then send the same request again"],
    ),
    problem(
        "camera_stalled",
        503,
        ["摄像头没有新画面", "the camera gives no fresh frame"],
        ["检查摄像头连线，再发送同一请求", "check the camera's cable, then send the same request again"],
    ),
    problem(
        "camera_frozen",
        503,
        ["摄像头画面静止不动", "the camera shows one picture again and again"],
        ["重新插拔摄像头，并关闭美颜等软件", "unplug the camera and plug it in again; close programs that filter its picture"],
    ),
    problem(
        "camera_black",
        503,
        ["摄像头画面全黑", "the camera's pictures are black"],
        ["打开镜头盖或增加照明；在此之前提供其他核验方式", "take the cover off the lens, or give light; offer another way meanwhile"],
    ),
    problem(
        "camera_upside_down",
        503,
        ["摄像头装倒了", "the camera's pictures stand on their head"],
        ["将摄像头正向安装；在此之前提供其他核验方式", "mount the camera the right way up; offer another way meanwhile"],
    ),
    problem(
        "camera_failed",
        503,
        ["摄像头出错", "the camera failed"],
        ["重新连接摄像头，或在配置中选择其他格式", "connect the camera anew or choose another format in the configuration"],
    ),
    problem(
        "playback_unreadable",
        500,
        ["无法读取回放画面", "the pictures to play cannot be read"],
        ["改正 camera.folder 指定的文件夹", "correct the folder named in camera.folder"],
    ),
    problem("models_failed", 500, ["模型运行出错", "a network failed"], ["查看本机日志", "look at the agent's log"]),
    problem(
        "transaction_conflict",
        409,
        ["同一交易号已用于其他卡或场景", "the transaction or attempt was used for another card, scene or way"],
        ["换用新的交易号或次数", "use another attempt or another transaction for another card or scene"],
    ),
    problem(
        "answer_expired",
        410,
        ["本机已不再保存该次答复", "the answer is kept here no longer"],
        ["向中心查询该交易的记录", "ask the center for the record of this transaction"],
    ),
    problem(
        "outbox_full",
        503,
        ["待发送的采集已满", "too many captures wait to be sent"],
        ["恢复与中心的线路；已采集的不会丢失", "restore the line to the center; nothing is lost meanwhile"],
    ),
    problem(
        "outbox_failed",
        500,
        ["本机存储出错", "the state folder could not be used"],
        ["查看本机日志，检查磁盘", "look at the agent's log, and at the disk"],
    ),
    problem(
        "center_unreachable",
        503,
        ["中心没有答复", "the center does not answer"],
        [
            "再发送同一请求：采集已保存，不会重新采集；或提供其他核验方式",
            "send the same request again: it is kept, and nothing is captured anew; or offer another way",
        ],
    ),
    problem(
        "lease_missing",
        503,
        ["线路中断，本柜台没有应急授权", "the center does not answer, and this counter holds no lease"],
        OFFER_OTHER_WAY,
    ),
    problem("lease_used_up", 503, ["应急授权的次数已用完", "the center does not answer, and the lease is used up"], OFFER_OTHER_WAY),
    problem("lease_expired", 503, ["应急授权已过期", "the center does not answer, and the lease is out of date"], OFFER_OTHER_WAY),
    problem(
        "recorded_only",
        503,
        [
            "已记录，但中心没有答复，本次没有核验凭证",
            "it is recorded, and there is no receipt: the center does not answer, nor may this counter",
        ],
        [
            "按本机构应急预案办理；线路恢复后再发送同一请求，即可取得凭证",
            "go by your emergency plan; the same request brings the receipt when the line is back",
        ],
    ),
    problem(
        "clock_set_back",
        503,
        ["本机时钟被调回", "the center does not answer, and this machine's clock was set back"],
        [
            "提供其他核验方式；校准本机时钟并恢复线路",
            "offer the other way; set this machine's clock right, and restore the line to the center",
        ],
    ),
    problem(
        "spool_too_old",
        503,
        ["待发送的采集等待过久", "the center does not answer, and captures wait for it since days"],
        ["提供其他核验方式；恢复与中心的线路", "offer the other way; restore the line to the center"],
    ),
    problem(
        "center_failed",
        502,
        ["中心出错", "the center failed"],
        ["稍后再发送同一请求；仍不行则联系中心运维人员", "send the same request again later; ask the center's operator where it goes on"],
    ),
    problem(
        "device_refused",
        502,
        ["中心拒绝本设备", "the center refuses this device"],
        ["向中心运维人员确认本设备已登记且有效", "ask the center's operator whether this device is registered and in force"],
    ),
    problem("request_refused", 422, ["中心拒绝该请求", "the center refuses the request"], ["改正所指的字段", "correct the field named"]),
    problem(
        "envelope_stale",
        502,
        ["采集时间或序号已失效", "the capture is too old, or its number was used"],
        ["检查本机时钟，再以新的次数核验", "check this machine's clock, then use another attempt"],
    ),
    problem("transaction_over", 409, ["交易已结束", "the transaction has ended"], ["开始新的交易", "open another transaction"]),
    problem(
        "attempt_under_way",
        409,
        ["本交易正在核验", "an attempt of the transaction is under way"],
        ["等待本次核验结束", "wait for it to end"],
    ),
    problem(
        "attempt_given_up",
        409,
        ["本次人脸采集已中止", "the attempt was given up before a face was taken"],
        ["按所选的其他方式办理；没有拍到任何内容", "go on with the way that was chosen; nothing was taken"],
    ),
    problem(
        "already_settles",
        409,
        ["中心已答复可以结算", "the center already said to settle"],
        ["确认结算，或开始新的交易", "confirm the settlement, or open another transaction"],
    ),
    problem(
        "attempt_out_of_order",
        409,
        ["核验次数不连续", "the attempt's number is not the next one, nor one made before by this way"],
        ["使用 next_attempt 给出的次数", "use the number that next_attempt gives"],
    ),
    problem(
        "not_to_be_settled",
        409,
        ["中心没有答复可以结算", "the center did not say to settle"],
        [
            "按最近一次答复的 disposition 处理；没有核验凭证，医保不予结算",
            "do as the last answer's disposition says; without a receipt insurance does not settle",
        ],
    ),
    problem(
        "not_confirmed",
        409,
        ["该结算没有确认过", "the settlement was not confirmed"],
        ["检查交易号和结算号", "check the names of transaction and settlement"],
    ),
    problem(
        "transaction_unknown",
        404,
        ["没有这个交易", "there is no such transaction"],
        ["先开始交易（POST /v1/transactions）", "open it first (POST /v1/transactions)"],
    ),
    problem(
        "transaction_not_open",
        409,
        ["本程序重启过，交易须重新打开", "the agent was started anew since the transaction was opened"],
        ["以相同内容再次开始该交易，已有的核验不会丢失", "open it again with the same fields: nothing that was made is lost"],
    ),
    problem(
        "too_many_transactions",
        429,
        ["未结束的交易太多", "too many transactions are open"],
        ["结束或取消不再需要的交易", "end or cancel those that are not needed"],
    ),
    problem(
        "operator_missing",
        422,
        ["须填写核对证件的操作员", "the operator who looked at the document is not named"],
        ["填写 operator，或先设置当前操作员", "name the operator, or set the current one first"],
    ),
    problem(
        "proxy_not_allowed",
        422,
        ["本场景不可代办", "nobody may come in the holder's place in this scene"],
        ["请参保人员本人办理，或提供其他核验方式", "ask for the holder, or offer another way"],
    ),
    problem(
        "proxy_conflict",
        409,
        ["本交易已登记另一位代办人", "another proxy was named in this transaction"],
        ["一人一次只能代一人办理：另开交易", "one person for one holder at a time: open another transaction"],
    ),
    problem(
        "reader_absent",
        503,
        ["本柜台没有读卡器", "this counter has no reader of documents"],
        ["人工核对证件，或提供其他核验方式", "look at the document, or offer another way"],
    ),
    problem(
        "no_document",
        409,
        ["读卡器上没有证件", "no document is on the reader"],
        ["放上证件，再发送同一请求", "put the document on the reader, then send the same request again"],
    ),
    problem(
        "document_unreadable",
        422,
        ["证件无法读取", "the document cannot be read"],
        ["重新放置证件；仍不行则人工核对证件", "put it on anew; where that does not help look at the document"],
    ),
    problem(
        "no_face_on_chip",
        422,
        ["证件芯片照片上没有清晰人脸", "no face is clearly on the photo in the chip"],
        ["人工核对证件", "look at the document"],
    ),
    problem(
        "document_of_another",
        409,
        ["证件与卡或代办人不符", "the document is of another number than the card's or the proxy's"],
        ["放上持卡人或代办人本人的证件", "put the holder's or the proxy's own document on the reader"],
    ),
    problem(
        "no_receipt",
        409,
        ["答复没有核验凭证", "the answer came without a receipt"],
        ["联系中心运维人员", "ask the center's operator"],
    ),
    problem(
        "book_failed",
        500,
        ["本机存储出错", "till.db could not be used"],
        ["查看本机日志，检查磁盘", "look at the agent's log, and at the disk"],
    ),
    problem("not_found", 404, ["没有这个资源", "there is no such resource"], ["见 GET /v1/openapi.json", "see GET /v1/openapi.json"]),
    problem(
        "method_not_allowed",
        405,
        ["该资源不支持此方法", "the resource has no such method"],
        ["见 GET /v1/openapi.json", "see GET /v1/openapi.json"],
    ),
    problem(
        "not_json",
        415,
        ["请求须为 JSON", "content-type: expected application/json"],
        ["以 JSON 发送请求", "send the request as JSON"],
    ),
    problem(
        "body_too_large",
        413,
        ["请求内容过大", "the body is too large"],
        ["只发送说明中列出的字段", "send the fields of the description only"],
    ),
    problem("invalid_request", 400, ["请求内容有误", "a field is not as expected"], ["改正所指的字段", "correct the field named"]),
    problem(
        "timed_out",
        504,
        ["在规定时间内没有答复", "no answer in the time of api.request_timeout_ms"],
        ["再发送同一请求：已采集的已保存", "send the same transaction and attempt again: what was captured is kept"],
    ),
    problem(
        "foreign_host",
        403,
        ["请求的地址不是本机接口", "host: expected the address of this listener"],
        ["使用状态文件夹中 api.addr 的地址", "call the address in api.addr of the state folder"],
    ),
    problem(
        "foreign_origin",
        403,
        ["该网页不得调用", "the page's origin is not among those of the program"],
        [
            "由管理员为该程序登记来源（api-key add --origin）",
            "web pages may call only from an origin of their program (api-key add --origin)",
        ],
    ),
    problem(
        "bad_token",
        401,
        ["密钥无效", "authorization: expected a program's key or the token of this run"],
        [
            "使用 api-key add 给出的密钥，或重新读取 api.token",
            "use the key that api-key add gave, or read api.token of the state folder again",
        ],
    ),
    problem("too_many_requests", 429, ["请求过于频繁", "too many requests in a short time"], ["稍后再试", "wait a moment"]),
    problem(
        "too_many_watchers",
        429,
        ["同时查看进度的连接太多", "too many streams of events are open"],
        ["关闭不再需要的连接", "close those that are not needed"],
    ),
    problem(
        "configuration",
        0,
        ["配置有误", "the configuration is not in order"],
        ["改正所指之处后再试", "correct what is named and try again"],
    ),
    problem(
        "state_folder",
        0,
        ["状态文件夹有误", "the state folder is not in order"],
        ["改正所指之处后再试", "correct what is named and try again"],
    ),
    problem("models_missing", 0, ["缺少模型", "the models cannot be used"], ["改正所指之处后再试", "correct what is named and try again"]),
    problem("not_served", 0, ["无法提供服务", "the agent cannot serve"], ["改正所指之处后再试", "correct what is named and try again"]),
    problem("failed", 0, ["失败", "it failed"], ["改正所指之处后再试", "correct what is named and try again"]),
];
