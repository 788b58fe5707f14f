//! Everything the counter's screen can be, in one table: its word, its shape, what it says in Chinese and English, and what to do
//! next. Tests walk this table; a state that is not in it cannot be shown.
//!
//! It accuses nobody. What a face was decided to be is no state: a screen knows only what the till was told to do.

use capture_core::Instruction;

/// The drawing beside the words; with the words it says what colour says nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// A resting counter.
    Card,
    /// The outline a face belongs into.
    Outline,
    /// The outline, and arrows that point out of it: closer.
    Closer,
    /// The outline, and arrows that point into it: back.
    Back,
    /// The outline, and arrows from both sides.
    Middle,
    /// The outline and a straight look.
    Straight,
    /// A lamp.
    Light,
    /// Less of the lamp.
    Dim,
    /// A mask with an arrow down.
    Mask,
    /// One person of several.
    One,
    /// The outline, drawn through: hold still.
    Still,
    /// An hourglass.
    Wait,
    /// A tick.
    Done,
    /// A document.
    Document,
    /// Two ways.
    Ways,
    /// A helping person.
    Help,
    /// Once more.
    Again,
    /// A line with a gap.
    Line,
    /// A box that fills.
    Store,
    /// A camera.
    Camera,
    /// A drill.
    Drill,
}

impl Shape {
    /// The name of its drawing.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Card => "card",
            Self::Outline => "outline",
            Self::Closer => "closer",
            Self::Back => "back",
            Self::Middle => "middle",
            Self::Straight => "straight",
            Self::Light => "light",
            Self::Dim => "dim",
            Self::Mask => "mask",
            Self::One => "one",
            Self::Still => "still",
            Self::Wait => "wait",
            Self::Done => "done",
            Self::Document => "document",
            Self::Ways => "ways",
            Self::Help => "help",
            Self::Again => "again",
            Self::Line => "line",
            Self::Store => "store",
            Self::Camera => "camera",
            Self::Drill => "drill",
        }
    }
}

