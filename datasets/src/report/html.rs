//! Pieces of a page.

use std::fmt::{Display, Write as _};

use crate::{evaluation::Provenance, metrics::Interval};

const STYLE: &str = "
:root{color-scheme:light}
body{font:15px/1.5 system-ui,sans-serif;color:#1d2730;background:#fff;max-width:62rem;margin:2.5rem auto;padding:0 1.25rem}
h1{font-size:1.6rem;margin:0 0 .25rem}h2{font-size:1.15rem;margin:2.25rem 0 .5rem;border-bottom:1px solid #dfe5ea;padding-bottom:.25rem}
p{margin:.4rem 0}.sub{color:#566572}
dl.facts{display:grid;grid-template-columns:repeat(auto-fit,minmax(11rem,1fr));gap:.6rem;margin:1.25rem 0}
dl.facts div{border:1px solid #dfe5ea;border-radius:.5rem;padding:.55rem .8rem}
dl.facts dt{color:#566572;font-size:.85rem}dl.facts dd{margin:0;font-size:1.3rem;font-variant-numeric:tabular-nums}
dl.facts small{display:block;font-size:.8rem;color:#566572}
.wide{overflow-x:auto}
table{border-collapse:collapse;font-variant-numeric:tabular-nums;margin:.5rem 0}
th,td{padding:.3rem .75rem;text-align:right;border-bottom:1px solid #e8edf1;vertical-align:top}
th{font-weight:600;color:#3c4a56;border-bottom-color:#b9c4cd}th:first-child,td:first-child,.id{text-align:left}td.id{word-break:break-all}
figure{margin:1rem 0}figure svg{max-width:100%;height:auto}figcaption{color:#566572;font-size:.9rem}
footer{margin-top:2.5rem;color:#566572;font-size:.85rem;border-top:1px solid #dfe5ea;padding-top:.5rem}
@media print{body{margin:0;max-width:none;font-size:11px}figure,table,dl.facts div{break-inside:avoid}h2{break-after:avoid}}
";

/// A page that grows section by section.
pub(super) struct Page(String);

impl Page {
    pub(super) fn new(title: &str, subtitle: &str) -> Self {
        let (title, subtitle) = (escape(title), escape(subtitle));
        Self(format!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width\">\n\
             <title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n<h1>{title}</h1>\n<p class=\"sub\">{subtitle}</p>\n"
        ))
    }

    /// The figures that matter most: name, value, and a word on each.
    pub(super) fn facts(&mut self, facts: &[(&str, String, String)]) {
        self.0.push_str("<dl class=\"facts\">\n");
        for (name, value, note) in facts {
            let _ = writeln!(self.0, "<div><dt>{}</dt><dd>{}<small>{}</small></dd></div>", escape(name), escape(value), escape(note));
        }
        self.0.push_str("</dl>\n");
    }

    pub(super) fn heading(&mut self, text: &str) {
        let _ = writeln!(self.0, "<h2>{}</h2>", escape(text));
    }

    pub(super) fn text(&mut self, text: &str) {
        let _ = writeln!(self.0, "<p>{}</p>", escape(text));
    }

    /// Columns whose header starts with `#` hold ids and are set to the left.
    pub(super) fn table(&mut self, header: &[&str], rows: &[Vec<String>]) {
        self.0.push_str("<div class=\"wide\"><table>\n<thead><tr>");
        for name in header {
            let class = if name.starts_with('#') { " class=\"id\"" } else { "" };
            let _ = write!(self.0, "<th scope=\"col\"{class}>{}</th>", escape(name.trim_start_matches('#')));
        }
        self.0.push_str("</tr></thead>\n<tbody>\n");
        for row in rows {
            self.0.push_str("<tr>");
            for (name, cell) in header.iter().zip(row) {
                let class = if name.starts_with('#') { " class=\"id\"" } else { "" };
                let _ = write!(self.0, "<td{class}>{}</td>", escape(cell));
            }
            self.0.push_str("</tr>\n");
        }
        self.0.push_str("</tbody></table></div>\n");
    }

    /// A drawing; `svg` is ours and is not escaped.
    pub(super) fn figure(&mut self, svg: &str, caption: &str) {
        let caption = escape(caption);
        let _ = writeln!(self.0, "<figure role=\"img\" aria-label=\"{caption}\">\n{svg}<figcaption>{caption}</figcaption>\n</figure>");
    }

    /// Ends the page with what it was made with.
    pub(super) fn finish(mut self, made_with: &Provenance) -> String {
        let Provenance { detector, features, recipe, attack, policy, face, gate, seed, bootstrap } = made_with;
        let text = format!(
            "Detector {detector}, features {features}, recipe {recipe}, attack detection {attack}, policy {policy}; face: {face}, gate: {gate}. \
             Definitions after ISO/IEC 19795-1 and 30107-3, over executed comparisons; intervals are 95 %, from {bootstrap} resamplings of subjects (seed {seed})."
        );
        let _ = writeln!(self.0, "</main>\n<footer>{}</footer>\n</body>\n</html>", escape(&text));
        self.0
    }
}

/// Text as it may stand in a page and in an attribute.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

/// A share as a percentage with as many digits as it needs, or a dash.
pub(super) fn percent(share: Option<f64>) -> String {
    let Some(share) = share else { return "–".into() };
    let percent = share * 100.0;
    if percent == 0.0 || percent >= 1.0 {
        format!("{percent:.2} %")
    } else {
        let digits = (2.0 - percent.abs().log10().floor()).clamp(2.0, 6.0) as usize;
        format!("{percent:.digits$} %")
    }
}

/// An interval of shares, or a dash.
pub(super) fn interval(interval: Option<Interval>) -> String {
    interval
        .map_or_else(|| "–".into(), |[lower, upper]| format!("{} to {}", percent(Some(lower)), percent(Some(upper))).replace(' ', "\u{a0}"))
}

/// A score, or a dash.
pub(super) fn score(score: Option<f32>) -> String {
    score.map_or_else(|| "–".into(), |score| format!("{score:.4}"))
}

/// Anything, or a dash.
pub(super) fn or_dash<T: Display>(value: Option<T>) -> String {
    value.map_or_else(|| "–".into(), |value| value.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_from_files_is_escaped() {
        let mut page = Page::new("<t>", "a & b");
        page.table(&["#id", "n"], &[vec!["<script>alert('x')</script>".into(), "\"1\"".into()]]);
        assert!(page.0.contains("&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;") && !page.0.contains("<script"), "{}", page.0);
        assert!(page.0.contains("<title>&lt;t&gt;</title>") && page.0.contains("a &amp; b") && page.0.contains("&quot;1&quot;"));
    }

    #[test]
    fn shares_have_the_digits_they_need() {
        assert_eq!(percent(Some(0.0)), "0.00 %");
        assert_eq!(percent(Some(0.064)), "6.40 %");
        assert_eq!(percent(Some(0.000_123)), "0.0123 %");
        assert_eq!(percent(None), "–");
    }
}
