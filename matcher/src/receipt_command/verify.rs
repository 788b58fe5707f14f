//! `matcher receipt verify`: what a check at the settlement side would say now. Nothing is burned.

use std::{convert::Infallible, fs, io, path::Path, path::PathBuf, process::ExitCode};

use clap::Args;
use matcher_core::{
    Identifier, IdentifierKind, Region, Scene,
    receipt::{
        Burn, Burned, CardMac, CheckError, Checker, Claims, Drill, KeySet, Life, ReceiptNumber, ReceiptState, Refusal, Settlement,
        SettlementKey, Take,
    },
};
use serde_json::{Value, json};

use super::{ReceiptError, claim_rows, claims, says};
use crate::{
    config::ReceiptsConfig,
    data_dir::DataDir,
    keys::load_secret,
    out,
    receipt_keys::{ReceiptKeys, ReceiptKind},
    store::{Store, TimeMs, receipts::StoredReceipt},
};

/// A receipt, and the settlement it comes with.
#[derive(Debug, Args)]
#[command(after_help = "What is not given of the settlement is not compared, and the answer says so: a valid signature alone is\n\
                        no proof. With --keys the check needs no data folder, and cannot see that a receipt was used or reversed.\n\n\
                        Exit codes: 0 the receipt holds, 1 it does not, or the check failed.")]
pub struct VerifyArgs {
    /// The receipt, its number, or - to read either from the standard input
    #[arg(value_name = "RECEIPT|NUMBER|-")]
    pub receipt: String,
    /// The settlement, as the institution names it
    #[arg(long, value_name = "ID")]
    pub settlement: Option<String>,
    /// Institution of the settlement
    #[arg(long, value_name = "ID")]
    pub institution: Option<String>,
    /// What was verified: the transaction, or the visit
    #[arg(long, value_name = "ID")]
    pub transaction: Option<String>,
    /// Where the settlement is made
    #[arg(long, value_name = "SCENE", value_parser = scene)]
    pub scene: Option<Scene>,
    /// Card the settlement is charged to
    #[arg(long, value_name = "NUMBER")]
    pub card: Option<String>,
    /// Which kind of number the card's is: social_security_card or resident_identity
    #[arg(long, value_name = "KIND", default_value = "social_security_card", value_parser = kind)]
    pub id_kind: IdentifierKind,
    /// Region of the card: six digits
    #[arg(long, value_name = "REGION", default_value = "")]
    pub region: String,
    /// Amount in yuan, with at most two decimals
    #[arg(long, value_name = "YUAN", value_parser = amount)]
    pub amount: Option<u64>,
    /// Operator who looked at the patient's document and says that it is the same person
    #[arg(long, value_name = "OPERATOR", default_value = "")]
    pub document_checked_by: String,
    /// When the settlement is made (2026-01-31T08:00:00+08:00); now without it
    #[arg(long, value_name = "TIME")]
    pub at: Option<jiff::Timestamp>,
    /// Check with this published key set (JWKS) alone, without a data folder
    #[arg(long, value_name = "JWKS")]
    pub keys: Option<PathBuf>,
    /// Key set of drills, to tell their receipts from forgeries
    #[arg(long, value_name = "JWKS", requires = "keys")]
    pub drill_keys: Option<PathBuf>,
    /// Key that names cards, to compare the card with --keys
    #[arg(long, value_name = "FILE", requires = "keys")]
    pub settlement_key: Option<PathBuf>,
    /// Issuer to expect with --keys; of the shipped settings without it
    #[arg(long, value_name = "NAME", requires = "keys")]
    pub issuer: Option<String>,
    /// Audience to expect with --keys; of the shipped settings without it
    #[arg(long, value_name = "NAME", requires = "keys")]
    pub audience: Option<String>,
    /// Print a JSON object
    #[arg(long)]
    pub json: bool,
}

fn scene(word: &str) -> Result<Scene, String> {
    Scene::from_word(word).ok_or_else(|| format!("expected one of {}", Scene::ALL.iter().map(|s| s.word()).collect::<Vec<_>>().join(", ")))
}

fn kind(word: &str) -> Result<IdentifierKind, String> {
    IdentifierKind::from_word(word).ok_or_else(|| format!("expected one of {}", IdentifierKind::ALL.map(IdentifierKind::word).join(", ")))
}

/// Hundredths of a yuan from an amount in yuan.
pub(crate) fn amount(text: &str) -> Result<u64, String> {
    let wrong = || "expected an amount in yuan with at most two decimals, such as 12.30".to_owned();
    let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(decimals) || decimals.len() > 2 || whole.len() > 10 {
        return Err(wrong());
    }
    format!("{whole}{decimals:0<2}").parse().map_err(|_| wrong())
}

/// Where names and keys come from.
struct Expected {
    issuer: String,
    drill_issuer: String,
    audience: String,
    keys: KeySet,
    drill_keys: KeySet,
    settlement_key: Option<SettlementKey>,
}

