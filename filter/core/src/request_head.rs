//! The headers of a request, read from the proxy in one call.
//!
//! What a filter costs in a proxy is the number of times the sandbox is entered and left, and a
//! header read by itself is two: the call, and the memory asked for to answer it. All headers
//! together are two as well.

use std::ops::Range;

/// All headers of a request, in the wire form of proxy-wasm: a count, the lengths, then names and
/// values, each ended by NUL, names in lower case, bytes as they came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestHead {
    wire: Vec<u8>,
    method: Option<Range<usize>>,
    path: Option<Range<usize>>,
    authority: Option<Range<usize>>,
}

impl RequestHead {
    /// Reads the wire form. `None`: it is cut short, or there are no headers at all.
    #[must_use]
    pub fn parse(wire: Vec<u8>) -> Option<Self> {
        let (mut method, mut path, mut authority) = (None, None, None);
        let mut headers = Headers::of(&wire);
        for (name, value) in headers.by_ref() {
            let field = match wire.get(name)? {
                b":method" => &mut method,
                b":path" => &mut path,
                b":authority" => &mut authority,
                _ => continue,
            };
            // A repeated header is its first value, as the proxy itself reads it.
            if field.is_none() {
                *field = Some(value);
            }
        }
        let complete = headers.left == 0 && wire.len() >= NUMBER_BYTES;
        complete.then_some(Self { wire, method, path, authority })
    }

    /// `:method`; empty if there is none.
    #[must_use]
    pub fn method(&self) -> &[u8] {
        self.text(self.method.as_ref()).unwrap_or_default()
    }

    /// `:path`. `None`: there is none, as with CONNECT.
    #[must_use]
    pub fn path(&self) -> Option<&[u8]> {
        self.text(self.path.as_ref())
    }

    /// `:authority`; empty if there is none.
    #[must_use]
    pub fn authority(&self) -> &[u8] {
        self.text(self.authority.as_ref()).unwrap_or_default()
    }

    /// Every value of the header `name`, which is in lower case.
    pub fn values(&self, name: &[u8]) -> impl Iterator<Item = &[u8]> {
        Headers::of(&self.wire)
            .filter(move |(named, _)| self.wire.get(named.clone()) == Some(name))
            .filter_map(move |(_, value)| self.wire.get(value))
    }

    fn text(&self, range: Option<&Range<usize>>) -> Option<&[u8]> {
        self.wire.get(range?.clone())
    }
}

/// Where names and values lie in the wire form; ends early where it is cut short.
struct Headers<'a> {
    lengths: &'a [u8],
    /// Headers not read yet.
    left: usize,
    /// Where the next name begins.
    at: usize,
    bytes: usize,
}

/// A number of the wire form, in bytes.
const NUMBER_BYTES: usize = 4;

impl<'a> Headers<'a> {
    fn of(wire: &'a [u8]) -> Self {
        let (count, lengths) = split_number(wire).unwrap_or((0, &[]));
        let at = count.saturating_mul(2).saturating_add(1).saturating_mul(NUMBER_BYTES);
        Self { lengths, left: count, at, bytes: wire.len() }
    }
}

impl Iterator for Headers<'_> {
    type Item = (Range<usize>, Range<usize>);

    fn next(&mut self) -> Option<Self::Item> {
        if self.left == 0 {
            return None;
        }
        let (name_bytes, lengths) = split_number(self.lengths)?;
        let (value_bytes, lengths) = split_number(lengths)?;
        let name = self.at..self.at.checked_add(name_bytes)?;
        let value_at = name.end.checked_add(1)?;
        let value = value_at..value_at.checked_add(value_bytes)?;
        if value.end >= self.bytes {
            return None;
        }
        self.lengths = lengths;
        self.at = value.end + 1;
        self.left -= 1;
        Some((name, value))
    }
}

fn split_number(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (number, rest) = bytes.split_first_chunk::<NUMBER_BYTES>()?;
    Some((usize::try_from(u32::from_le_bytes(*number)).ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wire(headers: &[(&[u8], &[u8])]) -> Vec<u8> {
        let number = |number: usize| u32::try_from(number).unwrap().to_le_bytes();
        let mut wire = number(headers.len()).to_vec();
        for (name, value) in headers {
            wire.extend_from_slice(&[number(name.len()), number(value.len())].concat());
        }
        for (name, value) in headers {
            wire.extend_from_slice(&[name, b"\0".as_slice(), value, b"\0"].concat());
        }
        wire
    }

    fn page() -> Vec<u8> {
        wire(&[
            (b":path", b"/a\0b"),
            (b":method", b"GET"),
            (b"x", b""),
            (b":authority", b"a.example.com\xff"),
            (b"x", b"2"),
            (b":path", b"/other"),
            (b"", b"nameless"),
        ])
    }

    #[test]
    fn each_header_is_its_first_value_with_bytes_as_they_came() {
        let head = RequestHead::parse(page()).unwrap();
        assert_eq!(head.path(), Some(b"/a\0b".as_slice()));
        assert_eq!((head.method(), head.authority()), (&b"GET"[..], &b"a.example.com\xff"[..]));
        assert_eq!(head.values(b"x").collect::<Vec<_>>(), [&b""[..], b"2"]);
        assert_eq!(head.values(b"y").count(), 0);
    }

    #[test]
    fn what_is_not_there_is_empty_and_a_missing_path_is_none() {
        let head = RequestHead::parse(wire(&[(b"x", b"1")])).unwrap();
        assert_eq!((head.path(), head.method(), head.authority()), (None, &b""[..], &b""[..]));
        assert!(RequestHead::parse(wire(&[])).is_some());
        assert_eq!(RequestHead::parse(Vec::new()), None, "an absent map is no bytes");
    }

    #[test]
    fn a_map_cut_short_or_with_lengths_that_lie_is_none() {
        let whole = page();
        for cut in 0..whole.len() {
            assert_eq!(RequestHead::parse(whole[..cut].to_vec()), None, "{cut}");
        }
        for at in (0..NUMBER_BYTES * 15).step_by(NUMBER_BYTES) {
            let mut lying = whole.clone();
            lying[at..at + NUMBER_BYTES].copy_from_slice(&u32::MAX.to_le_bytes());
            assert_eq!(RequestHead::parse(lying), None, "{at}");
        }
    }
}
