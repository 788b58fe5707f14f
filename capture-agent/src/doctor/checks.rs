//! What was found means: ok, warn or fail, and what to do. Asks nobody.

use super::{
    Check, Grade, Text,
    facts::{Camera, Cheap, Lease, Line, Models},
    machine::Permissions,
};
use crate::{camera::CameraError, identity::Standing};

/// Mean brightness below which a face is hard to read, and above which it is washed out, 0–255.
const LIGHT: std::ops::RangeInclusive<f32> = 40.0..=220.0;
/// A camera slower than this makes people wait.
const RATE_MIN_FPS: f32 = 8.0;
/// A call that takes longer than this uses up most of what a verdict may take.
const LINE_SLOW_MS: u64 = 500;
/// An envelope that waits for longer than this is late.
const SPOOL_LATE_MS: i64 = 3_600_000;

fn t(en: impl Into<String>, zh: impl Into<String>) -> Text {
    Text::new(en, zh)
}

/// The configuration.
#[must_use]
pub fn configuration(wrong: Option<&str>) -> Check {
    match wrong {
        None => Check::ok("configuration", t("in order", "配置正常")),
        Some(wrong) => Check::not(
            "configuration",
            Grade::Fail,
            "wrong",
            t(wrong, "配置文件有误"),
            t("correct the key that is named in agent.toml or the environment", "请修改 agent.toml 或环境变量中所指的项"),
        ),
    }
}

/// Key, certificate and registration.
#[must_use]
pub fn identity(wrong: Option<&str>) -> Check {
    match wrong {
        None => Check::ok("identity", t("the device has a key and was let in", "设备已有密钥并已登记")),
        Some(wrong) => Check::not(
            "identity",
            Grade::Fail,
            "missing",
            t(wrong, "设备尚未登记"),
            t("join with a code of the center: capture-agent join", "请用中心发放的一次性码登记：capture-agent join"),
        ),
    }
}

/// The networks.
#[must_use]
pub fn models(found: &Models) -> Check {
    match found {
        Models::Well(name) => Check::ok("models", t(format!("present, hashes right, tested: {name}"), "模型齐全，校验与自检通过")),
        Models::Bad(why) => Check::not(
            "models",
            Grade::Fail,
            "bad",
            t(why, "模型缺失或校验不符"),
            t("models fetch brings them, models verify checks them", "请运行 models fetch 重新取得模型"),
        ),
        Models::NotLookedAt => not_looked_at("models"),
    }
}

fn not_looked_at(check: &'static str) -> Check {
    let remedy = t("put right what is named above, then look again", "请先处理上面的问题，再重新检查");
    Check::not(check, Grade::Warn, "not_looked_at", t("not looked at", "未检查"), remedy)
}

/// The camera.
#[must_use]
pub fn camera(found: &Camera) -> Check {
    match found {
        Camera::Well(seen) if seen.rate_fps < RATE_MIN_FPS => Check::not(
            "camera",
            Grade::Warn,
            "slow",
            t(format!("gives {:.0} frames a second", seen.rate_fps), "摄像头帧率过低"),
            t(
                "choose a smaller picture in the configuration; give light; connect it without a hub",
                "请降低分辨率、增加照明，或不经集线器直接连接",
            ),
        ),
        Camera::Well(seen) => Check::ok("camera", t(format!("gives {:.0} frames a second", seen.rate_fps), "摄像头正常")),
        Camera::NotLookedAt(word) => {
            let found = t(format!("the running agent has it and says: {word}"), "摄像头由运行中的程序使用");
            if matches!(word.as_str(), "ready" | "not_used_yet") {
                Check::ok("camera", found)
            } else {
                let remedy = t("stop the agent and look again, or see the agent's log", "请停止程序后再检查，或查看日志");
                Check::not("camera", Grade::Fail, "failed", found, remedy)
            }
        }
        Camera::Bad(error) => bad_camera(error),
    }
}

