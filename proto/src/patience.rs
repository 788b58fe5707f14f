//! How long a caller waits, as it says in each call.

use std::time::Duration;

use tonic::metadata::MetadataMap;

/// How long the caller says that it waits (`grpc-timeout`): up to eight digits and a unit. What is not in that form
/// says nothing.
#[must_use]
pub fn of(metadata: &MetadataMap) -> Option<Duration> {
    let text = metadata.get("grpc-timeout")?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(number * 3600)),
        "M" => Some(Duration::from_secs(number * 60)),
        "S" => Some(Duration::from_secs(number)),
        "m" => Some(Duration::from_millis(number)),
        "u" => Some(Duration::from_micros(number)),
        "n" => Some(Duration::from_nanos(number)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &'static str, expected: Option<Duration>) {
        let mut metadata = MetadataMap::new();
        metadata.insert("grpc-timeout", text.parse().unwrap());
        assert_eq!(of(&metadata), expected, "{text}");
    }

    #[test]
    fn a_caller_says_how_long_it_waits() {
        check("5S", Some(Duration::from_secs(5)));
        check("5000000u", Some(Duration::from_secs(5)));
        check("1H", Some(Duration::from_secs(3600)));
        check("99999999M", Some(Duration::from_secs(99_999_999 * 60)));
        check("20m", Some(Duration::from_millis(20)));
        check("7n", Some(Duration::from_nanos(7)));
        for wrong in ["", "5", "S", "123456789S", "-1S", "+1S", "1.5S", "5s"] {
            check(wrong, None);
        }
        assert_eq!(of(&MetadataMap::new()), None);
    }
}
