//! Problem documents (RFC 7807) as ACME servers send them (RFC 8555 section 6.7), read leniently:
//! they come from servers in trouble, and a field out of shape must not hide the rest.

use serde_json::Value;

/// What ACME's own problem types start with; in the drafts before the RFC, with the second.
const ACME_PREFIXES: [&str; 2] = ["urn:ietf:params:acme:error:", "urn:acme:error:"];
/// Most subproblems looked at: an order has one identifier, so more say nothing new.
const SUBPROBLEMS_MAX: usize = 8;
/// Longest text that is taken for words of the server about this request.
const LINE_BYTES_MAX: usize = 256;

/// A problem document.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Problem {
    /// The type without ACME's prefix; types of others in full; empty if there is none.
    pub(crate) kind: String,
    /// The text for people.
    pub(crate) detail: String,
    /// What it consists of (RFC 8555 section 6.7.1).
    pub(crate) subproblems: Vec<Self>,
}

impl Problem {
    /// Reads a document; `None` when the bytes are not one (a gateway's HTML page).
    pub(crate) fn parse(body: &[u8]) -> Option<Self> {
        let value: Value = serde_json::from_slice(body).ok()?;
        let found = Self::of(&value, 0);
        (found != Self::default()).then_some(found)
    }

    /// What a refusal says: a problem document, or a line of text; a page says nothing.
    pub(crate) fn of_refusal(status: u16, body: &[u8]) -> Option<Self> {
        Self::parse(body).or_else(|| {
            let text = std::str::from_utf8(body).ok()?.trim();
            let line =
                !text.is_empty() && text.len() <= LINE_BYTES_MAX && !text.contains(['<', '{']);
            line.then(|| Self::said(&format!("HTTP status {status}: {text}")))
        })
    }

    /// Reads what stands in a field of another document.
    pub(crate) fn read(value: &Value) -> Self {
        Self::of(value, 0)
    }

    /// Somebody's words and nothing else.
    pub(crate) fn said(words: &str) -> Self {
        Self { detail: words.to_owned(), ..Self::default() }
    }

    fn of(value: &Value, depth: usize) -> Self {
        let text = |name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default();
        let subproblems = match value.get("subproblems") {
            Some(Value::Array(list)) if depth == 0 => {
                list.iter().take(SUBPROBLEMS_MAX).map(|one| Self::of(one, depth + 1)).collect()
            }
            _ => Vec::new(),
        };
        // What servers write that know no problem documents.
        let words = ["detail", "message", "title"].map(text);
        let detail = words.into_iter().find(|words| !words.is_empty()).unwrap_or_default();
        Self { kind: bare(text("type")).to_owned(), detail: detail.to_owned(), subproblems }
    }

    /// The problem that says most: of a compound (or untyped) one its first typed subproblem.
    pub(crate) fn telling(&self) -> &Self {
        if matches!(self.kind.as_str(), "compound" | "" | "about:blank") {
            return self.subproblems.iter().find(|sub| !sub.kind.is_empty()).unwrap_or(self);
        }
        self
    }

    /// All its texts in one, the telling one first.
    pub(crate) fn words(&self) -> String {
        let telling = self.telling();
        let mut words = telling.detail.clone();
        let rest = std::iter::once(self).chain(&self.subproblems);
        for other in rest.filter(|other| !std::ptr::eq(*other, telling)) {
            if !other.detail.is_empty() && !words.contains(&other.detail) {
                if !words.is_empty() {
                    words.push_str(" :: ");
                }
                words.push_str(&other.detail);
            }
        }
        if words.is_empty() {
            words.clone_from(&telling.kind);
        }
        words
    }
}

fn bare(kind: &str) -> &str {
    ACME_PREFIXES.iter().find_map(|prefix| kind.strip_prefix(prefix)).unwrap_or(kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 8555 section 6.7.1.
    const COMPOUND: &str = r#"{
        "type": "urn:ietf:params:acme:error:malformed",
        "detail": "Some of the identifiers requested were rejected",
        "subproblems": [
            {"type": "urn:ietf:params:acme:error:malformed",
             "detail": "Invalid underscore in DNS name \"_example.org\"",
             "identifier": {"type": "dns", "value": "_example.org"}},
            {"type": "urn:ietf:params:acme:error:rejectedIdentifier",
             "detail": "This CA will not issue for \"example.net\"",
             "identifier": {"type": "dns", "value": "example.net"}}]}"#;

    #[test]
    fn the_rfcs_example_is_read_with_its_subproblems() {
        let problem = Problem::parse(COMPOUND.as_bytes()).unwrap();
        assert_eq!(problem.kind, "malformed");
        assert_eq!(problem.subproblems.len(), 2);
        assert_eq!(problem.telling().kind, "malformed");
        assert!(problem.words().contains("will not issue for \"example.net\""));
    }

    #[test]
    fn a_compound_problem_is_told_by_its_first_typed_subproblem() {
        let body = br#"{"type":"urn:ietf:params:acme:error:compound","detail":"several",
            "subproblems":[{"detail":"?"},{"type":"urn:ietf:params:acme:error:caa","detail":"no"}]}"#;
        let problem = Problem::parse(body).unwrap();
        assert_eq!(problem.telling().kind, "caa");
        assert_eq!(problem.words(), "no :: several :: ?");
    }

    #[test]
    fn a_line_of_text_is_read_and_a_page_is_not() {
        let said = |body: &[u8]| Problem::of_refusal(500, body).map(|problem| problem.words());
        assert_eq!(said(b"not found\n").as_deref(), Some("HTTP status 500: not found"));
        assert_eq!(said(br#"{"status":500,"message":"not found"}"#).as_deref(), Some("not found"));
        for page in [&b"<html>500</html>"[..], b"", b"{", &[0xff], &[b'x'; 1000]] {
            assert_eq!(said(page), None);
        }
    }

    #[test]
    fn what_is_no_problem_document_is_none_and_odd_fields_do_not_hide_the_rest() {
        for body in ["<html>502</html>", "", "[]", "{}", "null", "\"x\""] {
            assert_eq!(Problem::parse(body.as_bytes()), None, "{body}");
        }
        let odd = br#"{"type":"x:y","status":"four","subproblems":{"a":1}}"#;
        assert_eq!(Problem::parse(odd).unwrap().kind, "x:y");
    }
}