fn bad_camera(error: &CameraError) -> Check {
    let (word, zh, remedy) = match error {
        CameraError::Absent(_) => ("absent", "没有摄像头", t("connect a camera; capture-agent cameras lists them", "请连接摄像头")),
        CameraError::Busy => ("busy", "摄像头被其他程序占用", t("close the program that uses it", "请关闭占用摄像头的程序")),
        CameraError::Lost(_) => ("unplugged", "摄像头已断开", t("plug it in again; look at its cable", "请重新插好摄像头并检查连线")),
        CameraError::Stalled(_) | CameraError::OpenTimeout(_) => {
            ("stalled", "摄像头没有画面", t("unplug it and plug it in again, without a hub", "请重新插拔摄像头，不经集线器"))
        }
        CameraError::Frozen => (
            "frozen",
            "摄像头画面静止不动",
            t("unplug it and plug it in again; close programs that filter its picture", "请重新插拔摄像头，并关闭美颜等软件"),
        ),
        CameraError::Black => ("black", "摄像头画面全黑", t("take the cover off the lens, or give light", "请打开镜头盖或增加照明")),
        CameraError::GivenUp => ("given_up", "核验已中止", t("look again", "请再检查一次")),
        CameraError::UpsideDown => ("upside_down", "摄像头装倒了", t("mount it the right way up", "请将摄像头正向安装")),
        CameraError::Failed(_) => {
            ("failed", "摄像头故障", t("connect it anew, or choose another format in the configuration", "请重新连接，或在配置中更换格式"))
        }
        CameraError::Playback { .. } => ("playback", "播放的图片文件夹有误", t("correct camera.folder", "请修改 camera.folder")),
    };
    Check::not("camera", Grade::Fail, word, t(error.to_string(), zh), remedy)
}

/// The light before the camera; nothing where there is no picture.
#[must_use]
pub fn light(found: &Camera) -> Option<Check> {
    let Camera::Well(seen) = found else { return None };
    let level = format!("mean brightness {:.0} of 255", seen.brightness);
    Some(if seen.brightness < *LIGHT.start() {
        let remedy = t("give light from the front; no lamp or window behind the person", "请从正面增加照明，避免背光");
        Check::not("light", Grade::Warn, "dark", t(level, "光线过暗"), remedy)
    } else if seen.brightness > *LIGHT.end() {
        let remedy = t("turn lamps away from the camera, or the camera away from the window", "请避免灯光或窗户直射摄像头");
        Check::not("light", Grade::Warn, "bright", t(level, "光线过亮"), remedy)
    } else {
        Check::ok("light", t(level, "光线合适"))
    })
}

/// The line to the center.
#[must_use]
pub fn line(found: &Line) -> Check {
    let slow = t("ask the network's operator; big uploads beside it slow it down", "请联系网络管理员，避免同时大量上传");
    match found {
        Line::Answers(ms) if *ms > LINE_SLOW_MS => {
            Check::not("line", Grade::Warn, "slow", t(format!("the center answers after {ms} ms"), "线路较慢"), slow)
        }
        Line::Answers(ms) => Check::ok("line", t(format!("the center answers after {ms} ms"), "线路正常")),
        Line::Refuses(why) => Check::not(
            "line",
            Grade::Fail,
            "refused",
            t(why, "中心拒绝本设备"),
            t("ask the center's operator whether this device is in force", "请向中心确认本设备是否有效"),
        ),
        Line::Silent(why) => Check::not(
            "line",
            Grade::Fail,
            "silent",
            t(why, "中心没有应答"),
            t(
                "look at cable, router and center.address; captures are kept meanwhile",
                "请检查网线、路由器和 center.address；期间采集会保存",
            ),
        ),
        Line::NotAsked => not_looked_at("line"),
    }
}

/// Leave to work without the center.
#[must_use]
pub fn lease(found: Option<&Lease>, now_ms: i64) -> Check {
    let remedy = || t("none needed while the line is up; the agent asks for one by itself", "线路正常时无需处理，程序会自动续取");
    match found {
        None => Check::not("lease", Grade::Warn, "none", t("no leave to work without the center", "没有离线工作许可"), remedy()),
        Some(lease) if lease.until_ms <= now_ms => {
            Check::not("lease", Grade::Warn, "ended", t("leave to work without the center has ended", "离线工作许可已到期"), remedy())
        }
        Some(lease) if lease.left == 0 => {
            Check::not("lease", Grade::Warn, "used_up", t("leave to work without the center is used up", "离线工作许可已用完"), remedy())
        }
        Some(lease) => Check::ok("lease", t(format!("{} captures without the center", lease.left), "离线工作许可有效")),
    }
}

/// The clocks.
#[must_use]
pub fn clock(offset_ms: Option<i64>, max_ms: u64) -> Check {
    let remedy = t("let this machine take its time from the network", "请让本机自动对时");
    match offset_ms {
        None => Check::not("clock", Grade::Warn, "unknown", t("never compared with the center's", "尚未与中心对时"), remedy),
        Some(offset) if offset.unsigned_abs() > max_ms => {
            let seconds = format!("{:.1} s from the center's", seconds(offset));
            Check::not("clock", Grade::Warn, "wrong", t(seconds, "本机时间与中心不一致"), remedy)
        }
        Some(offset) => Check::ok("clock", t(format!("{offset} ms from the center's"), "时间一致")),
    }
}

#[expect(clippy::cast_precision_loss, reason = "for people")]
fn seconds(ms: i64) -> f64 {
    ms as f64 / 1000.0
}

