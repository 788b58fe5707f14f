//! Drawings as SVG.

use plotters::{
    prelude::*,
    style::text_anchor::{HPos, Pos, VPos},
};

use super::DrawError;
use crate::evaluation::Curve;

const MATED: RGBColor = RGBColor(31, 111, 139);
const NON_MATED: RGBColor = RGBColor(200, 85, 61);
const OTHERS: [RGBColor; 4] = [RGBColor(200, 85, 61), RGBColor(146, 94, 159), RGBColor(179, 136, 34), RGBColor(90, 110, 60)];
const INK: RGBColor = RGBColor(60, 74, 86);
const GRID: RGBColor = RGBColor(228, 233, 237);
const SIZE: (u32, u32) = (860, 420);
const BINS: usize = 100;

/// One set of scores of a histogram.
pub(super) struct Series<'a> {
    pub(super) name: String,
    pub(super) scores: &'a [f32],
}

fn drawn<E: std::error::Error>(chart: &'static str) -> impl Fn(E) -> DrawError {
    move |error| DrawError { chart, reason: error.to_string() }
}

fn label(size: u32) -> TextStyle<'static> {
    ("sans-serif", size).into_font().color(&INK)
}

/// False non-match over false match rate, both axes logarithmic, with the interval as a band.
pub(super) fn det(curve: &Curve, mated: usize, nonmated: usize) -> Result<String, DrawError> {
    let failed = drawn("curve");
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        root.fill(&WHITE).map_err(&failed)?;
        // Half an error is drawn where there is none: a logarithmic axis has no zero.
        let (left, floor) = (0.5 / nonmated.max(1) as f64, 0.5 / mated.max(1) as f64);
        let mut chart = ChartBuilder::on(&root)
            .margin(12)
            .margin_right(30)
            .x_label_area_size(46)
            .y_label_area_size(68)
            .build_cartesian_2d((left..1.0).log_scale(), (floor..1.0).log_scale())
            .map_err(&failed)?;
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(GRID)
            .axis_style(INK)
            .label_style(label(13))
            .axis_desc_style(label(14))
            .x_desc("false match rate")
            .y_desc("false non-match rate")
            .x_label_formatter(&power)
            .y_label_formatter(&power)
            .draw()
            .map_err(&failed)?;
        let above = |rate: f64| rate.max(floor);
        let upper = curve.band.iter().map(|[fmr, _, upper]| (*fmr, above(*upper)));
        let lower = curve.band.iter().rev().map(|[fmr, lower, _]| (*fmr, above(*lower)));
        chart.draw_series(std::iter::once(Polygon::new(upper.chain(lower).collect::<Vec<_>>(), MATED.mix(0.18)))).map_err(&failed)?;
        let line = curve.points.iter().map(|[fmr, fnmr]| (*fmr, above(*fnmr)));
        chart.draw_series(LineSeries::new(line, MATED.stroke_width(2))).map_err(&failed)?;
        root.present().map_err(&failed)?;
    }
    Ok(svg)
}

fn power(rate: &f64) -> String {
    let percent = rate * 100.0;
    if percent >= 1.0 { format!("{percent:.0} %") } else { format!("{} %", (percent * 1e6).round() / 1e6) }
}

