//! JSON printed as Go's `encoding/json` prints it.

use serde::Serialize;

use crate::report::Failure;

/// `json.MarshalIndent`: with what HTML gives a meaning escaped.
pub(crate) fn pretty(value: &impl Serialize, unit: &str) -> Result<String, Failure> {
    Ok(indent(&compact(value)?, unit))
}

/// `json.Marshal`.
pub(crate) fn compact(value: &impl Serialize) -> Result<String, Failure> {
    let text = serde_json::to_string(value)
        .map_err(|error| Failure::new(format!("encode JSON: {error}")))?;
    // Outside of strings there are none of these.
    let mut escaped = String::with_capacity(text.len());
    for sign in text.chars() {
        match sign {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                escaped.push_str(&format!("\\u{:04x}", u32::from(sign)));
            }
            sign => escaped.push(sign),
        }
    }
    Ok(escaped)
}

/// `json.Indent` of valid JSON: only the blanks between its words change, and those after its end stay.
pub(crate) fn indent(text: &str, unit: &str) -> String {
    let mut printed = String::with_capacity(text.len() * 2);
    let (mut depth, mut in_string, mut escaped, mut opened) = (0_usize, false, false, false);
    let end = text.trim_end().len();
    let line = |printed: &mut String, depth: usize| {
        printed.push('\n');
        printed.push_str(&unit.repeat(depth));
    };
    for sign in text[..end].chars() {
        if in_string {
            printed.push(sign);
            in_string = escaped || sign != '"';
            escaped = !escaped && sign == '\\';
            continue;
        }
        if sign.is_ascii_whitespace() {
            continue;
        }
        let closes = matches!(sign, '}' | ']');
        if opened && !closes {
            depth += 1;
            line(&mut printed, depth);
        } else if closes && !opened {
            depth = depth.saturating_sub(1);
            line(&mut printed, depth);
        }
        opened = matches!(sign, '{' | '[');
        printed.push(sign);
        match sign {
            ',' => line(&mut printed, depth),
            ':' => printed.push(' '),
            '"' => in_string = true,
            _ => {}
        }
    }
    printed.push_str(&text[end..]);
    printed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_blanks_between_words_change() {
        let text = " { \"a\" : [ ] ,\"b\":{\n},\"c\\\"{,\": [1, {\"d\":null}] }\n";
        assert_eq!(
            indent(text, "\t"),
            "{\n\t\"a\": [],\n\t\"b\": {},\n\t\"c\\\"{,\": [\n\t\t1,\n\t\t{\n\t\t\t\"d\": null\n\t\t}\n\t]\n}\n"
        );
    }

    #[test]
    fn what_html_gives_a_meaning_is_escaped_as_go_does() {
        assert_eq!(
            compact(&"<a&b>\u{2028}").unwrap(),
            "\"\\u003ca\\u0026b\\u003e\\u2028\""
        );
    }
}
