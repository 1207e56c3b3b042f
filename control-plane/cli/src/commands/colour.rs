//! Colours for people at a terminal: the words that say how something stands.

/// Words with their colours (SGR, ECMA-48 section 8.3.117).
const WORDS: [(&str, u8); 9] = [
    ("ok", 32),
    ("issued", 32),
    ("warning", 33),
    ("issuing", 33),
    ("deferred", 33),
    ("failed", 31),
    ("refused", 31),
    ("parked", 2),
    ("pending", 2),
];

/// The text with the first such word of each line in its colour. Text from elsewhere has lost its
/// control characters before it comes here.
pub(super) fn painted(text: &str) -> String {
    text.split_inclusive('\n').map(line).collect()
}

fn line(line: &str) -> String {
    let mut at = 0_usize;
    for word in line.split(' ') {
        let bare = word.trim_end();
        if let Some((_, colour)) = WORDS.iter().find(|(known, _)| *known == bare)
            && let Some((before, rest)) = line.split_at_checked(at)
            && let Some(after) = rest.strip_prefix(bare)
        {
            return format!("{before}\u{1b}[{colour}m{bare}\u{1b}[0m{after}");
        }
        at = at.saturating_add(word.len()).saturating_add(1);
    }
    line.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_words_that_say_how_it_stands_are_painted() {
        let table = "DOMAIN          STATE\nok.example  okay  issued  x\nfailed  key  lost\n";
        assert_eq!(
            painted(table),
            "DOMAIN          STATE\nok.example  okay  \u{1b}[32missued\u{1b}[0m  x\n\
             \u{1b}[31mfailed\u{1b}[0m  key  lost\n"
        );
    }
}
