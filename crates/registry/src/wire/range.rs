//! `Content-Range` (RFC 9110, section 14.4) and the `Range` of uploads (specification: Pushing a blob in chunks).

/// The first byte and, where it is said, the size of the whole, of `bytes 10-19/100`.
pub fn content_range(value: &str) -> Option<(u64, Option<u64>)> {
    let (range, size) = value.trim().strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (first, last): (u64, u64) = (number(first)?, number(last)?);
    let size = match size {
        "*" => None,
        size => Some(number(size)?),
    };
    (first <= last && size.is_none_or(|size| last < size)).then_some((first, size))
}

/// How many bytes a registry has of an upload: of `0-99`, 100.
pub fn uploaded(value: &str) -> Option<u64> {
    let value = value.trim();
    let (first, last) = value
        .strip_prefix("bytes=")
        .unwrap_or(value)
        .split_once('-')?;
    (number(first)? == 0).then_some(())?;
    number(last)?.checked_add(1)
}

fn number(text: &str) -> Option<u64> {
    // `parse` would take a sign.
    text.bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read() {
        assert_eq!(content_range("bytes 10-19/100"), Some((10, Some(100))));
        assert_eq!(content_range("bytes 10-19/*"), Some((10, None)));
        for wrong in [
            "bytes 19-10/100",
            "bytes 10-100/100",
            "bytes +1-2/3",
            "10-19/100",
            "bytes */100",
        ] {
            assert_eq!(content_range(wrong), None, "{wrong}");
        }
        assert_eq!(uploaded("0-99"), Some(100));
        assert_eq!(uploaded("bytes=0-99"), Some(100));
        assert_eq!(uploaded("5-99"), None);
        assert_eq!(uploaded("0-18446744073709551615"), None);
    }
}