/// The certificate.
#[must_use]
pub fn certificate(facts: &Cheap) -> Check {
    let Some(validity) = facts.validity else { return not_looked_at("certificate") };
    let now_ms = facts.now_ms.saturating_add(facts.clock_offset_ms.unwrap_or(0));
    let days = (validity.until_ms - now_ms) / 86_400_000;
    let renew = t(
        "capture-agent renew, where the center is reached; the running agent does it by itself",
        "请在线路正常时运行 capture-agent renew",
    );
    match validity.at(now_ms, facts.config.renew_after_share) {
        Standing::Holds => Check::ok("certificate", t(format!("holds for {days} days"), "证书有效")),
        Standing::Due => {
            Check::not("certificate", Grade::Warn, "due", t(format!("ends in {days} days; the next one is due"), "证书即将到期"), renew)
        }
        Standing::Ended => {
            let remedy = t(
                "capture-agent renew; when the center says that it is too late, join with a new code",
                "请运行 capture-agent renew；若已超期，请用新的一次性码登记",
            );
            Check::not("certificate", Grade::Fail, "ended", t("has ended", "证书已到期"), remedy)
        }
        Standing::NotYet => {
            let remedy = t("set this machine's clock right", "请校正本机时间");
            Check::not(
                "certificate",
                Grade::Fail,
                "not_yet",
                t("does not hold yet by this machine's clock", "按本机时间证书尚未生效"),
                remedy,
            )
        }
    }
}

/// Envelopes that wait.
#[must_use]
pub fn spool(facts: &Cheap) -> Check {
    let Some(holdings) = facts.holdings else {
        let remedy = t("look at the disk; the folder of another agent version cannot be read", "请检查磁盘");
        return Check::not("spool", Grade::Fail, "unreadable", t("state.db cannot be read", "本地数据无法读取"), remedy);
    };
    let waiting = format!("{} wait for the center, {} kB", holdings.waiting, holdings.bytes / 1024);
    if holdings.oldest_ms.is_some_and(|oldest| facts.now_ms.saturating_sub(oldest) > SPOOL_LATE_MS) {
        let remedy = t("restore the line; nothing is lost meanwhile", "请恢复线路，期间数据不会丢失");
        return Check::not("spool", Grade::Warn, "late", t(waiting, "有采集超过一小时未送达"), remedy);
    }
    if holdings.refused > 0 {
        let found = t(format!("{waiting}; {} refused for good", holdings.refused), "有采集被中心拒收");
        return Check::not(
            "spool",
            Grade::Warn,
            "refused",
            found,
            t("ask the center's operator; they are kept for inspection", "请联系中心查询"),
        );
    }
    Check::ok("spool", t(waiting, "待送数据正常"))
}

/// The disk.
#[must_use]
pub fn disk(free_bytes: Option<u64>, min_mb: u64) -> Check {
    let Some(free) = free_bytes else { return Check::ok("disk", t("this system does not say", "系统未提供")) };
    let found = format!("{} MB free", free / 1_000_000);
    if free / 1_000_000 < min_mb {
        let remedy = t("make room: without it nothing can be kept while the line is down", "请清理磁盘空间");
        return Check::not("disk", Grade::Warn, "full", t(found, "磁盘空间不足"), remedy);
    }
    Check::ok("disk", t(found, "磁盘空间充足"))
}

/// Who may read the state folder.
#[must_use]
pub fn permissions(found: &Permissions) -> Check {
    match found {
        Permissions::Well => Check::ok("permissions", t("the state folder is its owner's alone", "数据文件夹权限正常")),
        Permissions::NotWritable(why) => {
            let remedy = t("let the agent's user write the state folder", "请允许程序写入数据文件夹");
            Check::not("permissions", Grade::Fail, "not_writable", t(why, "数据文件夹不可写"), remedy)
        }
        Permissions::Open(name) => {
            let remedy = t(format!("take the rights of others away: chmod go= {name}"), format!("请收回他人权限：chmod go= {name}"));
            Check::not("permissions", Grade::Fail, "open", t(format!("others may read {name}"), "密钥文件可被他人读取"), remedy)
        }
    }
}

/// The processor.
#[must_use]
pub fn avx2(found: Option<bool>) -> Check {
    match found {
        Some(false) => {
            let remedy = t("expect a verdict after several seconds; use a newer machine", "识别会明显变慢，建议更换较新的电脑");
            Check::not("avx2", Grade::Warn, "missing", t("the processor has no AVX2", "处理器不支持 AVX2"), remedy)
        }
        Some(true) => Check::ok("avx2", t("the processor has it", "处理器支持 AVX2")),
        None => Check::ok("avx2", t("another kind of processor", "其他类型的处理器")),
    }
}

#[cfg(test)]
mod tests;
