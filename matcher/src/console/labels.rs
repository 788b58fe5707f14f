//! Closed words of records, as readers see them. A test holds that every word has its label.

use super::locale::Language;

/// Group, word, Chinese, English.
type Label = (&'static str, &'static str, &'static str, &'static str);

static LABELS: &[Label] = &[
    ("kind", "card_shared", "一卡两人", "card shared"),
    ("kind", "reference_stale", "照片过旧或冒名", "photo old, or a stranger"),
    ("kind", "several_faces", "一卡多人", "several faces"),
    ("kind", "random_audit", "随机抽查", "random audit"),
    ("kind", "complaint", "投诉", "complaint"),
    ("kind", "operator_pattern", "操作员异常", "operator pattern"),
    ("kind", "store_pattern", "机构异常", "institution pattern"),
    ("kind", "same_face", "一人多卡", "one face, several cards"),
    ("kind", "duplicate_reference", "重复建档", "duplicate enrolment"),
    ("state", "open", "待领取", "open"),
    ("state", "claimed", "办理中", "claimed"),
    ("state", "second_due", "待再复核", "second review due"),
    ("state", "decided", "已定", "decided"),
    ("state", "second_review", "已定", "decided"),
    ("state", "closed", "已结", "closed"),
    ("verdict", "confirmed", "确认冒用", "confirmed"),
    ("verdict", "false_alarm", "误报", "false alarm"),
    ("verdict", "proxy", "代配药", "proxy"),
    ("verdict", "inconclusive", "无法判断", "inconclusive"),
    ("event", "claimed", "领取", "taken"),
    ("event", "released", "交回", "given back"),
    ("event", "decided", "结论", "verdict"),
    ("event", "reviewed", "再复核结论", "second verdict"),
    ("event", "closed", "结案", "closed"),
    ("event", "reopened", "重新开案", "opened again"),
    ("said", "note", "记录", "note"),
    ("said", "store_asked", "询问机构", "institution asked"),
    ("said", "store_reply", "机构答复", "institution's reply"),
    ("said", "complaint", "参保人投诉", "complaint"),
    ("said", "complaint_answered", "投诉答复", "complaint answered"),
    ("role", "reviewer", "复核员", "Reviewer"),
    ("role", "supervisor", "主管", "Supervisor"),
    ("role", "auditor", "审计员", "Auditor"),
    ("role", "administrator", "管理员", "Administrator"),
    ("role", "store_manager", "机构管理员", "Store manager"),
    ("scene", "registration", "挂号", "registration"),
    ("scene", "reception", "接诊", "reception"),
    ("scene", "settlement", "结算", "settlement"),
    ("scene", "admission", "入院", "admission"),
    ("scene", "discharge", "出院", "discharge"),
    ("scene", "transfer", "转院", "transfer"),
    ("decision", "match", "人卡相符", "match"),
    ("decision", "review", "待查", "review"),
    ("decision", "non_match", "人卡不符", "non-match"),
    ("decision", "no_reference", "无建档照片", "no reference"),
    ("decision", "failure_to_acquire", "未采集到人脸", "no usable face"),
    ("decision", "several_faces", "多张人脸", "several faces"),
    ("decision", "attack_suspected", "疑似呈现攻击", "attack suspected"),
    ("decision", "live_unclear", "活体不明", "attack check unclear"),
    ("decision", "live_not_assessed", "未做活体检测", "attack not assessed"),
    ("decision", "model_mismatch", "模型不一致", "other model"),
    ("decision", "reference_unreadable", "建档无法读取", "reference unreadable"),
    ("decision", "reference_too_old", "建档照片过旧", "reference too old"),
    ("decision", "consent_missing", "缺少同意", "consent missing"),
    ("decision", "consent_withdrawn", "已撤回同意", "consent withdrawn"),
    ("decision", "center_unreachable", "中心不可达", "center unreachable"),
    ("decision", "other_way", "其他核验方式", "other way"),
    ("decision", "document_checked", "证件已核验", "document checked"),
    ("decision", "document_not_the_person", "证件不符", "document is not the person's"),
    ("decision", "proxy", "代办", "proxy"),
    ("decision", "proxy_not_compared", "代办人未比对", "proxy not compared"),
    ("decision", "proxy_not_allowed", "不允许代办", "proxy not allowed"),
    ("decision", "proxy_limit", "代办超限", "proxy limit reached"),
    ("disposition", "settle", "结算", "settle"),
    ("disposition", "settle_flagged", "结算并标记", "settle, flagged"),
    ("disposition", "document_check", "证件核验", "document check"),
    ("disposition", "other_way", "其他核验方式", "other way"),
    ("disposition", "hold", "暂缓", "hold"),
    ("disposition", "retry", "重试", "retry"),
    ("dimension", "total", "合计", "total"),
    ("dimension", "store", "机构", "institution"),
    ("dimension", "counter", "窗口", "counter"),
    ("dimension", "camera", "摄像头", "camera"),
    ("dimension", "operator", "操作员", "operator"),
    ("dimension", "scene", "场景", "scene"),
    ("dimension", "hour", "时段", "hour"),
    ("dimension", "age", "年龄段", "age band"),
    ("chart", "score", "平均分值", "mean score"),
    ("chart", "no_face", "未采集到人脸", "no usable face"),
    ("chart", "not_matched", "比对未相符", "compared, not a match"),
    ("chart", "other_way", "其他核验方式", "other way"),
    ("age", "0-15", "0–15 岁", "0–15"),
    ("age", "16-29", "16–29 岁", "16–29"),
    ("age", "30-44", "30–44 岁", "30–44"),
    ("age", "45-59", "45–59 岁", "45–59"),
    ("age", "60-74", "60–74 岁", "60–74"),
    ("age", "75+", "75 岁及以上", "75 and over"),
    ("age", "unknown", "不详", "not known"),
    ("mode", "shadow", "影子模式", "shadow"),
    ("mode", "live", "正式", "live"),
    ("mode", "demonstration", "演示", "demonstration"),
    ("not_replayed", "not_compared", "当时没有比对", "not compared then"),
    ("not_replayed", "too_little_kept", "保留的信息不足", "too little was kept"),
    ("not_replayed", "other_model", "模型不同", "another model"),
    ("not_replayed", "beyond_attempts", "超过允许次数", "more attempts than allowed"),
    ("flag", "card_person_mismatch", "人卡不符", "card–person mismatch"),
    ("flag", "match_after_non_match", "不符后相符", "match after non-match"),
    ("flag", "attack_suspected", "疑似呈现攻击", "attack suspected"),
    ("flag", "transaction_reused", "交易号重复使用", "transaction reused"),
    ("flag", "tampering_suspected", "疑似篡改", "tampering suspected"),
    ("flag", "reference_too_old", "建档照片过旧", "reference too old"),
    ("flag", "operator_pattern", "操作员异常", "operator pattern"),
    ("flag", "store_pattern", "机构异常", "institution pattern"),
    ("flag", "duplicate_reference", "重复建档", "duplicate reference"),
    ("flag", "same_face_several_cards", "一人多卡", "same face on several cards"),
    ("flag", "many_faces_one_card", "一卡多人", "many faces on one card"),
    ("flag", "override_used", "人工放行", "override used"),
    ("flag", "proxy_limit", "代办超限", "proxy limit reached"),
    ("source", "card_photo", "社会保障卡照片", "card photo"),
    ("source", "document_chip", "证件芯片照片", "document chip"),
    ("source", "counter", "柜台采集", "counter"),
    ("source", "other", "其他", "other"),
    ("photo", "active", "在用", "in use"),
    ("photo", "superseded", "已替换", "superseded"),
    ("photo", "revoked", "已撤销", "revoked"),
    ("quality", "single_face_present", "单一人脸", "single face"),
    ("quality", "inter_eye_distance", "瞳距", "eye distance"),
    ("quality", "head_size", "头部大小", "head size"),
    ("quality", "leftward_crop_of_the_face", "左侧完整", "left margin"),
    ("quality", "rightward_crop_of_the_face", "右侧完整", "right margin"),
    ("quality", "margin_above_of_the_face", "上方完整", "margin above"),
    ("quality", "margin_below_of_the_face", "下方完整", "margin below"),
    ("quality", "head_pose_yaw", "左右转头", "yaw"),
    ("quality", "head_pose_pitch", "抬头低头", "pitch"),
    ("quality", "head_pose_roll", "歪头", "roll"),
    ("quality", "eyes_open", "睁眼", "eyes open"),
    ("quality", "sharpness", "清晰度", "sharpness"),
    ("quality", "under_exposure_prevention", "无欠曝", "not too dark"),
    ("quality", "over_exposure_prevention", "无过曝", "not too bright"),
    ("quality", "illumination_uniformity", "光照均匀", "even light"),
    ("quality", "dynamic_range", "动态范围", "dynamic range"),
    ("quality", "no_compression_artifacts", "无压缩失真", "no compression artefacts"),
    ("quality", "mouth_occlusion_prevention", "口部无遮挡", "mouth not covered"),
    ("quality", "face_occlusion_prevention", "面部无遮挡", "face not covered"),
];

