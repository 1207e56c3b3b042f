//! How long a file may be, and where tests stand.

use super::{below, read};

/// Most lines of a file: what is longer is two things.
const LINES_MAX: usize = 400;

fn sources() -> Vec<String> {
    ["control-plane", "filter", "tests"].iter().flat_map(|folder| below(folder, ".rs")).collect()
}

#[test]
fn no_file_is_too_long_to_be_read_at_once() {
    let long: Vec<_> = sources()
        .into_iter()
        .map(|path| (read(&path).lines().count(), path))
        .filter(|(lines, _)| *lines > LINES_MAX)
        .collect();
    assert!(long.is_empty(), "more than {LINES_MAX} lines: {long:?}");
}

/// Test programs may share a file with another one; what is built into the program may not.
#[test]
fn a_module_is_where_its_name_says() {
    // Written in two parts, or this file would be one of them.
    let attribute = concat!("#[", "path = \"");
    for path in sources().into_iter().filter(|path| path.contains("/src/")) {
        let text = read(&path);
        let elsewhere = text.split(attribute).skip(1).filter_map(|rest| rest.split('"').next());
        for file in elsewhere {
            assert!(file.contains("/tests/"), "{path}: {file}");
        }
    }
}
