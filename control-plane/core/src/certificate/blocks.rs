//! The PEM blocks of a text (RFC 7468), as tolerant of what stands around and between them as
//! people's files need: byte order marks, any line ends, glued and indented lines, text in any
//! encoding. What comes out is DER; nothing of the text is kept.

use rustls::pki_types::pem::{Error as PemError, PemObject as _, SectionKind};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use zeroize::Zeroizing;

use super::ChainError;

/// Largest text read: combined files have some kilobytes, the largest seen 40.
pub const TEXT_BYTES_MAX: usize = 256 * 1024;
/// Most blocks looked at in one text.
const BLOCKS_MAX: usize = 64;
/// Most characters of a label that are repeated in an error.
const LABEL_MAX: usize = 40;

const DASHES: &[u8] = b"-----";
const BEGIN: &[u8] = b"-----BEGIN ";
const END: &[u8] = b"-----END ";

/// What a text holds.
#[derive(Default)]
pub(super) struct Blocks {
    /// In the order they stand there.
    pub(super) certificates: Vec<CertificateDer<'static>>,
    /// In the order they stand there; wiped when dropped.
    pub(super) keys: Vec<KeyBlock>,
    /// A private key that needs a password.
    pub(super) encrypted: bool,
    /// Labels of blocks that are neither.
    pub(super) other: Vec<String>,
}

/// A private key as it stands in a text.
pub(super) struct KeyBlock {
    pub(super) form: KeyForm,
    pub(super) der: Zeroizing<Vec<u8>>,
}

/// How a private key is written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeyForm {
    /// RFC 5958.
    Pkcs8,
    /// RFC 8017, RSA only.
    Pkcs1,
    /// RFC 5915, elliptic curves only.
    Sec1,
}

impl KeyForm {
    /// The form of a key whose writer says nothing of it.
    pub(super) const fn of(key: &PrivateKeyDer<'_>) -> Option<Self> {
        match key {
            PrivateKeyDer::Pkcs8(_) => Some(Self::Pkcs8),
            PrivateKeyDer::Pkcs1(_) => Some(Self::Pkcs1),
            PrivateKeyDer::Sec1(_) => Some(Self::Sec1),
            _ => None,
        }
    }
}

impl Blocks {
    /// Reads every block.
    ///
    /// # Errors
    /// A text over [`TEXT_BYTES_MAX`], one that is no PEM, and a block that is broken.
    pub(super) fn read(text: &[u8]) -> Result<Self, ChainError> {
        if text.len() > TEXT_BYTES_MAX {
            return Err(ChainError::TextTooLarge);
        }
        if text.starts_with(&[0x30, 0x82]) {
            return Err(ChainError::Der);
        }
        if text.starts_with(&[0xff, 0xfe]) || text.starts_with(&[0xfe, 0xff]) {
            return Err(ChainError::Utf16);
        }
        let tidy = tidy(text);
        let mut blocks = Self::default();
        blocks.note_labels(&tidy);
        if blocks.encrypted {
            // Its lines of headers are none that the parser knows.
            return blocks.without_keys(&tidy);
        }
        blocks.take(&tidy)?;
        Ok(blocks)
    }

    fn take(&mut self, tidy: &[u8]) -> Result<(), ChainError> {
        let sections = <(SectionKind, Vec<u8>)>::pem_slice_iter(tidy);
        for (index, section) in sections.enumerate() {
            let number = index.saturating_add(1);
            if number > BLOCKS_MAX {
                return Err(ChainError::TooLarge);
            }
            let (kind, der) = section.map_err(|error| broken(number, &error))?;
            let form = match kind {
                SectionKind::Certificate => {
                    self.certificates.push(CertificateDer::from(der));
                    continue;
                }
                SectionKind::PrivateKey => KeyForm::Pkcs8,
                SectionKind::RsaPrivateKey => KeyForm::Pkcs1,
                SectionKind::EcPrivateKey => KeyForm::Sec1,
                SectionKind::PublicKey
                | SectionKind::Crl
                | SectionKind::Csr
                | SectionKind::EchConfigList
                | _ => continue,
            };
            self.keys.push(KeyBlock { form, der: Zeroizing::new(der) });
        }
        Ok(())
    }

