//! Plots of figures, as SVG that prints and needs no script: days in bars, a chart with its limits, a funnel of peers.
//!
//! Everything that a colour says is said by a form or a word, too. Not here: scores of a case (`plot`).

use std::fmt::Write;

/// Width of charts and funnels, which have a page to themselves.
const WIDE: f64 = 900.0;
/// Width of bars, of which two stand side by side.
const NARROW: f64 = 560.0;
const HEIGHT: f64 = 260.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 34.0;
const TOP: f64 = 14.0;
const BOTTOM: f64 = 34.0;
/// Marks along an axis.
const TICKS: usize = 7;

/// A day of a chart.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// Its label.
    pub label: String,
    /// What was seen.
    pub value: f64,
    /// The moving average, or the same.
    pub average: f64,
    /// What was to be expected.
    pub expected: f64,
    /// Limits, lower and upper.
    pub limits: (f64, f64),
    /// Whether it was an alarm.
    pub alarm: bool,
}

/// An institution of a funnel.
#[derive(Debug, Clone, PartialEq)]
pub struct Peer {
    /// Its name.
    pub name: String,
    /// Trials.
    pub trials: f64,
    /// Its share.
    pub share: f64,
    /// Whether it is outside the outer limits: then its name stands beside it.
    pub outside: bool,
}

/// A line of limits: trials, lower, upper.
pub type Limits = Vec<(f64, f64, f64)>;

fn escaped(text: &str) -> String {
    askama::filters::escape(text, askama::filters::Html).map_or_else(|_| String::new(), |text| text.to_string())
}

/// A picture with its axes.
struct Plot {
    svg: String,
    width: f64,
    x: (f64, f64),
    y: (f64, f64),
}

impl Plot {
    fn new(class: &str, width: f64, label: &str, x: (f64, f64), y: (f64, f64)) -> Self {
        let svg = format!("<svg class=\"plot {class}\" viewBox=\"0 0 {width} {HEIGHT}\" role=\"img\" aria-label=\"{}\">", escaped(label));
        // An axis of no length would divide by nothing.
        let wide = |(low, high): (f64, f64)| if high - low > 1e-9 { (low, high) } else { (low, low + 1.0) };
        Self { svg, width, x: wide(x), y: wide(y) }
    }

    fn at(&self, x: f64, y: f64) -> (f64, f64) {
        let part = |value: f64, (low, high): (f64, f64)| ((value - low) / (high - low)).clamp(0.0, 1.0);
        (LEFT + part(x, self.x) * (self.width - LEFT - RIGHT), HEIGHT - BOTTOM - part(y, self.y) * (HEIGHT - TOP - BOTTOM))
    }

    fn write(&mut self, text: std::fmt::Arguments<'_>) {
        // Writing into a text does not fail.
        let _ = self.svg.write_fmt(text);
    }

    /// The left axis with round values.
    fn left_axis(&mut self, number: impl Fn(f64) -> String) {
        let (low, high) = self.y;
        let step = round_step((high - low) / TICKS as f64);
        let mut value = (low / step).ceil() * step;
        while value <= high + step * 1e-6 {
            let (_, y) = self.at(self.x.0, value);
            self.write(format_args!("<line class=\"grid\" x1=\"{LEFT}\" y1=\"{y:.1}\" x2=\"{:.1}\" y2=\"{y:.1}\"/>", self.width - RIGHT));
            self.write(format_args!(
                "<text class=\"left\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
                LEFT - 8.0,
                y + 4.0,
                escaped(&number(value))
            ));
            value += step;
        }
    }

    /// Labels below, as many as there is room for.
    fn below(&mut self, labels: &[(f64, String)]) {
        let every = labels.len().div_ceil(if self.width < WIDE { 8 } else { 11 }).max(1);
        for (x, label) in labels.iter().step_by(every) {
            let (x, _) = self.at(*x, self.y.0);
            self.write(format_args!("<text class=\"below\" x=\"{x:.1}\" y=\"{:.1}\">{}</text>", HEIGHT - 12.0, escaped(label)));
        }
    }

