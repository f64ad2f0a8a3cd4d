//! A tokenizer for SQL that only tells words from strings and comments.

use super::bindings::Error;
use super::dialect::Dialect;

/// A piece of a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Token {
    /// A keyword or a plain identifier, in lower case.
    Word(String),
    /// A quoted identifier, without its quotes, in lower case: rules about names do not depend on case.
    Quoted(String),
    /// A literal or a parameter.
    Literal,
    /// Any other character.
    Symbol(char),
}

/// A token and where it is: its first byte, and the byte after its last.
pub(crate) type LocatedToken = (Token, usize, usize);

/// Splits a statement into tokens. Comments and white space are left out.
pub(crate) fn tokens(sql: &str, dialect: Dialect) -> Result<Vec<LocatedToken>, Error> {
    let mut tokens = Vec::new();
    scan(sql, dialect, |token| {
        tokens.push(token);
        Ok(())
    })?;
    Ok(tokens)
}

/// The same for a text that may be long, whose tokens are not kept.
///
/// # Errors
/// Those of `each`, which ends the scan.
pub(crate) fn scan(
    sql: &str,
    dialect: Dialect,
    mut each: impl FnMut(LocatedToken) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut scanner = Scanner { sql, bytes: sql.as_bytes(), at: 0, dialect };
    while let Some(token) = scanner.next()? {
        each(token)?;
    }
    Ok(())
}

struct Scanner<'a> {
    sql: &'a str,
    bytes: &'a [u8],
    at: usize,
    dialect: Dialect,
}

fn starts_word(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || byte >= 0x80
}

fn in_word(byte: u8) -> bool {
    starts_word(byte) || byte.is_ascii_digit() || byte == b'$'
}

