//! JSON strings as Go's `encoding/json` escapes them, of bytes that need not be UTF-8.

/// What a byte inside a string needs.
const PLAIN: u8 = 0;
const SHORT: u8 = 1;
const HEX: u8 = 2;
const MAYBE_SEPARATOR: u8 = 3;

static CLASSES: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
    let mut table = [PLAIN; 256];
    let mut byte = 0;
    while byte < 0x20 {
        table[byte] = HEX;
        byte += 1;
    }
    table[b'"' as usize] = SHORT;
    table[b'\\' as usize] = SHORT;
    table[b'\n' as usize] = SHORT;
    table[b'\r' as usize] = SHORT;
    // Go escapes what could end a script element.
    table[b'<' as usize] = HEX;
    table[b'>' as usize] = HEX;
    table[b'&' as usize] = HEX;
    // First byte of U+2028 and U+2029, line ends in JavaScript.
    table[0xe2] = MAYBE_SEPARATOR;
    table
}

/// Appends the inside of a JSON string. Each byte that is not part of valid UTF-8 becomes `\ufffd`.
pub(super) fn escape(out: &mut Vec<u8>, bytes: &[u8]) {
    if bytes.is_ascii() {
        return escape_valid(out, bytes);
    }
    for chunk in bytes.utf8_chunks() {
        escape_valid(out, chunk.valid().as_bytes());
        for _ in chunk.invalid() {
            out.extend_from_slice(br"\ufffd");
        }
    }
}

fn escape_valid(out: &mut Vec<u8>, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut start = 0;
    for (place, &byte) in bytes.iter().enumerate() {
        let class = CLASSES[usize::from(byte)];
        if class == PLAIN {
            continue;
        }
        if class == MAYBE_SEPARATOR {
            if let Some(&[0x80, last @ (0xa8 | 0xa9)]) = bytes.get(place + 1..place + 3) {
                out.extend_from_slice(&bytes[start..place]);
                out.extend_from_slice(if last == 0xa8 { br"\u2028" } else { br"\u2029" });
                start = place + 3;
            }
            continue;
        }
        out.extend_from_slice(&bytes[start..place]);
        start = place + 1;
        match byte {
            b'\n' => out.extend_from_slice(br"\n"),
            b'\r' => out.extend_from_slice(br"\r"),
            _ if class == SHORT => out.extend_from_slice(&[b'\\', byte]),
            _ => {
                let hex = [
                    DIGITS[usize::from(byte >> 4)],
                    DIGITS[usize::from(byte & 15)],
                ];
                out.extend_from_slice(&[b'\\', b'u', b'0', b'0', hex[0], hex[1]]);
            }
        }
    }
    out.extend_from_slice(&bytes[start..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(input: &[u8], expect: &str) {
        let mut out = Vec::new();
        escape(&mut out, input);
        assert_eq!(String::from_utf8_lossy(&out), expect);
    }

    #[test]
    fn escapes_as_go_does() {
        check(b"plain", "plain");
        check(b"a\"b\\c\r\n", r#"a\"b\\c\r\n"#);
        check(b"\t\x00\x1f\x7f", "\\u0009\\u0000\\u001f\x7f");
        check(b"<a href='x'>&", r"\u003ca href='x'\u003e\u0026");
        check("zażółć 🦀 €".as_bytes(), "zażółć 🦀 €");
        check(
            "x\u{2028}y\u{2029}z\u{2027}".as_bytes(),
            "x\\u2028y\\u2029z\u{2027}",
        );
    }

    #[test]
    fn each_invalid_byte_is_replaced() {
        check(b"a\xffb", r"a\ufffdb");
        check(b"\xe2\x82", r"\ufffd\ufffd");
        check(b"\xe2\x82A\xc3", r"\ufffd\ufffdA\ufffd");
        check(b"\xed\xa0\x80", r"\ufffd\ufffd\ufffd");
    }
}