    fn line(&mut self, class: &str, points: impl Iterator<Item = (f64, f64)>) {
        let path: Vec<String> = points.map(|(x, y)| self.at(x, y)).map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        if !path.is_empty() {
            self.write(format_args!("<polyline class=\"{class}\" points=\"{}\"/>", path.join(" ")));
        }
    }

    fn done(mut self) -> String {
        self.svg.push_str("</svg>");
        self.svg
    }
}

/// 1, 2 or 5 times a power of ten, at least as large.
fn round_step(least: f64) -> f64 {
    let power = 10_f64.powf(least.max(1e-9).log10().floor());
    [1.0, 2.0, 5.0, 10.0].into_iter().map(|times| times * power).find(|step| *step >= least * 0.999_999).unwrap_or(10.0 * power)
}

/// Bars of days or hours, each stacked from below; classes `part-0` and so on. Empty where nothing is counted.
#[must_use]
pub fn bars(label: &str, bars: &[(String, Vec<u64>)], number: impl Fn(f64) -> String) -> String {
    let highest = bars.iter().map(|(_, parts)| parts.iter().sum::<u64>()).max().unwrap_or_default();
    if highest == 0 {
        return String::new();
    }
    let mut plot = Plot::new("bars", NARROW, label, (0.0, bars.len() as f64), (0.0, highest as f64));
    plot.left_axis(number);
    for (place, (name, parts)) in bars.iter().enumerate() {
        let (from, until) = (place as f64 + 0.12, place as f64 + 0.88);
        let mut below = 0.0;
        for (part, count) in parts.iter().enumerate().filter(|(_, count)| **count > 0) {
            let ((left, bottom), (right, top)) = (plot.at(from, below), plot.at(until, below + *count as f64));
            let (width, height) = (right - left, bottom - top);
            let name = escaped(name);
            plot.write(format_args!(
                "<rect class=\"part-{part}\" x=\"{left:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" height=\"{height:.1}\"><title>{name}: {count}</title></rect>"
            ));
            below += *count as f64;
        }
    }
    let labels: Vec<(f64, String)> = bars.iter().enumerate().map(|(place, (name, _))| (place as f64 + 0.5, name.clone())).collect();
    plot.below(&labels);
    plot.done()
}

/// A chart: what was seen on each day, the average, the expected and the limits; alarms are filled triangles.
#[must_use]
pub fn control(label: &str, points: &[Point], number: impl Fn(f64) -> String) -> String {
    let values = || points.iter().flat_map(|point| [point.value, point.average, point.limits.0, point.limits.1]);
    let (low, high) = (values().fold(f64::INFINITY, f64::min), values().fold(f64::NEG_INFINITY, f64::max));
    if !low.is_finite() || !high.is_finite() {
        return String::new();
    }
    let room = ((high - low) * 0.08).max(1e-4);
    let mut plot = Plot::new("control", WIDE, label, (0.0, points.len() as f64 - 1.0), ((low - room).max(low.min(0.0)), high + room));
    plot.left_axis(number);
    let with = |value: fn(&Point) -> f64| points.iter().enumerate().map(move |(place, point)| (place as f64, value(point)));
    plot.line("limit", with(|point| point.limits.0));
    plot.line("limit", with(|point| point.limits.1));
    plot.line("expected", with(|point| point.expected));
    plot.line("average", with(|point| point.average));
    for (place, point) in points.iter().enumerate() {
        let (x, y) = plot.at(place as f64, point.value);
        let name = escaped(&point.label);
        if point.alarm {
            plot.write(format_args!("<path class=\"alarm\" d=\"M{x:.1} {:.1} l-7 12 h14 z\"><title>{name}</title></path>", y - 7.0));
        } else {
            plot.write(format_args!("<circle class=\"seen\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.5\"><title>{name}</title></circle>"));
        }
    }
    let labels: Vec<(f64, String)> = points.iter().enumerate().map(|(place, point)| (place as f64, point.label.clone())).collect();
    plot.below(&labels);
    plot.done()
}