/// The label of a word in a group; the word itself where a newer release wrote it.
#[must_use]
pub fn label<'a>(language: Language, group: &str, word: &'a str) -> &'a str {
    let found = LABELS.iter().find(|(of, known, _, _)| *of == group && *known == word);
    found.map_or(word, |(_, _, zh, en)| match language {
        Language::Zh => zh,
        Language::En => en,
    })
}

#[cfg(test)]
mod tests {
    use matcher_core::{
        Disposition, FlagKind, NoDecision, PhotoState, ReferenceSource, Scene,
        console::{Role, StatementKind},
        evidence::{CaseKind, CaseState, CaseVerdict},
    };
    use models_core::Component;

    use super::*;

    #[track_caller]
    fn check<T: Copy>(group: &str, all: &[T], word: fn(T) -> &'static str) {
        assert!(!all.is_empty());
        for value in all {
            let word = word(*value);
            let known = LABELS.iter().filter(|(of, known, _, _)| *of == group && *known == word).count();
            assert_eq!(known, 1, "{group} {word}");
        }
    }

    #[test]
    fn every_word_of_supervision_has_its_label() {
        check("dimension", matcher_core::figures::Dimension::ALL, matcher_core::figures::Dimension::word);
        check("chart", matcher_core::drift::Chart::ALL, matcher_core::drift::Chart::word);
        check("age", matcher_core::AgeBand::ALL, matcher_core::AgeBand::word);
        check("mode", matcher_core::Mode::ALL, matcher_core::Mode::word);
        check("not_replayed", matcher_core::dry_run::NotReplayed::ALL, matcher_core::dry_run::NotReplayed::word);
    }

    #[test]
    fn every_word_has_one_label() {
        check("kind", CaseKind::ALL, CaseKind::word);
        check("state", CaseState::ALL, CaseState::word);
        check("verdict", CaseVerdict::ALL, CaseVerdict::word);
        check("said", StatementKind::ALL, StatementKind::word);
        check("role", Role::ALL, Role::word);
        check("scene", Scene::ALL, Scene::word);
        check("decision", NoDecision::ALL, NoDecision::word);
        check("disposition", Disposition::ALL, Disposition::word);
        check("flag", FlagKind::ALL, FlagKind::word);
        check("source", ReferenceSource::ALL, ReferenceSource::word);
        check("photo", PhotoState::ALL, PhotoState::word);
        check("quality", Component::ALL, Component::word);
        assert_eq!((label(Language::Zh, "verdict", "proxy"), label(Language::En, "verdict", "new_word")), ("代配药", "new_word"));
    }
}