/// Checks with a key set alone.
///
/// # Errors
/// When a file, an option or the output is not in order.
pub fn verify_offline(args: &VerifyArgs, shipped: &ReceiptsConfig, now: TimeMs) -> Result<ExitCode, ReceiptError> {
    let set = |path: &Option<PathBuf>| path.as_deref().map_or_else(|| Ok(KeySet::default()), key_set);
    let settlement_key = args.settlement_key.as_deref().map(|path| load_secret(path).map(|key| SettlementKey::new(*key))).transpose();
    let expected = Expected {
        issuer: args.issuer.clone().unwrap_or_else(|| shipped.issuer.clone()),
        drill_issuer: shipped.drill_issuer.clone(),
        audience: args.audience.clone().unwrap_or_else(|| shipped.audience.clone()),
        keys: set(&args.keys)?,
        drill_keys: set(&args.drill_keys)?,
        settlement_key: settlement_key.map_err(ReceiptError::Key)?,
    };
    let compact = given(&args.receipt)?;
    if compact.parse::<ReceiptNumber>().is_ok() {
        return Err(ReceiptError::Option("RECEIPT", "the receipt itself where --keys is given; only the center knows numbers".into()));
    }
    conclude(args, &compact, None, &expected, now)
}

/// Checks against the store of a center.
///
/// # Errors
/// When a key, an option, the store or the output is not in order.
pub async fn verify(
    args: &VerifyArgs,
    dir: &DataDir,
    config: &ReceiptsConfig,
    store: &dyn Store,
    now: TimeMs,
) -> Result<ExitCode, ReceiptError> {
    let keys = ReceiptKeys::load(dir, config).map_err(ReceiptError::Key)?;
    let expected = Expected {
        issuer: config.issuer.clone(),
        drill_issuer: config.drill_issuer.clone(),
        audience: config.audience.clone(),
        keys: keys.verifying(ReceiptKind::Production),
        drill_keys: keys.verifying(ReceiptKind::Drill),
        settlement_key: Some(crate::receipt_keys::load_settlement(dir).map_err(ReceiptError::Key)?),
    };
    let given = given(&args.receipt)?;
    let number = given.parse().ok().or_else(|| Claims::unverified(&given).ok().map(|claims| claims.number));
    let stored = match number {
        Some(number) => store.receipt(number).await.map_err(ReceiptError::Store)?,
        None => None,
    };
    let compact = match &stored {
        Some(stored) if given.parse::<ReceiptNumber>().is_ok() => stored.receipt.compact.clone(),
        Some(_) | None => given,
    };
    conclude(args, &compact, Some(stored.as_ref()), &expected, now)
}

/// A receipt as an argument or from the standard input, without spaces around it.
fn given(text: &str) -> Result<String, ReceiptError> {
    let text = if text == "-" { io::read_to_string(io::stdin().lock()).map_err(ReceiptError::Input)? } else { text.to_owned() };
    Ok(text.trim().to_owned())
}

fn key_set(path: &Path) -> Result<KeySet, ReceiptError> {
    let text = fs::read_to_string(path).map_err(|source| ReceiptError::Read { path: path.to_owned(), source })?;
    KeySet::from_jwks(&text).map_err(ReceiptError::KeySet)
}

