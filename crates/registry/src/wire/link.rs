//! `Link`: where the next page is (specification: Listing Tags; RFC 8288).

use super::scan::Scan;

/// The target of the link with `rel="next"`.
pub fn next(value: &str) -> Option<String> {
    let mut scan = Scan::new(value);
    loop {
        scan.skip_separators();
        if !scan.take('<') {
            return None;
        }
        let target = scan.take_while(|c| c != '>').to_owned();
        if !scan.take('>') {
            return None;
        }
        let mut is_next = false;
        loop {
            scan.skip_blanks();
            if !scan.take(';') {
                break;
            }
            scan.skip_blanks();
            let name = scan.token();
            scan.skip_blanks();
            let value = if scan.take('=') {
                scan.skip_blanks();
                scan.value()?
            } else {
                String::new()
            };
            is_next |= name.eq_ignore_ascii_case("rel")
                && value
                    .split(' ')
                    .any(|relation| relation.eq_ignore_ascii_case("next"));
        }
        if is_next {
            return Some(target);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::next;

    #[test]
    fn the_next_page_is_found() {
        for (text, expected) in [
            (
                r#"</v2/a/tags/list?last=b&n=2>; rel="next""#,
                Some("/v2/a/tags/list?last=b&n=2"),
            ),
            ("<https://x/y>;rel=next", Some("https://x/y")),
            (
                r#"<a>; rel=prev, <b>; title="x"; rel="last next""#,
                Some("b"),
            ),
            (r#"<a>; rel="prev""#, None),
            ("<a", None),
            ("a; rel=next", None),
            (r#"<a>; rel="next"#, None),
        ] {
            assert_eq!(next(text).as_deref(), expected, "{text}");
        }
    }
}
