//! The console's catalogue of messages: each in Chinese and in English, side by side.
//!
//! A page names a message as a field, so that one that is missing does not compile.

macro_rules! messages {
    ($($key:ident: $zh:literal, $en:literal;)+) => {
        /// All messages in one language.
        #[derive(Debug)]
        pub struct Words { $(#[doc = $en] pub $key: &'static str,)+ }

        /// In Chinese.
        pub static ZH: Words = Words { $($key: $zh,)+ };
        /// In English.
        pub static EN: Words = Words { $($key: $en,)+ };

        #[cfg(test)]
        pub(super) const ALL: &[(&str, &str, &str)] = &[$((stringify!($key), $zh, $en),)+];
    };
}

pub mod supervision;

messages! {
    product: "人卡核验复核台", "Countersign review";
    skip: "跳到正文", "Skip to the content";
    language_other: "English", "中文";
    menu: "菜单", "Menu";
    nav_queue: "待办案件", "Queue";
    nav_search: "查找", "Search";
    nav_store: "待答复", "Questions";
    nav_looks: "查看记录", "Looks at faces";
    nav_log: "审计日志", "Audit log";
    nav_reviewers: "复核人员", "Reviewers";
    nav_seeds: "已知答案样本", "Known answers";
    nav_users: "用户", "Users";
    nav_account: "我的账户", "My account";
    help: "按键", "Keys";
    help_title: "本页按键", "Keys of this page";
    help_close: "关闭", "Close";
    sign_out: "退出", "Sign out";
    signed_in_as: "已登录：", "Signed in as";
    back: "返回", "Back";
    save: "保存", "Save";
    yes: "是", "yes";
    no: "否", "no";
    none: "无", "none";
    unknown: "不详", "not known";
    time: "时间", "Time";
    who: "人员", "Who";
    what: "事项", "What";
    change: "更改", "Change";
    key_next: "下一行", "next line";
    key_previous: "上一行", "line before";
    key_open: "打开", "open";
    print: "打印", "Print";

    sign_in: "登录", "Sign in";
    sign_in_lead: "本系统仅供中心授权人员使用。查看人脸会留下记录。", "For people the center has let in. Every look at a face is recorded.";
    name: "用户名", "Name";
    password: "密码", "Password";
    code: "动态验证码", "One-time code";
    code_hint: "六位数字；尚未设置的可不填", "Six digits; leave it empty until you have set one up";
    sign_in_refused: "用户名、密码或验证码有误，或账户暂时锁定。", "The name, the password or the code is wrong, or the account is locked for a while.";
    too_many: "尝试次数过多，请稍后再试。", "Too many tries. Please wait a little.";
    signed_out: "您已退出。", "You have signed out.";

    password_title: "修改密码", "Change the password";
    password_must: "继续之前请先设置您自己的密码。", "Please set a password of your own before you go on.";
    password_now: "当前密码", "Present password";
    password_new: "新密码", "New password";
    password_again: "再输入一次新密码", "New password again";
    password_rule: "12 至 128 个字符，至少五种不同字符，不含用户名。", "12 to 128 characters, at least five different ones, without your name.";
    password_wrong: "当前密码有误。", "The present password is wrong.";
    password_differ: "两次输入的新密码不一致。", "The two new passwords differ.";
    password_weak: "新密码不符合要求。", "The new password does not fit the rule.";
    password_done: "密码已修改。", "The password is changed.";
    factor_title: "第二重验证", "Second factor";
    factor_must: "继续之前请先设置动态验证码。", "Please set up one-time codes before you go on.";
    factor_lead: "用手机验证器应用扫描下图，或手动添加账户（基于时间、6 位、30 秒）并输入下面的密钥，然后填写应用显示的验证码。", "Scan the picture with an authenticator app, or add an account by hand (time-based, 6 digits, 30 seconds) with the key below; then type the code that the app shows.";
    factor_picture: "验证器应用可扫描的二维码，与下方密钥相同", "QR code of the key below, for an authenticator app";
    document_proxies: "代办人登记", "Who came in the holder's place";
    factor_key: "密钥", "Key";
    factor_wrong: "验证码有误，请核对时间后重试。", "The code is wrong. Check the clock of the device and try again.";
    factor_done: "第二重验证已设置。", "The second factor is set up.";
    factor_there: "您已设置第二重验证。如需更换，请联系管理员。", "You have a second factor. To change it, ask an administrator.";
    confirm: "确认", "Confirm";

    queue_title: "待办案件", "Queue";
    queue_empty: "没有符合条件的案件。", "No case fits.";
    queue_next: "领取下一件", "Take the next case";
    queue_nothing: "目前没有可领取的案件。", "There is no case to take now.";
    queue_capacity: "今日新开 / 复核台容量", "Opened today / desk's capacity";
    queue_hint: "按证据强弱和重复次数排列；投诉在前。", "By evidence and repeat; complaints first.";
    filter: "筛选", "Filter";
    filter_apply: "应用", "Apply";
    filter_clear: "清除", "Clear";
    filter_all: "全部", "all";
    filter_state: "状态", "State";
    filter_store: "机构", "Institution";
    filter_scene: "场景", "Scene";
    filter_kind: "类别", "Kind";
    filter_age: "时长", "Age";
    filter_assignee: "承办人", "Assignee";
    age_day: "一天内", "up to a day";
    age_week: "一至七天", "one to seven days";
    age_older: "七天以上", "over seven days";
    next_page: "下一页", "Next page";
    first_page: "首页", "First page";
    col_code: "案件号", "Case";
    col_card: "卡号", "Card";
    col_store: "机构", "Institution";
    col_captures: "采集次数", "Captures";
    col_opened: "开立", "Opened";
    col_state: "状态", "State";
    col_assignee: "承办人", "Assignee";
    col_kind: "类别", "Kind";
    and_more: "等", "and more";
    state_working: "未结", "not closed";
    state_open: "待领取", "open";
    state_claimed: "办理中", "claimed";
    state_second: "待再复核", "second review due";
    state_decided: "已定", "decided";
    state_closed: "已结", "closed";
    count_mine: "我的", "Mine";
    done_notice: "已记录。", "Recorded.";
    decided_notice: "结论已记录：", "The verdict is recorded:";

    search_title: "查找案件", "Find a case";
    search_lead: "输入完整卡号、交易号或案件号。查找会留下记录。", "Type a full card number, a transaction or a case code. Searches are recorded.";
    search_label: "卡号、交易号或案件号", "Card number, transaction or case code";
    search_kind: "号码种类", "Kind of number";
    search_region: "统筹区代码（可不填）", "Region code (may be empty)";
    search_reason: "查找事由", "Reason";
    search_none: "没有找到案件。", "No case was found.";
    search_found: "找到的案件", "Cases found";

    case_title: "案件", "Case";
    case_claim: "领取", "Take this case";
    case_claim_second: "领取再复核", "Take the second review";
    case_release: "交回", "Give it back";
    case_not_yours: "先领取案件，才能查看人脸。", "Take the case to see the faces.";
    faces_of_holder: "人脸只向承办人显示。", "Faces are shown to whoever works on the case.";
    case_of_other: "此案由他人办理。", "Somebody else works on this case.";
    case_judged_before: "您已对此案作出结论，由他人继续。", "You have given a verdict on this case; somebody else goes on.";
    step_one: "第一步：只看人脸", "Step one: the faces alone";
    step_one_lead: "两张照片是同一个人吗？先作判断，提交后不可更改，之后才显示其他信息。", "Do the two pictures show one person? Judge first: it stays as it is, and the rest is shown only afterwards.";
    step_two: "第二步：全案", "Step two: the whole case";
    picture_photo: "建档照片", "Enrolment photo";
    picture_capture: "现场采集", "Capture";
    picture_gone: "照片已按期限删除。", "The picture was deleted when its time was over.";
    picture_others: "其他采集（不分类）", "Other captures (unsorted)";
    zoom_in: "放大", "Zoom in";
    zoom_out: "缩小", "Zoom out";
    zoom_reset: "还原", "Reset";
    grid: "网格", "Grid";
    judgement: "判断", "Judgement";
    judge_minus3: "肯定是两个人", "certainly two people";
    judge_minus2: "很可能两个人", "probably two people";
    judge_minus1: "偏向两个人", "rather two people";
    judge_zero: "看不出", "cannot tell";
    judge_plus1: "偏向同一人", "rather one person";
    judge_plus2: "很可能同一人", "probably one person";
    judge_plus3: "肯定是同一人", "certainly one person";
    judge_submit: "提交判断", "Lock the judgement";
    judge_no_pictures: "已无照片可看，请记录“看不出”后继续。", "There are no pictures left. Record “cannot tell” to go on.";
    your_judgement: "您的判断", "Your judgement";
    judgements: "判断记录", "Judgements";
    score_title: "相似度得分与判定区间", "Scores between the bands";
    score_note: "得分是余弦值，不是百分比；三角为目视比对的采集。", "Scores are cosines, no percentages; the triangle is the capture that is compared by eye.";
    plot_label: "得分在判定区间中的位置", "Where the scores lie between the bands";
    band_match: "相符", "match";
    band_review: "待查", "review";
    band_non_match: "不符", "non-match";
    thresholds: "阈值", "Thresholds";
    quality_title: "采集质量与活体检测", "Quality and attack check";
    quality_component: "指标", "Component";
    quality_score: "分值（0–100）", "Score (0–100)";
    live_score: "活体得分（0–1）", "Live score (0–1)";
    reference_title: "建档照片", "Enrolment photos";
    reference_age: "照片年龄", "Age of the photo";
    reference_enrolled: "建档时间", "Enrolled";
    reference_source: "来源", "Source";
    reference_state: "状态", "State";
    visits_title: "该卡历次采集（按人脸分组）", "The card's visits, by face";
    face_group: "人脸", "Face";
    face_like_photo: "最接近建档照片", "most like the photo";
    suspect: "存疑", "speaks against the holder";
    transaction: "交易号", "Transaction";
    counter: "柜台", "Counter";
    operator: "操作员", "Operator";
    decision: "判定", "Decision";
    disposition: "处置", "Disposition";
    score: "得分", "Score";
    others_title: "其他卡", "Other cards";
    others_lead: "检索发现的相近人员（仅显示代号）。", "What searches found; people by pseudonym alone.";
    documents_title: "证件核验记录", "Document checks";
    reversed: "已冲正", "reversed";
    flags_title: "疑点", "Flags";
    cases_title: "该卡其他案件", "Other cases of this card";
    timeline_title: "经过", "Timeline";
    statements_title: "记录与各方陈述", "Notes and statements";
    blind_note: "您将独立复核：此前的判断、结论和记录暂不显示。", "You review independently: what was judged, decided and noted before is not shown.";
    decide_title: "结论", "Verdict";
    decide_reason: "理由", "Reason";
    decide_submit: "记录结论", "Record the verdict";
    decide_note: "结论只增不改；不同意时由他人重新作出结论。", "Verdicts are only added; who disagrees has the case decided anew.";
    verdict_confirmed: "确认冒用", "Confirmed";
    verdict_false_alarm: "误报", "False alarm";
    verdict_proxy: "代配药", "Proxy";
    verdict_inconclusive: "无法判断", "Inconclusive";
    verdict_stands: "现行结论", "Verdict that stands";
    close_case: "结案", "Close the case";
    reopen_case: "重新开案", "Open the case again";
    reopen_reason: "重开理由", "Why it is opened again";
    note_title: "添加记录", "Add a note";
    note_text: "内容", "Text";
    ask_title: "请机构说明", "Ask the institution";
    ask_text: "问题（不含人脸信息）", "Question (without any face)";
    ask_submit: "发出", "Send";
    complaint_title: "记录参保人投诉", "Write down a complaint";
    complaint_text: "投诉内容", "What the patient says";
    answer_title: "答复投诉", "Answer the complaint";
    answer_text: "答复内容", "Answer";
    slip_title: "告知单", "Slip";
    slip_lead: "凭此案件号可在期限内查询、陈述或投诉。", "With this code you can ask, state your view or complain.";
    slip_where: "受理渠道", "Where";
    slip_until: "答复期限：受理投诉后", "Answered after a complaint within";
    days: "天", "days";
    due: "期限", "due";
    reply_due: "机构答复期限", "The institution may reply until";
    complaint_due: "投诉答复期限", "The complaint is to be answered by";

    event_opened: "开案", "opened";
    event_claimed: "领取", "claimed";
    event_released: "交回", "given back";
    event_decided: "结论", "verdict";
    event_reviewed: "再复核结论", "second verdict";
    event_closed: "结案", "closed";
    event_reopened: "重新开案", "opened again";
    said_note: "记录", "note";
    said_store_asked: "询问机构", "institution asked";
    said_store_reply: "机构答复", "institution's reply";
    said_complaint: "参保人投诉", "complaint";
    said_complaint_answered: "投诉答复", "complaint answered";

    store_title: "需要说明的案件", "Cases you are asked about";
    store_empty: "目前没有需要说明的案件。", "Nothing is asked now.";
    store_asked_at: "询问时间", "Asked";
    store_replied: "已答复", "replied";
    store_waiting: "待答复", "waits for your reply";
    store_question: "中心的问题", "What the center asks";
    store_captures: "本机构的采集", "Captures at your institution";
    store_reply: "您的答复", "Your reply";
    store_submit: "提交答复", "Send the reply";

    looks_title: "人脸查看记录", "Who looked at which face";
    looks_lead: "每次查看人脸都在照片发出之前写入审计日志。", "Every look is written to the audit log before the picture leaves.";
    looks_by: "查看人", "By";
    looks_about: "案件、人员或记录编号", "Id of a case, a person or a record";
    looks_record: "记录", "Record";
    looks_case: "案件", "Case";
    looks_address: "地址", "Address";
    looks_empty: "没有符合条件的查看记录。", "No look fits.";
    older: "更早", "Older";
    log_title: "审计日志核验", "Is the audit log whole?";
    log_lead: "从头核对全部链条与签名检查点（等同 matcher audit verify）。", "Goes over all chains and the signed checkpoints, as matcher audit verify does.";
    log_check: "立即核验", "Check now";
    log_never: "本进程启动以来尚未核验。", "Not checked since this server started.";
    log_running: "正在核验，请稍后刷新。", "The check runs. Look again in a while.";
    log_whole: "完整：未发现篡改。", "Whole: nothing was changed.";
    log_broken: "不完整：", "Not whole:";
    log_entries: "条目", "Entries";
    log_links: "链环", "Links";
    log_epochs: "进程", "Processes";
    log_unsealed: "最近检查点之后的条目", "Entries since the last checkpoint";
    log_checkpoint: "检查点", "Checkpoint";
    log_checked_at: "核验时间", "Checked";

    reviewers_title: "复核人员", "Reviewers";
    reviewers_lead: "最近 90 天。括号内为 95% 置信区间（Wilson）；不足 50 件不显示。", "The last 90 days. In brackets the 95 % interval (Wilson); nothing is shown below 50 cases.";
    reviewers_decided: "首次结论", "First verdicts";
    reviewers_reviewed: "再复核结论", "Second verdicts";
    reviewers_twice: "双人独立判断", "Judged by two";
    reviewers_agreement: "一致率", "Agreement";
    reviewers_confirms: "确认率", "Confirms";
    reviewers_few: "不足 50 件", "fewer than 50";
    reviewers_seeds: "已知答案案件", "Known-answer cases";
    reviewers_seeds_lead: "误确认：同一人的案件被判为确认。漏判：不同人的案件被判为误报。各自不足 50 件不显示。", "False confirm: one person on all pictures, judged confirmed. Miss: two people, judged a false alarm. Each is shown from 50 cases on.";
    reviewers_seeds_empty: "尚无回答。", "No answer yet.";
    reviewers_mated: "同一人案件", "One person";
    reviewers_false_confirms: "误确认率", "False confirms";
    reviewers_nonmated: "不同人案件", "Two people";
    reviewers_misses: "漏判率", "Misses";
    seeds_title: "已知答案样本", "Pairs with a known answer";
    seeds_lead: "经许可或志愿者提供的人脸，用于衡量复核人员。由此生成的案件与其他案件无从区分，不计入统计，不通知任何机构。", "Faces with a licence or of volunteers, by which reviewers are measured. Cases made of them cannot be told from others, are in no statistics, and nobody is told of them.";
    seeds_share: "占案件的比例：", "Share of cases:";
    seeds_empty: "尚未添加样本（matcher seeds add）。", "None was added yet (matcher seeds add).";
    seeds_pair: "样本", "Pair";
    seeds_licence: "许可", "Licence";
    seeds_mated: "答案", "Answer";
    seeds_one_person: "同一人", "one person";
    seeds_two_people: "不同人", "two people";
    seeds_score: "分数", "Score";
    seeds_captures: "采集照片", "Captures";
    seeds_cases: "案件数", "Cases";
    seeds_answers: "回答数", "Answers";
    seeds_added: "添加", "Added";
    seeds_retired: "已停用", "retired";
    reviewers_empty: "尚无结论。", "No verdict yet.";

    users_title: "用户", "Users";
    users_role: "角色", "Role";
    users_institution: "机构", "Institution";
    users_state: "状态", "State";
    users_factor: "第二重验证", "Second factor";
    users_add: "添加用户", "Add a user";
    users_active: "启用", "active";
    users_disabled: "停用", "disabled";
    users_locked: "锁定", "locked";
    users_set_role: "更改角色", "Change the role";
    users_set_password: "重设密码", "New password";
    users_drop_factor: "取消第二重验证", "Drop the second factor";
    users_disable: "停用", "Disable";
    users_enable: "启用", "Enable";
    users_unlock: "解锁", "Unlock";
    users_password_is: "初始密码（只显示一次）：", "The first password, shown this once:";
    users_institution_hint: "仅机构管理员填写", "for store managers alone";
    users_refused: "未能保存：请检查用户名、角色与机构。", "Not saved: check name, role and institution.";
    role_reviewer: "复核员", "Reviewer";
    role_supervisor: "主管", "Supervisor";
    role_auditor: "审计员", "Auditor";
    role_administrator: "管理员", "Administrator";
    role_store_manager: "机构管理员", "Store manager";

    problem_title: "无法继续", "This cannot be done";
    problem_forbidden: "您无权进行此操作。", "You may not do this.";
    problem_form: "页面已失效或不是从本系统提交，请返回刷新后重试。", "The form is out of date or of another place. Go back, load the page again and try once more.";
    problem_not_found: "没有这个页面或记录。", "There is no such page or record.";
    problem_too_large: "提交的内容过长。", "What was sent is too long.";
    problem_unavailable: "系统暂时不可用，请稍后重试。", "The center cannot answer now. Please try again in a while.";
    problem_not_yours: "此案不由您办理。", "The case is not yours.";
    problem_not_judged: "请先完成人脸判断。", "Please judge the faces first.";
    problem_judged: "判断只作一次，不可更改。", "A judgement is given once.";
    problem_second: "结论须由第二人复核后才能结案。", "A second person is to look at the verdict first.";
    problem_not_asked: "确认冒用须先听取机构说明。", "Ask the institution before a confirmed case is closed.";
    problem_reply: "机构答复期限未到。", "The institution may still reply.";
    problem_complaint: "投诉尚未答复。", "A complaint waits for its answer.";
    problem_nothing: "没有需要答复的事项。", "There is nothing to answer.";
    problem_words: "请填写内容。", "Please write a few words.";
    problem_order: "案件状态已变化，请刷新后重试。", "The case has changed meanwhile. Look at it again.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_message_is_there_in_both_languages() {
        assert!(ALL.len() > 200);
        for (key, zh, en) in ALL.iter().chain(supervision::ALL) {
            assert!(!zh.trim().is_empty() && !en.trim().is_empty(), "{key}");
            let han = |text: &str| text.chars().any(|c| ('\u{4e00}'..='\u{9fff}').contains(&c));
            // The switch names the other language in itself.
            let other = *key == "language_other";
            assert_eq!((han(zh), han(en)), (!other, other), "{key}");
        }
    }
}
