//! The reader's language, and times and numbers as it writes them.

use axum::http::{HeaderMap, header};
use jiff::{Timestamp, tz::TimeZone};

use super::{door::LANGUAGE, form::cookie};
use crate::store::TimeMs;

/// A language of the console.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// Chinese.
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

    /// The language of a code.
    #[must_use]
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|language| language.code() == code)
    }

    /// What a browser asks for: the cookie, then the first of `Accept-Language` that there is, then Chinese.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Self {
        if let Some(chosen) = cookie(headers, LANGUAGE).and_then(Self::from_code) {
            return chosen;
        }
        let asked = headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let mut weighed: Vec<(f32, Self)> = asked.split(',').filter_map(weigh).collect();
        weighed.sort_by(|(a, _), (b, _)| b.total_cmp(a));
        weighed.first().map_or(Self::Zh, |(_, language)| *language)
    }

    /// A time, to the minute.
    #[must_use]
    pub fn time(self, at: TimeMs, zone: &TimeZone) -> String {
        self.write(
            at,
            zone,
            match self {
                Self::Zh => "%Y年%-m月%-d日 %H:%M",
                Self::En => "%-d %b %Y, %H:%M",
            },
        )
    }

    /// A day.
    #[must_use]
    pub fn day(self, at: TimeMs, zone: &TimeZone) -> String {
        self.write(
            at,
            zone,
            match self {
                Self::Zh => "%Y年%-m月%-d日",
                Self::En => "%-d %b %Y",
            },
        )
    }

    fn write(self, at: TimeMs, zone: &TimeZone, format: &str) -> String {
        Timestamp::from_millisecond(at).map_or_else(|_| "–".to_owned(), |at| at.to_zoned(zone.clone()).strftime(format).to_string())
    }

    /// A number, its thousands parted.
    #[must_use]
    pub fn number(self, number: u64) -> String {
        let digits = number.to_string();
        let parts: Vec<&str> = digits.as_bytes().rchunks(3).rev().filter_map(|part| std::str::from_utf8(part).ok()).collect();
        parts.join(",")
    }

    /// How long, in the largest unit that fits.
    #[must_use]
    pub fn span(self, ms: i64) -> String {
        let hours = ms.max(0) / 3_600_000;
        let (count, zh, en) = match hours {
            0 => (ms.max(0) / 60_000, "分钟", "min"),
            1..=47 => (hours, "小时", "h"),
            48..=1_439 => (hours / 24, "天", "days"),
            1_440..=17_519 => (hours / 730, "个月", "months"),
            _ => (hours / 8_766, "年", "years"),
        };
        match self {
            Self::Zh => format!("{count} {zh}"),
            Self::En => format!("{count} {en}"),
        }
    }
}

fn weigh(asked: &str) -> Option<(f32, Language)> {
    let mut parts = asked.split(';');
    let tag = parts.next()?.trim().to_ascii_lowercase();
    let language = Language::from_code(tag.split('-').next()?)?;
    let weight = parts.find_map(|part| part.trim().strip_prefix("q=")?.parse().ok()).unwrap_or(1.0);
    Some((weight, language))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(accept: &str, chosen: Option<&str>, expected: Language) {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT_LANGUAGE, accept.parse().unwrap());
        if let Some(chosen) = chosen {
            headers.insert(header::COOKIE, format!("{LANGUAGE}={chosen}").parse().unwrap());
        }
        assert_eq!(Language::of(&headers), expected, "{accept}");
    }

    #[test]
    fn the_choice_wins_over_the_browser() {
        check("", None, Language::Zh);
        check("de, fr;q=0.8", None, Language::Zh);
        check("en-GB,en;q=0.9", None, Language::En);
        check("en;q=0.5, zh-CN;q=0.9", None, Language::Zh);
        check("zh-CN", Some("en"), Language::En);
        check("en", Some("<script>"), Language::En);
    }

    #[test]
    fn times_and_numbers_are_those_of_the_language() {
        let (at, zone) = (1_795_370_400_000, TimeZone::fixed(jiff::tz::offset(8)));
        assert_eq!(Language::Zh.time(at, &zone), "2026年11月23日 02:00");
        assert_eq!(Language::En.time(at, &zone), "23 Nov 2026, 02:00");
        assert_eq!((Language::Zh.day(at, &zone), Language::En.day(at, &zone)), ("2026年11月23日".into(), "23 Nov 2026".into()));
        assert_eq!([0, 999, 1_000, 1_234_567].map(|n| Language::En.number(n)), ["0", "999", "1,000", "1,234,567"]);
        let hour = 3_600_000;
        let spans = [0, hour - 1, 47 * hour, 48 * hour, 90 * 24 * hour, 3 * 8_766 * hour].map(|ms| Language::En.span(ms));
        assert_eq!(spans, ["0 min", "59 min", "47 h", "2 days", "2 months", "3 years"]);
    }
}