/// Prints what a check says; `stored` is nothing where the store is not asked, and holds nothing where it has no
/// such receipt.
fn conclude(
    args: &VerifyArgs,
    compact: &str,
    stored: Option<Option<&StoredReceipt>>,
    expected: &Expected,
    now: TimeMs,
) -> Result<ExitCode, ReceiptError> {
    let given = Given::new(args, expected)?;
    let result = check(args, compact, stored, expected, &given, now);
    let text = if args.json { format!("{:#}", answer(&result, compact, stored, &given)) } else { people(&result, compact, stored, &given) };
    out::line(&text).map_err(ReceiptError::Print)?;
    Ok(if result.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What is given of the settlement.
struct Given {
    card: Option<CardMac>,
    not_compared: Vec<&'static str>,
}

impl Given {
    fn new(args: &VerifyArgs, expected: &Expected) -> Result<Self, ReceiptError> {
        let card = match (&args.card, &expected.settlement_key) {
            (None, _) => None,
            (Some(_), None) => {
                return Err(ReceiptError::Option("--settlement-key", "the key that names cards, to compare the card".into()));
            }
            (Some(card), Some(key)) => {
                let wrong = |error: matcher_core::IdentifierError| ReceiptError::Option("--card", error.to_string());
                let region = Region::new(&args.region).map_err(wrong)?;
                Some(Identifier::new(args.id_kind, region, card).map_err(wrong)?.card_mac(key))
            }
        };
        let all = [
            (args.institution.is_some(), "institution"),
            (args.transaction.is_some(), "transaction"),
            (args.scene.is_some(), "scene"),
            (card.is_some(), "card"),
            (args.amount.is_some(), "amount"),
        ];
        Ok(Self { card, not_compared: all.into_iter().filter(|(given, _)| !given).map(|(_, name)| name).collect() })
    }
}

fn check(
    args: &VerifyArgs,
    compact: &str,
    stored: Option<Option<&StoredReceipt>>,
    expected: &Expected,
    given: &Given,
    now: TimeMs,
) -> Result<Claims, Refusal> {
    if stored == Some(None) && compact.parse::<ReceiptNumber>().is_ok() {
        return Err(Refusal::UnknownNumber);
    }
    let drill = Some(Drill { issuer: &expected.drill_issuer, keys: &expected.drill_keys });
    let checker = Checker { issuer: &expected.issuer, audience: &expected.audience, keys: &expected.keys, drill };
    let claims = checker.verify(compact)?;
    let settlement = Settlement {
        id: args.settlement.as_deref().unwrap_or_default(),
        institution: args.institution.as_deref().unwrap_or(&claims.institution),
        transaction: args.transaction.as_deref().unwrap_or(&claims.transaction),
        scene: args.scene.unwrap_or(claims.scene),
        card: given.card.unwrap_or(claims.card),
        amount_fen: args.amount.unwrap_or_default(),
        document_checked_by: &args.document_checked_by,
        at_ms: args.at.map_or(now, jiff::Timestamp::as_millisecond),
    };
    let mut looking = Looking { stored, amount_given: args.amount.is_some() };
    checker.check(compact, &settlement, &mut looking).map_err(|error| match error {
        CheckError::Refused(refusal) => refusal,
        CheckError::Burned(never) => match never {},
    })
}

/// Says what burning would say, and burns nothing.
struct Looking<'a> {
    stored: Option<Option<&'a StoredReceipt>>,
    amount_given: bool,
}

impl Burned for Looking<'_> {
    type Error = Infallible;

    fn burn(&mut self, take: &Take<'_>) -> Result<Burn, Infallible> {
        let life = match self.stored {
            None => return Ok(Burn::Now),
            Some(None) => return Ok(Burn::Refused(Refusal::UnknownNumber)),
            Some(Some(stored)) => stored.life(),
        };
        let amount = if self.amount_given { take.amount_fen } else { confirmed_amount(&life, take.settlement).unwrap_or_default() };
        Ok(match life.confirm(take.settlement, amount) {
            _ if life.state() == ReceiptState::Reversed => Burn::Refused(Refusal::Reversed),
            Ok(_) => Burn::Now,
            Err(refusal) => Burn::Refused(refusal),
        })
    }
}

fn confirmed_amount(life: &Life<'_>, settlement: &str) -> Option<u64> {
    life.uses.iter().find(|taken| taken.settlement == settlement).map(|taken| taken.amount_fen)
}

fn answer(result: &Result<Claims, Refusal>, compact: &str, stored: Option<Option<&StoredReceipt>>, given: &Given) -> Value {
    json!({
        "holds": result.is_ok(),
        "refusal": result.as_ref().err().map(|refusal| refusal.word()),
        "not_compared": given.not_compared,
        "store_asked": stored.is_some(),
        "state": stored.flatten().map(|stored| stored.state().word()),
        "claims": claims(compact),
    })
}

fn people(result: &Result<Claims, Refusal>, compact: &str, stored: Option<Option<&StoredReceipt>>, given: &Given) -> String {
    let mut lines = match result {
        Ok(_) if given.not_compared.is_empty() => vec!["holds for this settlement".to_owned()],
        Ok(_) => vec![format!("holds as far as it was compared; not compared: {}", given.not_compared.join(", "))],
        Err(refusal) => vec![format!("does not hold, {}: {}", refusal.word(), says(*refusal))],
    };
    if let Some(stored) = stored.flatten() {
        lines.push(format!("number {}, {}", stored.receipt.number.grouped(), stored.state().word()));
    } else if stored.is_none() {
        lines.push("checked with the key set alone: whether it was used or reversed, only the center knows".to_owned());
    }
    let claims = claim_rows(&claims(compact));
    if !claims.is_empty() {
        let believed = if result.is_ok() { "it says" } else { "it claims" };
        lines.push(format!("{believed}:"));
        lines.extend(claims.into_iter().map(|(name, value)| format!("  {name}: {value}")));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_amount(text: &str, expected: Option<u64>) {
        assert_eq!(amount(text).ok(), expected, "{text}");
    }

    #[test]
    fn amounts_are_in_yuan_with_at_most_two_decimals() {
        check_amount("0", Some(0));
        check_amount("12", Some(1_200));
        check_amount("12.3", Some(1_230));
        check_amount("12.34", Some(1_234));
        check_amount("0.05", Some(5));
        check_amount("9999999999.99", Some(999_999_999_999));
        for wrong in ["", ".", "1.", ".5", "1.234", "-1", "+1", "1,000", "1e3", "12345678901", "一", "1.2.3", "1.2.", "٣"] {
            check_amount(wrong, None);
        }
    }
}
