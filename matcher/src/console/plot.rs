//! A small plot of scores between the policy's bands, as SVG that prints and needs no script.
//!
//! Scores are cosines: the axis shows them as they are, never as a share of anything. Bands carry their names, so that
//! colour never speaks alone.

use std::fmt::Write;

use super::words::Words;

const WIDTH: f32 = 640.0;
const AXIS_Y: f32 = 66.0;
/// The axis: what cosines of faces reach.
const LOW: f32 = -0.2;
const HIGH: f32 = 1.0;

/// A score to be plotted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mark {
    /// The score.
    pub score: f32,
    /// Whether it is the one that was compared by eye.
    pub main: bool,
}

/// The plot of scores between thresholds; empty where there is no score.
#[must_use]
pub fn bands(w: &Words, marks: &[Mark], match_from: Option<f32>, non_match_below: Option<f32>) -> String {
    if marks.is_empty() {
        return String::new();
    }
    let mut svg = format!(
        "<svg class=\"bands\" viewBox=\"0 0 {WIDTH} 104\" role=\"img\" aria-label=\"{}\">",
        askama::filters::escape(w.plot_label, askama::filters::Html).map_or_else(|_| String::new(), |text| text.to_string())
    );
    if let Some(match_from) = match_from {
        let non_match = non_match_below.unwrap_or(LOW);
        band(&mut svg, "band-non", LOW, non_match, w.band_non_match);
        band(&mut svg, "band-review", non_match, match_from, w.band_review);
        band(&mut svg, "band-match", match_from, HIGH, w.band_match);
    }
    let _ = write!(svg, "<line class=\"axis\" x1=\"{:.1}\" y1=\"{AXIS_Y}\" x2=\"{:.1}\" y2=\"{AXIS_Y}\"/>", x(LOW), x(HIGH));
    for tick in 0_u8..=6 {
        let value = LOW + 0.2 * f32::from(tick);
        let (at, y) = (x(value), AXIS_Y + 6.0);
        let _ = write!(svg, "<line class=\"axis\" x1=\"{at:.1}\" y1=\"{AXIS_Y}\" x2=\"{at:.1}\" y2=\"{y}\"/>");
        let _ = write!(svg, "<text class=\"tick\" x=\"{at:.1}\" y=\"{}\">{}</text>", AXIS_Y + 24.0, decimal(value));
    }
    for mark in marks {
        let at = x(mark.score);
        let _ = if mark.main {
            write!(svg, "<path class=\"mark-main\" d=\"M{at:.1} 58 l-8 -14 h16 z\"/>")
        } else {
            write!(svg, "<circle class=\"mark\" cx=\"{at:.1}\" cy=\"{AXIS_Y}\" r=\"5\"/>")
        };
    }
    svg.push_str("</svg>");
    svg
}

/// A band and its name, where there is room for it.
fn band(svg: &mut String, class: &str, from: f32, to: f32, name: &str) {
    let (left, width) = (x(from), x(to) - x(from));
    if width <= 0.0 {
        return;
    }
    let _ = write!(svg, "<rect class=\"{class}\" x=\"{left:.1}\" y=\"24\" width=\"{width:.1}\" height=\"42\"/>");
    let _ = write!(svg, "<text class=\"band-name\" x=\"{:.1}\" y=\"16\">{name}</text>", left + width / 2.0);
}

fn x(score: f32) -> f32 {
    let inner = WIDTH - 40.0;
    20.0 + (score.clamp(LOW, HIGH) - LOW) / (HIGH - LOW) * inner
}

fn decimal(value: f32) -> String {
    // No "-0.0".
    let rounded = (value * 10.0).round() / 10.0;
    format!("{:.1}", if rounded == 0.0 { 0.0 } else { rounded }).replace('-', "−")
}

#[cfg(test)]
mod tests {
    use super::{super::words::EN, *};

    #[test]
    fn bands_scores_and_ticks_are_there_and_no_percentage() {
        let marks = [Mark { score: 0.31, main: true }, Mark { score: 0.62, main: false }];
        let svg = bands(&EN, &marks, Some(0.5), Some(0.2));
        assert_eq!((svg.matches("mark-main").count(), svg.matches("<circle").count(), svg.matches("<rect").count()), (1, 1, 3));
        assert!(svg.contains(">−0.2<") && svg.contains(">0.0<") && svg.contains(">1.0<") && !svg.contains('%'), "{svg}");
        assert!(!svg.contains("style="), "the policy allows no style attribute");
    }

    #[test]
    fn without_scores_or_thresholds_nothing_is_made_up() {
        assert_eq!(bands(&EN, &[], Some(0.5), None), "");
        let one = [Mark { score: 2.0, main: false }];
        assert_eq!(bands(&EN, &one, None, None).matches("<rect").count(), 0);
        assert_eq!(bands(&EN, &one, Some(0.5), None).matches("<rect").count(), 2, "no threshold of non-matches, no such band");
    }

    #[test]
    fn places_are_within_the_picture_and_in_order() {
        let places: Vec<f32> = [-1.0, -0.2, 0.0, 0.5, 1.0, 3.0].map(x).to_vec();
        assert!(places.is_sorted() && places[0] == 20.0 && places[5] == 620.0, "{places:?}");
    }
}
