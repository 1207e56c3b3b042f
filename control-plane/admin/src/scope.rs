//! What a token lets its bearer do.

use std::fmt;
use std::path::Path;

use super::{Token, TokenError};

/// What a request needs, least first; each includes those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// Look.
    Read,
    /// Register, remove, renew, bring certificates along.
    Write,
    /// Take private keys out.
    Keys,
}

impl Scope {
    /// The word in logs and problems.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Keys => "keys",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The tokens that are accepted.
#[derive(Clone, Debug, Default)]
pub struct Tokens(Vec<(Scope, Token)>);

impl Tokens {
    /// One token that may do everything.
    #[must_use]
    pub fn one(token: Token) -> Self {
        Self(vec![(Scope::Keys, token)])
    }

    /// From the files that are configured; `None` if there are none.
    ///
    /// # Errors
    /// A file cannot be read or holds no token.
    pub fn read(files: [(Scope, Option<&Path>); 3]) -> Result<Option<Self>, TokenError> {
        let mut tokens = Vec::new();
        for (scope, file) in files {
            if let Some(file) = file {
                tokens.push((scope, Token::read(file)?));
            }
        }
        Ok((!tokens.is_empty()).then_some(Self(tokens)))
    }

    /// The same with one more.
    #[must_use]
    pub fn and(mut self, scope: Scope, token: Token) -> Self {
        self.0.push((scope, token));
        self
    }

    /// What the bearer of `shown` may do. Each token is compared, in constant time: how long it
    /// takes says nothing about any of them.
    #[must_use]
    pub fn scope_of(&self, shown: &[u8]) -> Option<Scope> {
        let fits = |(scope, token): &(Scope, Token)| token.is(shown).then_some(*scope);
        self.0.iter().map(fits).fold(None, Ord::max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_gives_the_scope_of_its_file_and_no_other() {
        let token = |text: &str| Token::new(text).unwrap();
        let tokens = Tokens::one(token("0123456789abcdef-keys"))
            .and(Scope::Read, token("0123456789abcdef-read"))
            .and(Scope::Write, token("0123456789abcdef-write"));
        assert_eq!(tokens.scope_of(b"0123456789abcdef-keys"), Some(Scope::Keys));
        assert_eq!(tokens.scope_of(b"0123456789abcdef-read"), Some(Scope::Read));
        assert_eq!(tokens.scope_of(b"0123456789abcdef-write"), Some(Scope::Write));
        assert_eq!(tokens.scope_of(b"0123456789abcdef"), None);
        assert!(Scope::Read < Scope::Write && Scope::Write < Scope::Keys);
    }

    #[test]
    fn no_file_means_that_no_token_is_asked_for() {
        let none = Tokens::read([(Scope::Read, None), (Scope::Write, None), (Scope::Keys, None)]);
        assert!(none.unwrap().is_none());
        let gone = Path::new("/nowhere");
        let wanted =
            Tokens::read([(Scope::Read, Some(gone)), (Scope::Write, None), (Scope::Keys, None)]);
        assert!(wanted.is_err(), "a file that is missing does not open the door");
    }
}