impl Scanner<'_> {
    fn peek(&self, ahead: usize) -> u8 {
        self.bytes.get(self.at + ahead).copied().unwrap_or(0)
    }

    fn next(&mut self) -> Result<Option<LocatedToken>, Error> {
        self.skip_space()?;
        let start = self.at;
        if start >= self.bytes.len() {
            return Ok(None);
        }
        let token = self.token(start)?;
        Ok(Some((token, start, self.at)))
    }

    fn token(&mut self, start: usize) -> Result<Token, Error> {
        let postgres = self.dialect == Dialect::Postgres;
        match self.peek(0) {
            b'\'' => self.string(false).map(|()| Token::Literal),
            b'"' => self.quoted(b'"'),
            b'`' if !postgres => self.quoted(b'`'),
            b'[' if !postgres => self.quoted(b']'),
            b'$' if postgres && !self.peek(1).is_ascii_digit() => self.dollar_string(),
            b'$' | b'?' | b':' | b'@' if self.peek(1).is_ascii_digit() => {
                self.at += 1;
                self.skip_while(|byte| byte.is_ascii_digit());
                Ok(Token::Literal)
            }
            // Older servers end a number where it is none any more, and begin a word.
            byte if byte.is_ascii_digit() => {
                self.skip_while(|byte| byte.is_ascii_digit() || byte == b'_' || byte == b'.');
                Ok(Token::Literal)
            }
            byte if starts_word(byte) => {
                self.skip_while(in_word);
                let word = self.sql[start..self.at].to_ascii_lowercase();
                self.after_word(word)
            }
            _ => {
                let symbol = self.sql[start..].chars().next().unwrap_or('\0');
                self.at += symbol.len_utf8();
                Ok(Token::Symbol(symbol))
            }
        }
    }

    /// A word can be the prefix of a string.
    fn after_word(&mut self, word: String) -> Result<Token, Error> {
        if self.dialect == Dialect::Postgres {
            if word == "u" && self.peek(0) == b'&' && self.peek(1) == b'"' {
                return Err(Error::denied("identifiers with Unicode escapes (U&\"...\") are not allowed"));
            }
            if word == "u" && self.peek(0) == b'&' && self.peek(1) == b'\'' {
                self.at += 1;
                return self.string(false).map(|()| Token::Literal);
            }
            if self.peek(0) == b'\'' && matches!(word.as_str(), "e" | "b" | "x" | "n") {
                self.string(word == "e")?;
                // One that goes on in the next line keeps its escapes, though its quotes look like another's.
                if word == "e" {
                    let end = self.at;
                    self.skip_space()?;
                    if self.peek(0) == b'\'' {
                        return Err(Error::denied("strings with escapes (E'...') may not go on in another line"));
                    }
                    self.at = end;
                }
                return Ok(Token::Literal);
            }
        } else if self.peek(0) == b'\'' && word == "x" {
            return self.string(false).map(|()| Token::Literal);
        }
        Ok(Token::Word(word))
    }

    fn skip_while(&mut self, wanted: impl Fn(u8) -> bool) {
        while self.at < self.bytes.len() && wanted(self.bytes[self.at]) {
            self.at += 1;
        }
    }

    fn skip_space(&mut self) -> Result<(), Error> {
        loop {
            self.skip_while(|byte| byte.is_ascii_whitespace() || byte == 0x0b);
            match (self.peek(0), self.peek(1)) {
                // Carriage returns end PostgreSQL's comments and not SQLite's, where they end nothing that is checked
                // here.
                (b'-', b'-') => {
                    let postgres = self.dialect == Dialect::Postgres;
                    self.skip_while(|byte| byte != b'\n' && !(postgres && byte == b'\r'));
                }
                (b'/', b'*') => self.skip_comment()?,
                _ => return Ok(()),
            }
        }
    }

    fn skip_comment(&mut self) -> Result<(), Error> {
        let mut depth = 0;
        while self.at < self.bytes.len() {
            match (self.peek(0), self.peek(1)) {
                (b'/', b'*') if depth == 0 || self.dialect == Dialect::Postgres => {
                    depth += 1;
                    self.at += 2;
                }
                (b'*', b'/') => {
                    depth -= 1;
                    self.at += 2;
                    if depth == 0 {
                        return Ok(());
                    }
                }
                _ => self.at += 1,
            }
        }
        Err(unterminated("comment"))
    }

    /// A string in single quotes, from its first quote.
    fn string(&mut self, escapes: bool) -> Result<(), Error> {
        self.at += 1;
        while self.at < self.bytes.len() {
            match self.bytes[self.at] {
                b'\\' if escapes => self.at += 2,
                b'\'' if self.peek(1) == b'\'' => self.at += 2,
                b'\'' => {
                    self.at += 1;
                    return Ok(());
                }
                _ => self.at += 1,
            }
        }
        Err(unterminated("string"))
    }

    fn quoted(&mut self, end: u8) -> Result<Token, Error> {
        let start = self.at + 1;
        self.at = start;
        while self.at < self.bytes.len() {
            if self.bytes[self.at] != end {
                self.at += 1;
            } else if end != b']' && self.peek(1) == end {
                self.at += 2;
            } else {
                let doubled = [end, end].map(char::from).iter().collect::<String>();
                let name = self.sql[start..self.at].replace(&doubled, &char::from(end).to_string());
                self.at += 1;
                return Ok(Token::Quoted(name.to_lowercase()));
            }
        }
        Err(unterminated("quoted identifier"))
    }

    /// `$tag$ ... $tag$`, or a lone dollar.
    fn dollar_string(&mut self) -> Result<Token, Error> {
        let start = self.at;
        self.at += 1;
        if starts_word(self.peek(0)) {
            self.skip_while(|byte| starts_word(byte) || byte.is_ascii_digit());
        }
        if self.peek(0) != b'$' {
            self.at = start + 1;
            return Ok(Token::Symbol('$'));
        }
        self.at += 1;
        let tag = &self.sql[start..self.at];
        match self.sql[self.at..].find(tag) {
            Some(end) => {
                self.at += end + tag.len();
                Ok(Token::Literal)
            }
            None => Err(unterminated("dollar-quoted string")),
        }
    }
}

fn unterminated(what: &str) -> Error {
    Error::database("42601", format!("unterminated {what}"))
}