macro_rules! states {
    ($($(#[$doc:meta])* $variant:ident = $word:literal, $shape:ident, [$zh:literal, $en:literal], [$next_zh:literal, $next_en:literal];)+) => {
        /// What the screen is.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum ScreenState { $($(#[$doc])* $variant,)+ }

        impl ScreenState {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// Its word, by which tests and style sheets know it.
            #[must_use]
            pub fn word(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }

            /// Its drawing.
            #[must_use]
            pub fn shape(self) -> Shape {
                match self { $(Self::$variant => Shape::$shape),+ }
            }

            /// The one thing it says, in Chinese and English.
            #[must_use]
            pub fn says(self) -> [&'static str; 2] {
                match self { $(Self::$variant => [$zh, $en]),+ }
            }

            /// What to do next, in Chinese and English.
            #[must_use]
            pub fn next(self) -> [&'static str; 2] {
                match self { $(Self::$variant => [$next_zh, $next_en]),+ }
            }
        }
    };
}

states! {
    /// No transaction runs.
    Idle = "idle", Card, ["您好，请刷卡", "Welcome: please swipe your card"], ["不想用摄像头？请选其他核验方式，不需要理由。", "You would rather not use the camera? Take the other way; no reason is needed."];
    /// A transaction is open and nothing was tried.
    Ready = "ready", Outline, ["请准备看摄像头", "Please get ready to look at the camera"], ["按“开始核验”，或选“其他核验方式”。", "Press Begin, or take the other way."];
    /// The same, with somebody in the holder's place.
    ReadyProxy = "ready_proxy", Outline, ["请代办人准备看摄像头", "Person collecting: please get ready to look at the camera"], ["已登记代办人。按“开始核验”，或选“其他核验方式”。", "The person collecting is noted. Press Begin, or take the other way."];
    /// Consent is asked for.
    Consent = "consent", Outline, ["可以用摄像头核验吗？", "May the camera be used?"], ["同意请按“同意并开始”；不同意请选“其他核验方式”，不影响办理。", "If you agree, press Agree and begin. If not, take the other way: nothing changes for you."];
    /// The camera is being opened.
    Starting = "starting", Camera, ["正在打开摄像头", "Opening the camera"], ["请看摄像头。", "Please look at the camera."];
    /// No face is seen.
    LookAtCamera = "look_at_camera", Outline, ["请看摄像头", "Please look at the camera"], ["把脸对准轮廓。", "Bring your face into the outline."];
    /// Several people.
    OnePersonOnly = "one_person_only", One, ["请只留一位", "One person only, please"], ["请其他人暂时站到旁边。", "Others, please step aside for a moment."];
    /// Too small.
    ComeCloser = "come_closer", Closer, ["请靠近一些", "Please come closer"], ["让脸填满轮廓。", "Let your face fill the outline."];
    /// Too large.
    MoveBack = "move_back", Back, ["请退后一些", "Please move back a little"], ["让整张脸都在轮廓里。", "Keep all of your face within the outline."];
    /// Cut off.
    MoveToMiddle = "move_to_middle", Middle, ["请移到中间", "Please move to the middle"], ["把脸对准轮廓。", "Bring your face into the outline."];
    /// Turned, bent, or eyes shut.
    FaceTheCamera = "face_the_camera", Straight, ["请正对摄像头", "Please face the camera"], ["平视前方，睁开眼睛。", "Look straight ahead, with your eyes open."];
    /// Dark.
    MoreLight = "more_light", Light, ["请面向光亮处", "Please face the light"], ["工作人员可以开灯，或转动摄像头。", "Staff: give some light, or turn the camera."];
    /// Washed out.
    TooBright = "too_bright", Dim, ["光线太强，请稍微转开", "Too bright: please turn a little from the light"], ["工作人员可以遮一下强光。", "Staff: shade the strong light, if you can."];
    /// A mask.
    TakeOffMask = "take_off_mask", Mask, ["方便的话请暂时摘下口罩", "Please take off your mask for a moment, if you can"], ["不方便就选“其他核验方式”。", "If you cannot, take the other way."];
    /// Good.
    HoldStill = "hold_still", Still, ["请保持不动", "Hold still"], ["很好，马上就好。", "Good. Only a moment more."];
    /// No fresh frame.
    WaitForCamera = "wait_for_camera", Wait, ["正在等待摄像头", "Waiting for the camera"], ["请稍候。", "One moment, please."];
    /// The face was taken and is compared.
    Comparing = "comparing", Wait, ["正在核对", "Checking"], ["请稍候，可以不看摄像头了。", "One moment. You need not look at the camera any more."];
    /// A way without a face is being recorded.
    Recording = "recording", Wait, ["正在记录", "Recording"], ["请稍候。", "One moment, please."];
    /// The till may settle.
    Settled = "settled", Done, ["核验完成，请结算", "Done: please settle"], ["谢谢。工作人员请继续结算。", "Thank you. Staff: go on with the settlement."];
    /// The till may settle, on the device's own word.
    SettledAlone = "settled_alone", Done, ["已记录，请结算", "Recorded: please settle"], ["线路中断，按应急方式办理；线路恢复后自动核对。", "The line is down: this is settled in emergency mode, and checked when the line is back."];
    /// The operator looks at a document.
    DocumentCheck = "document_check", Document, ["请出示您的身份证件", "Please show your identity document"], ["工作人员看过证件后，按“核对证件”记录。", "Staff: look at it, then press Document and record what you saw."];
    /// Another way is to be taken.
    TakeOtherWay = "take_other_way", Ways, ["请改用其他核验方式", "Please take the other way"], ["按“其他核验方式”，不需要理由。", "Press Other way; no reason is needed."];
    /// Not on insurance for now.
    Hold = "hold", Help, ["请稍等，工作人员来协助您", "One moment: the staff will help you"], ["暂不用医保结算。可以换一种方式，或请中心协助。", "Not settled on insurance for now. Take another way, or ask the center for help."];
    /// Once more.
    Retry = "retry", Again, ["请再试一次", "Please try once more"], ["按“再试一次”，然后看摄像头。", "Press Try again, then look at the camera."];
    /// A document's chip is being read.
    ChipReading = "chip_reading", Document, ["请把证件放在读卡器上", "Please put the document on the reader"], ["读好后请看摄像头。", "Then look at the camera."];
    /// Captured, and not answered.
    Unanswered = "unanswered", Line, ["已采集，正在等待中心", "Taken: waiting for the center"], ["不用重新拍摄。按“再次发送”，或选“其他核验方式”。", "Nothing is taken anew. Press Send again, or take the other way."];
    /// Recorded without a receipt.
    RecordedOnly = "recorded_only", Line, ["已经记录", "It is recorded"], ["线路中断，暂时没有核验凭证：按应急预案办理，线路恢复后按“再次发送”。", "The line is down and there is no receipt yet: go by the emergency plan, and press Send again when the line is back."];
    /// No lease.
    LeaseMissing = "lease_missing", Line, ["线路暂时不通", "The line is down for now"], ["本柜台没有应急授权：请选“其他核验方式”。", "This counter holds no lease: take the other way."];
    /// The lease is used up.
    LeaseUsedUp = "lease_used_up", Line, ["线路暂时不通", "The line is down for now"], ["应急次数已经用完：请选“其他核验方式”。", "The lease is used up: take the other way."];
    /// The lease is over.
    LeaseExpired = "lease_expired", Line, ["线路暂时不通", "The line is down for now"], ["应急授权已过期：请选“其他核验方式”。", "The lease is out of date: take the other way."];
    /// The clock was set back.
    ClockSetBack = "clock_set_back", Line, ["线路暂时不通", "The line is down for now"], ["本机时钟需要校准：请选“其他核验方式”。", "This machine's clock needs to be set: take the other way."];
    /// Captures wait for too long.
    SpoolTooOld = "spool_too_old", Store, ["线路暂时不通", "The line is down for now"], ["待发送的记录等待太久：请选“其他核验方式”，并恢复线路。", "Records wait for too long: take the other way, and have the line restored."];
    /// No more captures can wait.
    SpoolFull = "spool_full", Store, ["本柜台暂存已满", "This counter can keep no more for now"], ["请按应急预案办理，并恢复线路；已采集的不会丢失。", "Go by the emergency plan and have the line restored. Nothing taken is lost."];
    /// No camera.
    CameraAbsent = "camera_absent", Camera, ["没有找到摄像头", "No camera is found"], ["请连接摄像头，或选“其他核验方式”。", "Connect the camera, or take the other way."];
    /// Another program has it.
    CameraBusy = "camera_busy", Camera, ["摄像头正被其他程序使用", "Another program uses the camera"], ["请关闭那个程序，或选“其他核验方式”。", "Close that program, or take the other way."];
    /// Unplugged.
    CameraLost = "camera_lost", Camera, ["摄像头已断开", "The camera was unplugged"], ["请检查连线后再试，或选“其他核验方式”。", "Check its cable and try again, or take the other way."];
    /// No frames.
    CameraStalled = "camera_stalled", Camera, ["摄像头没有新画面", "The camera gives no new picture"], ["请检查连线后再试，或选“其他核验方式”。", "Check its cable and try again, or take the other way."];
    /// One frame for ever.
    CameraFrozen = "camera_frozen", Camera, ["摄像头画面不动", "The camera's picture does not move"], ["请重新插拔摄像头，或选“其他核验方式”。", "Unplug the camera and plug it in again, or take the other way."];
    /// Covered.
    CameraCovered = "camera_covered", Camera, ["摄像头被遮住了", "The camera is covered"], ["请打开镜头盖，或选“其他核验方式”。", "Take the cover off the lens, or take the other way."];
    /// On its head.
    CameraUpsideDown = "camera_upside_down", Camera, ["摄像头装倒了", "The camera is upside down"], ["请把摄像头摆正，或选“其他核验方式”。", "Turn the camera the right way up, or take the other way."];
    /// Another fault of it.
    CameraFailed = "camera_failed", Camera, ["摄像头需要检查", "The camera needs a look"], ["请重新连接摄像头，或选“其他核验方式”。", "Connect the camera anew, or take the other way."];
    /// Others wait for it.
    CameraQueue = "camera_queue", Wait, ["前一位正在使用摄像头", "The person before you uses the camera"], ["请稍候再试。", "Please try again in a moment."];
    /// Faces are spent.
    AttemptsSpent = "attempts_spent", Ways, ["请换一种方式", "Please take another way"], ["拍摄次数已到上限：核对证件，或选“其他核验方式”。", "The camera was tried often enough: look at a document, or take the other way."];
    /// No reader.
    ReaderAbsent = "reader_absent", Document, ["请把证件给工作人员看", "Please show the document to the staff"], ["本柜台没有读卡器：看过证件后按“核对证件”。", "There is no reader here. Staff: look at it, then press Document."];
    /// Nothing on the reader.
    NoDocument = "no_document", Document, ["请把证件放在读卡器上", "Please put the document on the reader"], ["放好后按“读证件芯片”。", "Then press Chip."];
    /// The document cannot be read.
    DocumentUnreadable = "document_unreadable", Document, ["请重新放置证件", "Please put the document on again"], ["仍读不出时，工作人员看证件后按“核对证件”。", "If it still cannot be read, look at it and press Document."];
    /// No photo in the chip.
    NoFaceOnChip = "no_face_on_chip", Document, ["请把证件给工作人员看", "Please show the document to the staff"], ["芯片里没有清晰照片：看过证件后按“核对证件”。", "The chip has no clear photo. Staff: look at it, then press Document."];
    /// Another number.
    OtherDocument = "other_document", Document, ["请放上本人的证件", "Please put your own document on the reader"], ["持卡人放持卡人的，代办人放代办人的。", "The holder's for the holder; for somebody collecting, theirs."];
    /// A document check needs a name.
    OperatorMissing = "operator_missing", Document, ["请出示您的身份证件", "Please show your identity document"], ["工作人员请填写自己的工号，再记录。", "Staff: enter your own name or number, then record."];
    /// Nobody in the holder's place.
    ProxyNotAllowed = "proxy_not_allowed", Ways, ["请持卡人本人办理", "The holder, please"], ["这里不能代办；也可以选“其他核验方式”。", "Nobody can collect for them here; the other way is open."];
    /// Somebody else was named.
    ProxyConflict = "proxy_conflict", Help, ["已登记另一位代办人", "Somebody else is noted as collecting"], ["一次只能代一人办理：请另开一笔。", "One person for one holder at a time: open another transaction."];
    /// The center refuses the device.
    DeviceRefused = "device_refused", Help, ["本机暂停使用", "This counter is out of service"], ["请到其他柜台办理；工作人员请联系中心。", "Please use another counter. Staff: call the center."];
    /// The models are not the center's.
    ModelsUnfit = "models_unfit", Help, ["本机暂时不能用摄像头核验", "The camera cannot be used for this now"], ["请选“其他核验方式”；工作人员请联系运维。", "Take the other way. Staff: call the operator."];
    /// The center failed.
    CenterTrouble = "center_trouble", Line, ["中心暂时无法答复", "The center cannot answer for now"], ["请稍后再试，或选“其他核验方式”。", "Try again in a while, or take the other way."];
    /// The disk.
    StorageTrouble = "storage_trouble", Store, ["本机存储需要检查", "This machine's disk needs a look"], ["请到其他柜台办理；工作人员请联系运维。", "Please use another counter. Staff: call the operator."];
    /// Anything else.
    Trouble = "trouble", Help, ["请稍等，工作人员来协助您", "One moment: the staff will help you"], ["请再试一次，或选“其他核验方式”。", "Try again, or take the other way."];
    /// The settlement was made.
    Confirmed = "confirmed", Done, ["办理完成，谢谢", "All done, thank you"], ["请带好您的卡和证件。", "Please take your card and document."];
    /// It was taken back.
    Reversed = "reversed", Done, ["已经撤销", "It is taken back"], ["退费已记录。", "The refund is recorded."];
    /// Called off.
    Cancelled = "cancelled", Card, ["本次已结束", "This one is called off"], ["需要时请重新开始。", "Begin anew when you like."];
    /// Idle for too long.
    Expired = "expired", Card, ["本次已超时", "This one has timed out"], ["需要时请重新开始。", "Begin anew when you like."];
    /// A drill is under way.
    Drill = "drill", Drill, ["正在应急演练", "A drill is under way"], ["请稍候；演练不办理业务，不留记录。", "One moment, please. A drill settles nothing and leaves no record."];
    /// The page has lost the program.
    Disconnected = "disconnected", Line, ["屏幕正在重新连接", "The screen is connecting again"], ["稍后会自动恢复。若一直如此，请工作人员重新打开屏幕。", "It comes back by itself. If it does not, staff: open the screen anew."];
}

impl From<Instruction> for ScreenState {
    fn from(instruction: Instruction) -> Self {
        match instruction {
            Instruction::LookAtCamera => Self::LookAtCamera,
            Instruction::OnePersonOnly => Self::OnePersonOnly,
            Instruction::ComeCloser => Self::ComeCloser,
            Instruction::MoveBack => Self::MoveBack,
            Instruction::MoveToMiddle => Self::MoveToMiddle,
            Instruction::FaceTheCamera => Self::FaceTheCamera,
            Instruction::MoreLight => Self::MoreLight,
            Instruction::TooBright => Self::TooBright,
            Instruction::TakeOffMask => Self::TakeOffMask,
            Instruction::HoldStill => Self::HoldStill,
            Instruction::WaitForCamera => Self::WaitForCamera,
        }
    }
}

impl ScreenState {
    /// What the screen is where an attempt came to nothing by this problem.
    #[must_use]
    pub fn of_problem(code: &str) -> Self {
        match code {
            "consent_missing" => Self::Consent,
            "attempt_given_up" => Self::Ready,
            "camera_queue_full" => Self::CameraQueue,
            "model_mismatch" | "models_failed" => Self::ModelsUnfit,
            "attempts_spent" => Self::AttemptsSpent,
            "camera_absent" => Self::CameraAbsent,
            "camera_busy" => Self::CameraBusy,
            "camera_lost" => Self::CameraLost,
            "camera_stalled" => Self::CameraStalled,
            "camera_frozen" => Self::CameraFrozen,
            "camera_black" => Self::CameraCovered,
            "camera_upside_down" => Self::CameraUpsideDown,
            "camera_failed" | "playback_unreadable" => Self::CameraFailed,
            "outbox_full" => Self::SpoolFull,
            "outbox_failed" | "book_failed" => Self::StorageTrouble,
            "center_unreachable" => Self::Unanswered,
            "lease_missing" => Self::LeaseMissing,
            "lease_used_up" => Self::LeaseUsedUp,
            "lease_expired" => Self::LeaseExpired,
            "clock_set_back" => Self::ClockSetBack,
            "spool_too_old" => Self::SpoolTooOld,
            "recorded_only" => Self::RecordedOnly,
            "center_failed" | "envelope_stale" | "request_refused" => Self::CenterTrouble,
            "device_refused" => Self::DeviceRefused,
            "reader_absent" => Self::ReaderAbsent,
            "no_document" => Self::NoDocument,
            "document_unreadable" => Self::DocumentUnreadable,
            "no_face_on_chip" => Self::NoFaceOnChip,
            "document_of_another" => Self::OtherDocument,
            "operator_missing" => Self::OperatorMissing,
            "proxy_not_allowed" => Self::ProxyNotAllowed,
            "proxy_conflict" => Self::ProxyConflict,
            _ => Self::Trouble,
        }
    }

    /// Whether a face is sought, so that the picture of the camera is shown.
    #[must_use]
    pub fn is_guidance(self) -> bool {
        Instruction::ALL.into_iter().any(|instruction| Self::from(instruction) == self)
    }
}
