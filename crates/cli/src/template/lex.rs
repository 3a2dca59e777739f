//! Words of a template: text between actions, and the tokens inside of them.

/// A token, and where it begins in the source.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Token {
    pub(crate) at: usize,
    pub(crate) word: Word,
}

/// What a token is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Word {
    /// Text outside of actions.
    Text(String),
    Open,
    Close,
    /// `.Name`
    Field(String),
    Dot,
    /// `$` or `$name`
    Variable(String),
    /// A function or a keyword.
    Name(String),
    String(String),
    Int(i64),
    Float(f64),
    Pipe,
    Declare,
    Assign,
    Comma,
    LeftParen,
    RightParen,
    Space,
}

/// Cuts a template into tokens.
pub(crate) fn tokens(source: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut at = 0;
    let mut trim_next = false;
    loop {
        let open = source[at..].find("{{").map(|offset| at + offset);
        let mut text = &source[at..open.unwrap_or(source.len())];
        if trim_next {
            text = text.trim_start_matches(BLANKS);
        }
        let Some(open) = open else {
            push_text(&mut tokens, at, text);
            return Ok(tokens);
        };
        let mut inside = open + 2;
        if source[inside..].starts_with('-') && source[inside + 1..].starts_with(BLANKS) {
            text = text.trim_end_matches(BLANKS);
            inside += 1;
        }
        push_text(&mut tokens, at, text);
        (at, trim_next) = action(source, open, inside, &mut tokens)?;
    }
}

const BLANKS: [char; 4] = [' ', '\t', '\r', '\n'];

fn push_text(tokens: &mut Vec<Token>, at: usize, text: &str) {
    if !text.is_empty() {
        tokens.push(Token {
            at,
            word: Word::Text(text.to_owned()),
        });
    }
}

/// Reads one action; returns where the text after it begins, and whether its blanks are trimmed.
fn action(
    source: &str,
    open: usize,
    inside: usize,
    tokens: &mut Vec<Token>,
) -> Result<(usize, bool), String> {
    let comment = source[inside..].trim_start_matches(BLANKS);
    if comment.starts_with("/*") {
        let start = source.len() - comment.len();
        let end = source[start..].find("*/").ok_or("unclosed comment")? + start + 2;
        let rest = source[end..].trim_start_matches(BLANKS);
        let trims = rest.starts_with("-}}");
        let rest = rest
            .strip_prefix("-}}")
            .or_else(|| rest.strip_prefix("}}"))
            .ok_or("comment ends before closing delimiter")?;
        return Ok((source.len() - rest.len(), trims));
    }
    tokens.push(Token {
        at: open,
        word: Word::Open,
    });
    let mut at = inside;
    let mut depth = 0_i32;
    loop {
        let rest = &source[at..];
        let trims = rest.starts_with(BLANKS) && rest.trim_start_matches(BLANKS).starts_with("-}}");
        if trims || rest.starts_with("}}") {
            if depth > 0 {
                return Err("unclosed left paren".to_owned());
            }
            let end = at + rest.find("}}").unwrap_or(0) + 2;
            tokens.push(Token {
                at,
                word: Word::Close,
            });
            return Ok((end, trims));
        }
        let (word, length) = word(rest)?;
        match word {
            Word::LeftParen => depth += 1,
            Word::RightParen => {
                depth -= 1;
                if depth < 0 {
                    return Err("unexpected right paren".to_owned());
                }
            }
            _ => {}
        }
        tokens.push(Token { at, word });
        at += length;
    }
}

fn word(rest: &str) -> Result<(Word, usize), String> {
    let first = rest.chars().next().ok_or("unclosed action")?;
    let single = |word| Ok((word, 1));
    match first {
        ' ' | '\t' | '\r' | '\n' => Ok((
            Word::Space,
            rest.len() - rest.trim_start_matches(BLANKS).len(),
        )),
        '|' => single(Word::Pipe),
        ',' => single(Word::Comma),
        '(' => single(Word::LeftParen),
        ')' => single(Word::RightParen),
        ':' if rest.starts_with(":=") => Ok((Word::Declare, 2)),
        ':' => Err("expected :=".to_owned()),
        '=' => single(Word::Assign),
        '"' => quoted(rest),
        '`' => {
            let end = rest[1..]
                .find('`')
                .ok_or("unterminated raw quoted string")?;
            Ok((Word::String(rest[1..=end].to_owned()), end + 2))
        }
        '\'' => character(rest),
        '.' if rest[1..].starts_with(|c: char| c.is_ascii_digit()) => number(rest),
        '.' => {
            let name = name_length(&rest[1..]);
            if name == 0 {
                single(Word::Dot)
            } else {
                Ok((Word::Field(rest[1..=name].to_owned()), name + 1))
            }
        }
        '$' => {
            let name = name_length(&rest[1..]);
            Ok((Word::Variable(rest[..=name].to_owned()), name + 1))
        }
        '0'..='9' | '+' | '-' => number(rest),
        letter if letter == '_' || letter.is_alphabetic() => {
            let length = name_length(rest);
            Ok((Word::Name(rest[..length].to_owned()), length))
        }
        other => Err(format!(
            "unexpected bad character U+{:04X} '{other}' in command",
            u32::from(other)
        )),
    }
}

fn name_length(text: &str) -> usize {
    text.find(|c: char| c != '_' && !c.is_alphanumeric())
        .unwrap_or(text.len())
}

fn number(rest: &str) -> Result<(Word, usize), String> {
    let end = rest[1..]
        .find(|c: char| !c.is_ascii_alphanumeric() && c != '.' && c != '_')
        .map_or(rest.len(), |end| end + 1);
    let text = &rest[..end];
    if let Some(value) = crate::values::integer(&text.replace('_', "")) {
        return Ok((Word::Int(value), end));
    }
    let value = text
        .parse()
        .map_err(|_| format!("bad number syntax: {text:?}"))?;
    Ok((Word::Float(value), end))
}

fn quoted(rest: &str) -> Result<(Word, usize), String> {
    let mut text = String::new();
    let mut letters = rest.char_indices().skip(1);
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return Ok((Word::String(text), at + 1)),
            '\n' => break,
            '\\' => match letters.next() {
                Some((_, escape)) => text.push(unescape(escape)?),
                None => break,
            },
            other => text.push(other),
        }
    }
    Err("unterminated quoted string".to_owned())
}

fn character(rest: &str) -> Result<(Word, usize), String> {
    let bad = || "unterminated character constant".to_owned();
    let mut letters = rest[1..].chars();
    let first = letters.next().ok_or_else(bad)?;
    let (letter, length) = if first == '\\' {
        (unescape(letters.next().ok_or_else(bad)?)?, 2)
    } else {
        (first, first.len_utf8())
    };
    if letters.next() != Some('\'') {
        return Err(bad());
    }
    Ok((Word::Int(i64::from(u32::from(letter))), length + 2))
}

fn unescape(letter: char) -> Result<char, String> {
    Ok(match letter {
        'n' => '\n',
        't' => '\t',
        'r' => '\r',
        'a' => '\u{7}',
        'b' => '\u{8}',
        'f' => '\u{c}',
        'v' => '\u{b}',
        '0' => '\0',
        '\\' | '"' | '\'' => letter,
        _ => return Err("invalid syntax".to_owned()),
    })
}
