//! Splits header values: tokens, quoted strings, lists (RFC 9110, section 5.6).

/// Reads a header value from its start.
#[derive(Clone, Debug)]
pub(super) struct Scan<'text> {
    rest: &'text str,
}

impl<'text> Scan<'text> {
    pub(super) fn new(text: &'text str) -> Self {
        Self { rest: text }
    }

    pub(super) fn skip_blanks(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t']);
    }

    /// Skips blanks and commas between elements.
    pub(super) fn skip_separators(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t', ',']);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Takes this sign if it is next.
    pub(super) fn take(&mut self, sign: char) -> bool {
        match self.rest.strip_prefix(sign) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// A token; empty where none is next.
    pub(super) fn token(&mut self) -> &'text str {
        self.take_while(|c| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c))
    }

    pub(super) fn take_while(&mut self, wanted: impl Fn(char) -> bool) -> &'text str {
        let end = self
            .rest
            .find(|c: char| !wanted(c))
            .unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        taken
    }

    /// A token or a quoted string; `None` where a quote is not closed.
    pub(super) fn value(&mut self) -> Option<String> {
        if !self.take('"') {
            // Registries leave out quotes around addresses: everything up to the next separator.
            return Some(
                self.take_while(|c| !matches!(c, ',' | ' ' | '\t' | '"' | ';'))
                    .to_owned(),
            );
        }
        let mut value = String::new();
        let mut characters = self.rest.char_indices();
        while let Some((at, c)) = characters.next() {
            match c {
                '"' => {
                    self.rest = &self.rest[at + 1..];
                    return Some(value);
                }
                '\\' => value.push(characters.next()?.1),
                _ => value.push(c),
            }
        }
        None
    }
}
