//! Bars, with a dot for each run, as SVG.

use std::fmt::Write as _;

use crate::figure::median;
use crate::report::readable;

const WIDTH: f64 = 640.0;
const LABELS: f64 = 150.0;
const VALUES: f64 = 90.0;
const TOP: f64 = 40.0;
const ROW: f64 = 34.0;

/// A bar chart.
#[derive(Debug)]
pub(crate) struct Plot {
    name: &'static str,
    /// What it shows.
    pub(crate) title: &'static str,
    unit: &'static str,
    bars: Vec<(String, Vec<f64>)>,
}

impl Plot {
    /// A chart without bars. `name` is the file's, without its ending.
    pub(crate) const fn new(name: &'static str, title: &'static str, unit: &'static str) -> Self {
        Self { name, title, unit, bars: Vec::new() }
    }

    /// The same with one more bar: the median of some runs.
    pub(crate) fn bar(mut self, label: &str, runs: &[f64]) -> Self {
        self.bars.push((label.to_owned(), runs.to_vec()));
        self
    }

    /// The file's name.
    pub(crate) fn file(&self) -> String {
        format!("{}.svg", self.name)
    }

    /// The picture.
    pub(crate) fn svg(&self) -> String {
        let most = self.bars.iter().flat_map(|(_, runs)| runs).copied().fold(0.0, f64::max);
        let scale = (WIDTH - LABELS - VALUES) / most.max(f64::MIN_POSITIVE);
        let mut rows = String::new();
        let mut top = TOP;
        for (label, runs) in &self.bars {
            row(&mut rows, top, scale, label, runs);
            top += ROW;
        }
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
             font-family=\"sans-serif\" font-size=\"13\">\n\
             <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n\
             <text x=\"10\" y=\"24\" font-size=\"15\">{title} ({unit})</text>\n{rows}</svg>\n",
            height = top + 10.0,
            title = escaped(self.title),
            unit = escaped(self.unit),
        )
    }
}

fn row(svg: &mut String, top: f64, scale: f64, label: &str, runs: &[f64]) {
    let middle = top + ROW / 2.0;
    let baseline = middle + 4.0;
    let value = median(runs);
    let width = value * scale;
    let end = LABELS + runs.iter().copied().fold(value, f64::max) * scale + 8.0;
    // Writing to a string does not fail.
    writeln!(
        svg,
        "<text x=\"{x:.0}\" y=\"{baseline:.0}\" text-anchor=\"end\">{label}</text>\n\
         <rect x=\"{LABELS:.0}\" y=\"{y:.0}\" width=\"{width:.1}\" height=\"20\" fill=\"#7aa6c2\"/>\n\
         <text x=\"{end:.1}\" y=\"{baseline:.0}\">{value}</text>",
        x = LABELS - 8.0,
        label = escaped(label),
        y = middle - 10.0,
        value = readable(value),
    ).ok();
    for run in runs {
        let x = LABELS + run * scale;
        writeln!(svg, "<circle cx=\"{x:.1}\" cy=\"{middle:.0}\" r=\"2.5\" fill=\"#1d3b4f\"/>").ok();
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_bar_fills_the_chart_and_each_run_is_a_dot() {
        let plot = Plot::new("a", "A < B", "1/s").bar("one", &[50.0]).bar("two", &[100.0, 100.0]);
        let svg = plot.svg();
        assert!(svg.contains("A &lt; B"), "{svg}");
        assert!(svg.contains("width=\"400.0\"") && svg.contains("width=\"200.0\""), "{svg}");
        assert_eq!(svg.matches("<circle").count(), 3);
    }
}
