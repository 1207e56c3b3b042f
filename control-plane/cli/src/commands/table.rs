//! Tables for people.

/// Space between two columns.
const GAP: usize = 2;

/// Lines of a table with a heading; each column as wide as its widest cell, the last one open.
pub(super) fn table<const N: usize>(heading: [&str; N], rows: &[[String; N]]) -> String {
    let mut widths = heading.map(width);
    for row in rows {
        for (widest, cell) in widths.iter_mut().zip(row) {
            *widest = (*widest).max(width(cell));
        }
    }
    let mut text = String::new();
    push_line(&mut text, &heading.map(str::to_owned), &widths);
    for row in rows {
        push_line(&mut text, row, &widths);
    }
    text
}

fn push_line<const N: usize>(text: &mut String, cells: &[String; N], widths: &[usize; N]) {
    let mut line = String::new();
    for (cell, widest) in cells.iter().zip(widths) {
        let cell = clean(cell);
        line.push_str(&cell);
        line.push_str(&" ".repeat(widest.saturating_sub(width(&cell)).saturating_add(GAP)));
    }
    text.push_str(line.trim_end());
    text.push('\n');
}

fn width(cell: &str) -> usize {
    cell.chars().count()
}

/// What comes over the network does not steer the terminal.
pub(super) fn clean(text: &str) -> String {
    text.chars().map(|character| if character.is_control() { ' ' } else { character }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_escape_sequences_are_gone() {
        let rows = [
            ["a.example.com".to_owned(), "issued".to_owned()],
            ["b".to_owned(), "bad\u{1b}[31m".to_owned()],
        ];
        assert_eq!(
            table(["DOMAIN", "STATE"], &rows),
            "DOMAIN         STATE\na.example.com  issued\nb              bad [31m\n"
        );
    }
}