/// Shares of scores by bin, one outline for each series, with marks at scores that mean something.
pub(super) fn histogram(series: &[Series<'_>], range: (f32, f32), marks: &[(String, f32)], axis: &str) -> Result<String, DrawError> {
    let failed = drawn("histogram");
    let (low, high) = range;
    let width = (high - low) / BINS as f32;
    let outlines: Vec<Vec<(f32, f64)>> = series.iter().map(|series| outline(series.scores, low, width)).collect();
    let top = outlines.iter().flatten().map(|(_, share)| *share).fold(0.01, f64::max) * 1.15;
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        root.fill(&WHITE).map_err(&failed)?;
        let mut chart = ChartBuilder::on(&root)
            .margin(12)
            .margin_right(30)
            .x_label_area_size(46)
            .y_label_area_size(68)
            .build_cartesian_2d(low..high, 0.0..top)
            .map_err(&failed)?;
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(GRID)
            .axis_style(INK)
            .label_style(label(13))
            .axis_desc_style(label(14))
            .x_desc(axis)
            .y_desc("share")
            .x_label_formatter(&|score| format!("{:.1}", score + 0.0001))
            .y_label_formatter(&|share| format!("{:.0} %", share * 100.0))
            .draw()
            .map_err(&failed)?;
        for (at, (series, outline)) in series.iter().zip(outlines).enumerate() {
            let colour = if at == 0 { MATED } else { OTHERS.get((at - 1) % OTHERS.len()).copied().unwrap_or(NON_MATED) };
            chart.draw_series(AreaSeries::new(outline.clone(), 0.0, colour.mix(0.15))).map_err(&failed)?;
            chart
                .draw_series(LineSeries::new(outline, colour.stroke_width(2)))
                .map_err(&failed)?
                .label(&series.name)
                .legend(move |(x, y)| Rectangle::new([(x, y - 5), (x + 14, y + 5)], colour.filled()));
        }
        // Each a line lower, so that near ones do not cover each other.
        for (row, (name, score)) in marks.iter().filter(|(_, score)| (low..=high).contains(score)).enumerate() {
            chart.draw_series(DashedLineSeries::new([(*score, 0.0), (*score, top)], 5, 4, INK.stroke_width(1))).map_err(&failed)?;
            let at = label(13).pos(Pos::new(HPos::Left, VPos::Top));
            chart
                .draw_series(std::iter::once(Text::new(format!(" {name} {score:.2}"), (*score, top * (1.0 - 0.05 * row as f64)), at)))
                .map_err(&failed)?;
        }
        chart
            .configure_series_labels()
            // Scores of attacks stand at both ends of 0 to 1, those of comparisons to the right.
            .position(if low >= 0.0 { SeriesLabelPosition::MiddleMiddle } else { SeriesLabelPosition::UpperLeft })
            .margin(18)
            .background_style(WHITE.mix(0.85))
            .border_style(GRID)
            .label_font(label(14))
            .draw()
            .map_err(&failed)?;
        root.present().map_err(&failed)?;
    }
    Ok(svg)
}

/// Steps of a histogram: both ends of each bin with the share of scores in it.
fn outline(scores: &[f32], low: f32, width: f32) -> Vec<(f32, f64)> {
    let mut counts = [0_u64; BINS];
    for score in scores.iter().filter(|score| score.is_finite()) {
        let bin = (((score - low) / width).floor().max(0.0) as usize).min(BINS - 1);
        if let Some(count) = counts.get_mut(bin) {
            *count += 1;
        }
    }
    let all = scores.len().max(1) as f64;
    let ends = counts.iter().enumerate().flat_map(|(bin, count)| {
        let (start, share) = (low + width * bin as f32, *count as f64 / all);
        [(start, share), (start + width, share)]
    });
    ends.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_histogram_counts_every_score_once() {
        let scores = [-0.005, 0.0, 0.005, 0.5, 0.999, 1.0, 2.0];
        let steps = outline(&scores, 0.0, 0.01);
        // Each bin stands there twice, with its start and its end.
        let sum: f64 = steps.iter().step_by(2).map(|(_, share)| share).sum();
        assert!((sum - 1.0).abs() < 1e-9 && steps.len() == 2 * BINS);
        assert!((steps[0].1 - 3.0 / 7.0).abs() < 1e-9 && (steps[198].1 - 3.0 / 7.0).abs() < 1e-9);
    }

    #[test]
    fn drawings_are_svg_without_anything_from_elsewhere() {
        let curve = Curve { points: vec![[0.001, 0.1], [0.1, 0.0]], band: vec![[0.001, 0.05, 0.2], [0.1, 0.0, 0.1]] };
        let series = [Series { name: "<mated>".into(), scores: &[0.1, 0.9] }, Series { name: "non-mated".into(), scores: &[] }];
        for svg in [det(&curve, 10, 1000).unwrap(), histogram(&series, (-1.0, 1.0), &[("match".into(), 0.5)], "score").unwrap()] {
            assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"), "{svg}");
            assert!(!svg.contains("<script") && !svg.contains("href") && !svg.contains("<mated>"));
        }
    }
}
