//! Plots as SVG.

use std::fmt::Write as _;

const WIDTH: f64 = 900.0;
const HEIGHT: f64 = 220.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 15.0;
const TOP: f64 = 34.0;
const BOTTOM: f64 = 24.0;
/// Points of an area: what is on one of them is drawn from its least to its greatest value.
const POINTS: usize = 800;

/// A value for each hour.
#[derive(Clone, Copy, Debug)]
pub(super) struct Area<'a> {
    pub(super) title: &'static str,
    pub(super) days: u32,
    pub(super) values: &'a [u32],
    /// A value to compare with.
    pub(super) line: Option<(f64, &'static str)>,
    /// What a value is multiplied by before it is shown.
    pub(super) scale: f64,
    pub(super) unit: &'static str,
}

/// A value for each label.
#[derive(Clone, Debug)]
pub(super) struct Bars<'a> {
    pub(super) title: &'static str,
    pub(super) values: &'a [u64],
    pub(super) labels: Vec<String>,
}

impl Area<'_> {
    pub(super) fn svg(&self) -> String {
        let most = self.values.iter().copied().max().map_or(0.0, f64::from);
        let most = most.max(self.line.map_or(0.0, |(value, _)| value)).max(1.0);
        let height = |value: f64| TOP + (HEIGHT - TOP - BOTTOM) * (1.0 - value / most);
        let (mut upper, mut lower) = (String::new(), Vec::new());
        let chunk = self.values.len().div_ceil(POINTS).max(1);
        let step = (WIDTH - LEFT - RIGHT) * float(chunk) / float(self.values.len().max(1));
        let mut x = LEFT;
        for values in self.values.chunks(chunk) {
            let (least, most) = (values.iter().min(), values.iter().max());
            let (least, most) = (least.copied().unwrap_or(0), most.copied().unwrap_or(0));
            // Writing to a string does not fail.
            write!(upper, "{x:.1},{:.1} ", height(f64::from(most))).ok();
            lower.push(format!("{x:.1},{:.1}", height(f64::from(least))));
            x += step;
        }
        lower.reverse();
        let mut marks = String::new();
        if let Some((value, label)) = self.line {
            let y = height(value);
            writeln!(
                marks,
                "<path d=\"M{LEFT} {y:.1}H{}\" stroke=\"#b3261e\" stroke-dasharray=\"4\"/>\
                 <text x=\"{LEFT}\" y=\"{:.1}\" dx=\"6\" dy=\"-4\" fill=\"#b3261e\">{label}</text>",
                WIDTH - RIGHT,
                y
            )
            .ok();
        }
        let (days, bottom) = (self.days, HEIGHT - BOTTOM);
        format!(
            "{head}<polygon points=\"{upper}{lower}\" fill=\"#7aa6c2\" stroke=\"#3c6e8f\" \
             stroke-width=\"0.7\"/>\n{marks}\
             <path d=\"M{LEFT} {TOP}V{bottom}H{end}\" fill=\"none\" stroke=\"#333\"/>\n\
             <text x=\"{label}\" y=\"{TOP}\" dy=\"5\" text-anchor=\"end\">{most:.0}{unit}</text>\
             <text x=\"{label}\" y=\"{bottom}\" text-anchor=\"end\">0</text>\
             <text x=\"{LEFT}\" y=\"{foot}\">day 0</text>\
             <text x=\"{end}\" y=\"{foot}\" text-anchor=\"end\">day {days}</text></svg>\n",
            head = head(self.title),
            lower = lower.join(" "),
            end = WIDTH - RIGHT,
            label = LEFT - 6.0,
            most = most * self.scale,
            unit = self.unit,
            foot = HEIGHT - 6.0,
        )
    }
}

impl Bars<'_> {
    pub(super) fn svg(&self) -> String {
        let values = || self.values.iter().map(|value| u32::try_from(*value).unwrap_or(u32::MAX));
        let most = values().max().map_or(1.0, f64::from).max(1.0);
        let width = (WIDTH - LEFT - RIGHT) / float(self.values.len().max(1));
        let bottom = HEIGHT - BOTTOM;
        let mut bars = String::new();
        let mut x = LEFT;
        for (value, label) in values().zip(&self.labels) {
            let tall = (bottom - TOP) * f64::from(value) / most;
            writeln!(
                bars,
                "<rect x=\"{x:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{tall:.1}\" \
                 fill=\"#7aa6c2\"><title>{label}: {value}</title></rect>\
                 <text x=\"{x:.1}\" y=\"{}\" font-size=\"10\">{label}</text>",
                bottom - tall,
                width - 2.0,
                HEIGHT - 8.0,
            )
            .ok();
            x += width;
        }
        format!(
            "{head}{bars}<path d=\"M{LEFT} {bottom}H{end}\" stroke=\"#333\"/>\
             <text x=\"{label}\" y=\"{TOP}\" dy=\"5\" text-anchor=\"end\">{most:.0}</text></svg>\n",
            head = head(self.title),
            end = WIDTH - RIGHT,
            label = LEFT - 6.0,
        )
    }
}

fn head(title: &str) -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n\
         <text x=\"{LEFT}\" y=\"18\" font-size=\"14\">{title}</text>\n"
    )
}

const fn float(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_year_of_hours_is_drawn_with_a_bounded_number_of_points() {
        let values: Vec<u32> = (0..8_760).collect();
        let area = Area {
            title: "orders",
            days: 365,
            values: &values,
            line: Some((100.0, "mean")),
            scale: 1.0,
            unit: "",
        };
        let svg = area.svg();
        assert!(svg.matches(',').count() < 3 * POINTS, "{}", svg.len());
        assert!(svg.contains(">8759<") && svg.contains("day 365") && svg.contains("mean"));
    }

    #[test]
    fn the_tallest_bar_fills_the_plot() {
        let labels = vec!["a".to_owned(), "b".to_owned()];
        let svg = Bars { title: "t", values: &[1, 2], labels }.svg();
        assert!(svg.contains("height=\"162.0\"") && svg.contains("height=\"81.0\""), "{svg}");
    }
}