    /// The certificates beside a key that needs a password.
    fn without_keys(mut self, tidy: &[u8]) -> Result<Self, ChainError> {
        let mut inside = false;
        let mut certificates = Vec::new();
        for line in tidy.split(|&byte| byte == b'\n') {
            inside |= line.starts_with(b"-----BEGIN CERTIFICATE-----");
            if inside {
                certificates.extend_from_slice(line);
                certificates.push(b'\n');
            }
            inside &= !line.starts_with(END);
        }
        self.take(&certificates)?;
        Ok(self)
    }

    fn note_labels(&mut self, tidy: &[u8]) {
        for line in tidy.split(|&byte| byte == b'\n') {
            // RFC 1421 section 4.6.1.1: what OpenSSL writes above an encrypted traditional key.
            self.encrypted |= line.starts_with(b"Proc-Type:");
            let label = line.strip_prefix(BEGIN).and_then(|rest| rest.strip_suffix(DASHES));
            let Some(label) = label else { continue };
            self.encrypted |= label == b"ENCRYPTED PRIVATE KEY";
            let known = label == b"CERTIFICATE" || label.ends_with(b"PRIVATE KEY");
            if !known && self.other.len() < BLOCKS_MAX {
                let label = String::from_utf8_lossy(label);
                self.other.push(label.chars().take(LABEL_MAX).collect());
            }
        }
    }
}

/// The text with each mark on a line of its own, as the parser wants them.
fn tidy(text: &[u8]) -> Zeroizing<Vec<u8>> {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    // Each byte of a mark may gain a line end, and nothing else grows: the buffer never moves, so
    // that no copy of a key stays behind.
    let mut out = Zeroizing::new(Vec::with_capacity(text.len() * 2 + 2));
    for line in text.split(|&byte| byte == b'\n' || byte == b'\r') {
        // Pasted from JSON or an environment variable: the two characters for a line end.
        let mut rest = line;
        while let Some(at) = find(rest, b"\\n") {
            let (piece, after) = rest.split_at(at);
            push_marks(piece, &mut out);
            rest = after.get(2..).unwrap_or_default();
        }
        push_marks(rest, &mut out);
    }
    out
}

fn push_marks(line: &[u8], out: &mut Vec<u8>) {
    let mut rest = line;
    while let Some(start) = [BEGIN, END].iter().filter_map(|mark| find(rest, mark)).min() {
        let (before, mark) = rest.split_at(start);
        push_body(before, out);
        let inner = mark.get(DASHES.len()..).unwrap_or_default();
        let end = find(inner, DASHES).map_or(mark.len(), |at| at + 2 * DASHES.len());
        let (mark, after) = mark.split_at_checked(end).unwrap_or((mark, &[]));
        out.extend_from_slice(renamed(mark));
        out.push(b'\n');
        rest = after;
    }
    push_body(rest, out);
}

/// OpenSSL's older name of the same block.
fn renamed(mark: &[u8]) -> &[u8] {
    match mark {
        b"-----BEGIN X509 CERTIFICATE-----" => b"-----BEGIN CERTIFICATE-----",
        b"-----END X509 CERTIFICATE-----" => b"-----END CERTIFICATE-----",
        other => other,
    }
}

/// What stands between marks, without blanks: pasted into one line, they stand for line ends.
fn push_body(line: &[u8], out: &mut Vec<u8>) {
    let before = out.len();
    out.extend(line.iter().filter(|byte| !byte.is_ascii_whitespace()));
    if out.len() > before {
        out.push(b'\n');
    }
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|window| window == what)
}

/// The parser's words without the line it stumbled over: that may be a key's.
fn broken(number: usize, error: &PemError) -> ChainError {
    let why = match error {
        PemError::MissingSectionEnd { .. } => "has no end",
        PemError::IllegalSectionStart { .. } => "has a first line that is none",
        PemError::Base64Decode(_) => "is not base64",
        PemError::SectionTooLarge => "is too large",
        PemError::Io(_) | PemError::NoItemsFound | _ => "cannot be read",
    };
    ChainError::Unreadable(format!("PEM block {number} {why}"))
}
