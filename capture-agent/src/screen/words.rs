//! The screen's other words, each in Chinese and in English, side by side: what stands around the one instruction.

/// A language of the screen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Language {
    /// Chinese.
    #[default]
    Zh,
    /// English.
    En,
}

impl Language {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Zh, Self::En];

    /// Its code, as in `lang`.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Zh => "zh",
            Self::En => "en",
        }
    }

    /// The other one.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::Zh => Self::En,
            Self::En => Self::Zh,
        }
    }

    /// Of a text in both languages, the one in this.
    #[must_use]
    pub fn of(self, [zh, en]: [&'static str; 2]) -> &'static str {
        match self {
            Self::Zh => zh,
            Self::En => en,
        }
    }

    /// The words in this language.
    #[must_use]
    pub fn words(self) -> &'static Words {
        match self {
            Self::Zh => &ZH,
            Self::En => &EN,
        }
    }
}

macro_rules! messages {
    ($($key:ident: $zh:literal, $en:literal;)+) => {
        /// All words in one language.
        #[derive(Debug)]
        pub struct Words { $(#[doc = $en] pub $key: &'static str,)+ }

        static ZH: Words = Words { $($key: $zh,)+ };
        static EN: Words = Words { $($key: $en,)+ };

        /// All of them: Chinese and English.
        pub const ALL: &[[&str; 2]] = &[$([$zh, $en],)+];
    };
}

messages! {
    product: "柜台核验", "Counter verification";
    status: "设备状态", "State of the counter";
    actions: "可以做的", "What you can do";
    settings: "显示设置", "Display";
    language_other: "English", "中文";
    type_large: "大字", "Large type";
    voice: "语音", "Voice";
    on: "开", "on";
    off: "关", "off";
    notice: "告知", "Notice";
    notice_title: "人脸核验告知", "Notice on face verification";
    notice_version: "告知版本", "Notice";
    keys: "按键", "Keys";
    keys_title: "按键", "Keys";
    keys_why: "字母、数字和回车留给读卡器和扫码枪，不会误触。", "Letters, digits and Enter are left to card readers and scanners that type, so that none of them presses a button.";
    keys_tab: "Tab 在按钮之间移动，空格按下；Esc 关闭窗口。", "Tab moves between buttons and Space presses one; Esc closes a window.";
    close: "关闭", "Close";
    begin: "开始核验", "Begin";
    agree: "同意并开始", "Agree and begin";
    retry: "再试一次", "Try again";
    again: "再次发送", "Send again";
    other_way: "其他核验方式", "Other way";
    document: "核对证件", "Document";
    chip: "读证件芯片", "Chip";
    proxy: "代办人", "Somebody collects";
    end: "结束本次", "Call it off";
    card: "卡号尾号", "Card ending in";
    picture: "摄像头画面", "Picture of the camera";
    camera: "摄像头", "Camera";
    camera_resting: "待用", "resting";
    camera_in_use: "使用中", "in use";
    camera_ready: "正常", "ready";
    camera_absent: "未连接", "not connected";
    camera_busy: "被占用", "used by another program";
    camera_stalled: "无新画面", "no new picture";
    camera_unplugged: "已断开", "unplugged";
    camera_frozen: "画面不动", "picture does not move";
    camera_black: "被遮住", "covered";
    camera_upside_down: "装倒了", "upside down";
    line: "线路", "Line";
    line_up: "正常", "up";
    line_backup: "备用线路", "backup line";
    line_down: "中断", "down";
    line_alone: "中断，应急方式", "down, emergency mode";
    line_unknown: "尚未使用", "not used yet";
    spool: "待发送", "To be sent";
    spool_full: "已满", "full";
    spool_unknown: "不详", "not known";
    document_title: "核对证件", "Look at the document";
    document_lead: "看证件上的照片和面前的人，然后按您的工号记录。", "Look at the document's photo and at the person, then record it by your name.";
    document_kind: "证件", "Document";
    operator: "工号", "Your name or number";
    same_person: "是同一人", "Same person";
    not_the_person: "不是同一人", "Not the person";
    resident_identity: "居民身份证", "Resident identity card";
    social_security_card: "社会保障卡", "Social-security card";
    passport: "护照", "Passport";
    travel_permit: "往来通行证", "Travel permit";
    permanent_residence: "永久居留身份证", "Permanent residence card";
    household_register: "户口簿", "Household register";
    service: "军官证等", "Service document";
    other: "其他证件", "Another document";
    proxy_title: "登记代办人", "Note who collects";
    proxy_lead: "一人一次代一人办理。登记后，请代办人看摄像头。", "One person for one holder at a time. The person collecting looks at the camera afterwards.";
    document_number: "证件号码", "Number of the document";
    name: "姓名", "Name";
    proxy_note: "登记", "Note";
    form_incomplete: "请检查填写的内容。", "Please check what was entered.";
    shut_title: "请重新打开屏幕", "Please open the screen anew";
    shut_lead: "链接只能用一次，且在本机程序重启后失效。在本机运行 capture-agent screen 取得新链接。", "A link works once, and only until the program is started anew. Run capture-agent screen on this machine for another.";
}