/// A funnel: institutions by trials and share between limits; those outside are triangles with their names.
#[must_use]
pub fn funnel(label: &str, peers: &[Peer], target: f64, (inner, outer): (&Limits, &Limits), number: impl Fn(f64) -> String) -> String {
    let widest = peers.iter().map(|peer| peer.trials).fold(0.0, f64::max);
    if widest <= 0.0 {
        return String::new();
    }
    let highest = peers.iter().map(|peer| peer.share).fold(target * 2.0, f64::max) * 1.1;
    let mut plot = Plot::new("funnel", WIDE, label, (0.0, widest * 1.08), (0.0, highest.clamp(0.01, 1.0)));
    plot.left_axis(number);
    plot.line("expected", [(0.0, target), (widest * 1.08, target)].into_iter());
    for (class, limits) in [("limit inner", inner), ("limit", outer)] {
        plot.line(class, limits.iter().map(|(trials, low, _)| (*trials, *low)));
        plot.line(class, limits.iter().map(|(trials, _, high)| (*trials, *high)));
    }
    for peer in peers {
        let (x, y) = plot.at(peer.trials, peer.share);
        let name = escaped(&peer.name);
        if peer.outside {
            let (anchor, beside) = if x > WIDE * 0.75 { ("end", x - 11.0) } else { ("start", x + 11.0) };
            plot.write(format_args!(
                "<path class=\"alarm\" d=\"M{x:.1} {:.1} l-7 12 h14 z\"/><text class=\"name-{anchor}\" x=\"{beside:.1}\" y=\"{:.1}\">{name}</text>",
                y - 7.0,
                y + 5.0
            ));
        } else {
            plot.write(format_args!("<circle class=\"seen\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.5\"><title>{name}</title></circle>"));
        }
    }
    let step = round_step(widest / 6.0);
    let labels: Vec<(f64, String)> =
        (0..=7).map(|place| f64::from(place) * step).filter(|at| *at <= widest * 1.08).map(|at| (at, format!("{at:.0}"))).collect();
    plot.below(&labels);
    plot.done()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(value: f64) -> String {
        format!("{value:.2}")
    }

    fn point(value: f64, alarm: bool) -> Point {
        Point { label: "1 <Jan>".into(), value, average: value, expected: 0.5, limits: (0.4, 0.6), alarm }
    }

    #[test]
    fn bars_are_stacked_and_names_are_escaped() {
        let svg = bars("<days>", &[("a&b".into(), vec![2, 0, 1]), ("c".into(), vec![0, 0, 0])], plain);
        assert_eq!((svg.matches("<rect").count(), svg.matches("part-2").count()), (2, 1));
        assert!(svg.contains("a&#38;b") && !svg.contains("<days>") && !svg.contains("style="), "{svg}");
        assert_eq!(bars("none", &[("a".into(), vec![0])], plain), "");
    }

    #[test]
    fn alarms_have_a_form_of_their_own() {
        let svg = control("scores", &[point(0.5, false), point(0.3, true)], plain);
        assert_eq!(
            (svg.matches("class=\"alarm\"").count(), svg.matches("<circle").count(), svg.matches("class=\"limit\"").count()),
            (1, 1, 2)
        );
        assert!(!svg.contains("<Jan>") && !svg.contains("NaN"));
        assert_eq!(control("scores", &[], plain), "");
        assert!(!control("one", &[point(0.5, false)], plain).contains("NaN"));
    }

    #[test]
    fn who_is_outside_is_named_in_the_funnel() {
        let peer = |name: &str, outside| Peer { name: name.into(), trials: 100.0, share: 0.1, outside };
        let limits = vec![(1.0, 0.0, 0.9), (100.0, 0.05, 0.2)];
        let svg = funnel("peers", &[peer("P1", false), peer("P2", true)], 0.1, (&limits, &limits), plain);
        assert!(svg.contains(">P2<") && svg.contains("<title>P1</title>") && svg.matches("polyline").count() == 5, "{svg}");
        assert_eq!(funnel("peers", &[], 0.1, (&limits, &limits), plain), "");
    }

    #[test]
    fn steps_of_axes_are_round() {
        assert_eq!([0.3, 1.0, 1.2, 23.0, 0.011].map(round_step).map(|step| format!("{step}")), ["0.5", "1", "2", "50", "0.02"]);
    }
}
