//! The wire form of header maps: a count, the lengths, then names and values, each ended by NUL.

/// Headers in order, names in lower case; both sides may hold any bytes.
pub type Headers = Vec<(Vec<u8>, Vec<u8>)>;

/// Most bytes of a map taken from a guest; Envoy treats a longer one as empty.
pub const MAP_BYTES_MAX: usize = 1_048_576;
/// Most pairs of a map taken from a guest; Envoy treats a longer one as empty.
pub const MAP_PAIRS_MAX: usize = 1_024;

/// Encodes a map. The empty map is no bytes at all.
#[must_use]
pub fn encode(headers: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
    if headers.is_empty() {
        return Vec::new();
    }
    let length = |length: usize| u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes();
    let mut bytes = length(headers.len()).to_vec();
    for (name, value) in headers {
        bytes.extend_from_slice(&length(name.len()));
        bytes.extend_from_slice(&length(value.len()));
    }
    for (name, value) in headers {
        bytes.extend_from_slice(name);
        bytes.push(0);
        bytes.extend_from_slice(value);
        bytes.push(0);
    }
    bytes
}

/// Decodes a map as Envoy does: what is malformed or over the limits is an empty map.
#[must_use]
pub fn decode(bytes: &[u8]) -> Headers {
    decode_strictly(bytes).unwrap_or_default()
}

fn decode_strictly(bytes: &[u8]) -> Option<Headers> {
    if bytes.len() > MAP_BYTES_MAX {
        return None;
    }
    let (count, mut lengths) = split_u32(bytes)?;
    if count > MAP_PAIRS_MAX {
        return None;
    }
    let mut strings = lengths.get(count.checked_mul(8)?..)?;
    let mut headers = Vec::with_capacity(count);
    for _ in 0..count {
        let (name_bytes, rest) = split_u32(lengths)?;
        let (value_bytes, rest) = split_u32(rest)?;
        lengths = rest;
        let (name, rest) = split_string(strings, name_bytes)?;
        let (value, rest) = split_string(rest, value_bytes)?;
        strings = rest;
        headers.push((name.to_ascii_lowercase(), value.to_vec()));
    }
    Some(headers)
}

fn split_u32(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (number, rest) = bytes.split_first_chunk::<4>()?;
    Some((usize::try_from(u32::from_le_bytes(*number)).ok()?, rest))
}

fn split_string(bytes: &[u8], length: usize) -> Option<(&[u8], &[u8])> {
    let (string, rest) = bytes.split_at_checked(length)?;
    let (nul, rest) = rest.split_first()?;
    (*nul == 0).then_some((string, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_survive_the_way_there_and_back() {
        let headers = vec![
            (b":path".to_vec(), b"/\xff\x00x".to_vec()),
            (b"a".to_vec(), Vec::new()),
            (b"a".to_vec(), b"2".to_vec()),
        ];
        assert_eq!(decode(&encode(&headers)), headers);
        assert_eq!(encode(&[]), b"");
        assert_eq!(decode(&[0, 0, 0, 0]), Vec::new());
    }

    #[test]
    fn malformed_and_oversized_maps_are_empty() {
        let good = encode(&[(b"name".to_vec(), b"value".to_vec())]);
        for cut in 0..good.len() {
            assert_eq!(decode(&good[..cut]), Vec::new(), "{cut}");
        }
        let many = vec![(b"a".to_vec(), b"b".to_vec()); MAP_PAIRS_MAX + 1];
        assert_eq!(decode(&encode(&many)), Vec::new());
        let long = vec![(b"a".to_vec(), vec![b'x'; MAP_BYTES_MAX])];
        assert_eq!(decode(&encode(&long)), Vec::new());
    }
}
