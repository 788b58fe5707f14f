//! What people and programs read: answers and errors, as JSON and as text, and the exit codes.

use std::{
    fmt::Write as _,
    io::{self, Write as _},
};

use capture_core::Instruction;

use crate::{
    answer::{Decision, Disposition, VerifyAnswer},
    verify::VerifyError,
};

/// Exit codes of `verify`; the others are 0 for done and 1 for failed.
pub mod exit {
    /// The decision is a match, or the command did what it should.
    pub const DONE: u8 = 0;
    /// The command failed.
    pub const FAILED: u8 = 1;
    /// The command line is wrong.
    pub const USAGE: u8 = 2;
    /// The decision is review.
    pub const REVIEW: u8 = 10;
    /// The decision is non-match.
    pub const NON_MATCH: u8 = 11;
    /// No decision could be made.
    pub const NO_DECISION: u8 = 12;
    /// The center does not answer.
    pub const UNREACHABLE: u8 = 20;
    /// The configuration, or the state folder, is not in order.
    pub const CONFIGURATION: u8 = 64;
}

/// The exit code for an answer.
#[must_use]
pub fn exit_code(outcome: &Result<VerifyAnswer, VerifyError>) -> u8 {
    match outcome {
        Ok(answer) => match answer.decision {
            Decision::Match => exit::DONE,
            Decision::Review => exit::REVIEW,
            Decision::NonMatch => exit::NON_MATCH,
            Decision::NoDecision => exit::NO_DECISION,
        },
        Err(error) if error.code() == "center_unreachable" || matches!(error, VerifyError::Alone(_) | VerifyError::Recorded(_)) => {
            exit::UNREACHABLE
        }
        Err(_) => exit::FAILED,
    }
}

/// An answer for people.
#[must_use]
pub fn answer_text(answer: &VerifyAnswer) -> String {
    let mut text = format!("{}: {}", decision_text(answer.decision), disposition_text(answer.disposition));
    if !answer.reasons.is_empty() {
        let _ = write!(text, "\nreasons: {}", answer.reasons.join(", "));
    }
    if answer.degraded {
        text.push_str("\nanswered without the center: the receipt is provisional until it has the capture");
    }
    if let Some(score) = answer.score {
        let _ = write!(text, "\nscore {score:.3}");
        if let Some(threshold) = answer.match_threshold {
            let _ = write!(text, ", match from {threshold:.3}");
        }
        if let Some(threshold) = answer.non_match_threshold {
            let _ = write!(text, ", non-match below {threshold:.3}");
        }
        if answer.provisional {
            text.push_str(" (provisional thresholds)");
        }
    }
    let repeated = if answer.repeated_answer { ", repeated answer" } else { "" };
    let _ = write!(
        text,
        "\ntransaction {} attempt {}{repeated}\npolicy {}, record {}, {} ms",
        answer.transaction, answer.attempt, answer.policy_version, answer.verification_id, answer.elapsed_ms
    );
    text
}

fn decision_text(decision: Decision) -> &'static str {
    match decision {
        Decision::Match => "MATCH",
        Decision::Review => "REVIEW",
        Decision::NonMatch => "NON-MATCH",
        Decision::NoDecision => "NO DECISION",
    }
}

fn disposition_text(disposition: Disposition) -> &'static str {
    match disposition {
        Disposition::Settle => "settle",
        Disposition::SettleFlagged => "settle; the center looks at it afterwards",
        Disposition::DocumentCheck => "check the patient's document",
        Disposition::OtherWay => "offer another way of verifying",
        Disposition::Hold => "do not settle on insurance until the center answers",
        Disposition::Retry => "please try once more",
    }
}

/// An instruction for people.
#[must_use]
pub fn instruction_text(instruction: Instruction) -> &'static str {
    instruction_words(instruction).1
}

/// An instruction's word in the local API, and what to say in English and Chinese.
#[must_use]
pub fn instruction_words(instruction: Instruction) -> (&'static str, &'static str, &'static str) {
    match instruction {
        Instruction::LookAtCamera => ("look_at_camera", "please look at the camera", "请看摄像头"),
        Instruction::OnePersonOnly => ("one_person_only", "one person only, please", "请只留一位"),
        Instruction::ComeCloser => ("come_closer", "please come closer", "请靠近一些"),
        Instruction::MoveToMiddle => ("move_to_middle", "please move to the middle", "请移到中间"),
        Instruction::MoveBack => ("move_back", "please move back a little", "请退后一些"),
        Instruction::FaceTheCamera => ("face_the_camera", "please face the camera", "请正对摄像头"),
        Instruction::MoreLight => ("more_light", "please face the light", "请面向光亮处"),
        Instruction::TooBright => ("too_bright", "too bright here, please turn a little from the light", "光线太强，请稍微转开"),
        Instruction::TakeOffMask => ("take_off_mask", "please take off your mask for a moment, if you can", "方便的话请暂时摘下口罩"),
        Instruction::HoldStill => ("hold_still", "hold still", "请保持不动"),
        Instruction::WaitForCamera => ("wait_for_camera", "waiting for the camera", "正在等待摄像头"),
    }
}

/// Prints a line to standard output. A reader that has gone away is no failure of ours.
///
/// # Errors
/// When standard output cannot be written for another reason.
pub fn line(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        outcome => outcome,
    }
}

/// Prints a line to standard error, as far as that works.
pub fn note(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(decision: Decision) -> VerifyAnswer {
        VerifyAnswer {
            transaction: "T1".into(),
            attempt: 1,
            decision,
            reasons: vec!["several_faces".into()],
            disposition: Disposition::DocumentCheck,
            score: Some(0.25),
            match_threshold: Some(0.5),
            non_match_threshold: Some(0.3),
            policy_version: "demo-1".into(),
            model_id: "m@1".into(),
            verification_id: "v".into(),
            decided_at: String::new(),
            repeated_answer: true,
            provisional: true,
            receipt: String::new(),
            receipt_number: String::new(),
            receipt_short: String::new(),
            degraded: false,
            elapsed_ms: 7,
        }
    }

    #[test]
    fn every_decision_has_its_exit_code() {
        let code = |decision| exit_code(&Ok(answer(decision)));
        assert_eq!([Decision::Match, Decision::Review, Decision::NonMatch, Decision::NoDecision].map(code), [0, 10, 11, 12]);
        assert_eq!(exit_code(&Err(VerifyError::QueueFull)), 1);
    }

    #[test]
    fn people_are_told_what_to_do() {
        let text = answer_text(&answer(Decision::NonMatch));
        assert!(
            text.starts_with("NON-MATCH: check the patient's document\nreasons: several_faces\nscore 0.250, match from 0.500"),
            "{text}"
        );
        assert!(text.contains("provisional") && text.contains("repeated answer"), "{text}");
    }
}
