//! `report.json` for programs, `report.md` and plots for people.

use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use sealwax_testkit::checkout;
use serde_json::json;

use crate::figure::Figure;
use crate::machine::{commit, load, machine};
use crate::plot::Plot;

/// What a group measured.
#[derive(Debug)]
pub(crate) struct Group {
    /// Its name.
    pub(crate) name: &'static str,
    /// The figures, in the order they are shown.
    pub(crate) figures: Vec<Figure>,
    /// Pictures of some of them.
    pub(crate) plots: Vec<Plot>,
}

/// Everything a run measured.
#[derive(Debug)]
pub(crate) struct Report {
    machine: String,
    load: Option<f64>,
    commit: String,
    groups: Vec<Group>,
}

impl Report {
    /// Of these groups, on this machine and commit.
    ///
    /// # Errors
    /// The commit is not known.
    pub(crate) fn new(groups: Vec<Group>) -> Result<Self> {
        Ok(Self { machine: machine(), load: load(), commit: commit()?, groups })
    }

    /// Writes it to `target/bench`, and returns the files.
    ///
    /// # Errors
    /// A file cannot be written.
    pub(crate) fn write(&self) -> Result<Vec<PathBuf>> {
        let folder = checkout()?.join("target/bench");
        std::fs::create_dir_all(&folder)?;
        let mut files = vec![
            ("report.json".to_owned(), self.json()?),
            ("report.md".to_owned(), self.markdown()?),
        ];
        let plots = self.groups.iter().flat_map(|group| &group.plots);
        files.extend(plots.map(|plot| (plot.file(), plot.svg())));
        let mut written = Vec::new();
        for (name, content) in files {
            let path = folder.join(name);
            std::fs::write(&path, content)
                .with_context(|| format!("cannot write {}", path.display()))?;
            written.push(path);
        }
        Ok(written)
    }

    fn json(&self) -> Result<String> {
        let figures: Vec<_> = self.groups.iter().flat_map(|group| &group.figures).collect();
        let report = json!({ "machine": self.machine, "commit": self.commit, "figures": figures });
        Ok(format!("{}\n", serde_json::to_string_pretty(&report)?))
    }

    fn markdown(&self) -> Result<String> {
        let mut text = format!("# Benchmarks\n\n{}; commit {}.", self.machine, self.commit);
        if let Some(load) = self.load {
            write!(text, " Load at the end: {load}.")?;
        }
        text.push('\n');
        for group in &self.groups {
            write!(text, "\n## {}\n\n", group.name)?;
            text.push_str("| figure | value | unit | baseline | runs |\n|---|---|---|---|---|\n");
            for figure in &group.figures {
                let runs: Vec<_> = figure.runs.iter().map(|&run| readable(run)).collect();
                let baseline = figure.baseline.map_or_else(String::new, readable);
                writeln!(
                    text,
                    "| `{}` | {} | {} | {baseline} | {} |",
                    figure.name,
                    readable(figure.value),
                    figure.unit,
                    runs.join(" ")
                )?;
            }
            for plot in &group.plots {
                write!(text, "\n![{}]({})\n", plot.title, plot.file())?;
            }
        }
        Ok(text)
    }
}

/// With as many digits as mean something.
pub(crate) fn readable(value: f64) -> String {
    match value.abs() {
        size if size >= 1_000.0 || value.fract() == 0.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.3}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let figure = Figure::of("group.figure", "1/s", vec![1.0, 3.0, 2.0]).against(&[4.0]);
        let plot = Plot::new("group-figure", "Figures", "1/s").bar("ours", &[1.0, 3.0, 2.0]);
        let group = Group { name: "group", figures: vec![figure], plots: vec![plot] };
        Report {
            machine: "a machine".to_owned(),
            load: Some(0.5),
            commit: "c0ffee".to_owned(),
            groups: vec![group],
        }
    }

    #[test]
    fn the_json_has_the_shape_others_read() {
        let json: serde_json::Value = serde_json::from_str(&report().json().unwrap()).unwrap();
        let wanted = json!({"machine": "a machine", "commit": "c0ffee", "figures": [
            {"name": "group.figure", "value": 2.0, "unit": "1/s", "baseline": 4.0,
             "runs": [1.0, 3.0, 2.0]}]});
        assert_eq!(json, wanted);
    }

    #[test]
    fn the_page_shows_every_figure_and_plot() {
        let page = report().markdown().unwrap();
        assert!(page.contains("| `group.figure` | 2 | 1/s | 4 | 1 3 2 |"), "{page}");
        assert!(page.contains("![Figures](group-figure.svg)"), "{page}");
    }
}
