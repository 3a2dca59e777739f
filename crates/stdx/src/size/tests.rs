//! Sizes as Go prints and reads them.

use super::*;

#[test]
fn sizes_print_as_in_go() {
    for (bytes, expect) in [
        (0.0, "0B"),
        (1.0, "1B"),
        (999.0, "999B"),
        (1000.0, "1kB"),
        (1024.0, "1.024kB"),
        (1_000_000.0, "1MB"),
        (1_048_576.0, "1.049MB"),
        (2_000_000_000.0, "2GB"),
        (3.42e12, "3.42TB"),
    ] {
        assert_eq!(human_size(bytes), expect);
    }
    assert_eq!(human_size_with_precision(1_093_000.0, 3), "1.09MB");
    assert_eq!(bytes_size(1_610_612_736.0), "1.5GiB");
    assert_eq!(bytes_size(1024.0), "1KiB");
    assert_eq!(bytes_size(16_000_000_000.0), "14.9GiB");
}

#[test]
fn sizes_parse_as_in_go() {
    for (text, expect) in [
        ("32", Some(32)),
        ("32b", Some(32)),
        ("32k", Some(32 << 10)),
        ("32Kb", Some(32 << 10)),
        ("32KiB", Some(32 << 10)),
        ("1.5GiB", Some(3 << 29)),
        ("32.5 kB", Some(33_280)),
        ("0.3 K", Some(307)),
        ("", None),
        ("hello", None),
        (".", None),
        ("-32", None),
        (" 32 ", None),
        ("32  mb", None),
        ("32mm", None),
        ("32bb", None),
        ("1x", None),
    ] {
        assert_eq!(parse_ram(text), expect, "{text:?}");
    }
    assert_eq!(parse_ram_or_reason("x").unwrap_err(), "invalid size: 'x'");
    assert_eq!(
        parse_ram_or_reason("1x").unwrap_err(),
        "invalid suffix: 'x'"
    );
}
