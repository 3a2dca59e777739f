//! Times as Go prints and reads them.

use super::*;

fn at(seconds: u64, nanos: u32) -> SystemTime {
    UNIX_EPOCH + Duration::new(seconds, nanos)
}

#[test]
fn times_print_and_parse() {
    for (time, text) in [
        (at(0, 0), "1970-01-01T00:00:00Z"),
        (at(1_709_210_096, 789_000_000), "2024-02-29T12:34:56.789Z"),
        (at(1_709_210_096, 1), "2024-02-29T12:34:56.000000001Z"),
        (at(4_102_444_799, 0), "2099-12-31T23:59:59Z"),
    ] {
        assert_eq!(rfc3339_nano(time), text);
        assert_eq!(parse_rfc3339(text), Some(time));
    }
    assert_eq!(
        parse_rfc3339("2024-02-29T14:34:56+02:00"),
        Some(at(1_709_210_096, 0))
    );
    assert_eq!(
        rfc3339_nano(parse_rfc3339("0001-01-01T00:00:00Z").unwrap()),
        "0001-01-01T00:00:00Z"
    );
    for bad in [
        "",
        "2024",
        "2024-13-01T00:00:00Z",
        "2024-01-01T00:00:00",
        "2024-01-01 00:00:00Z",
    ] {
        assert_eq!(parse_rfc3339(bad), None, "{bad}");
    }
}

#[test]
fn durations_print_for_people() {
    for (seconds, expect) in [
        (0, "Less than a second"),
        (1, "1 second"),
        (45, "45 seconds"),
        (60, "About a minute"),
        (180, "3 minutes"),
        (3600, "About an hour"),
        (35 * 60 + 3600, "2 hours"),
        (48 * 3600, "2 days"),
        (14 * 86_400, "2 weeks"),
        (60 * 86_400, "2 months"),
        (730 * 86_400, "2 years"),
    ] {
        assert_eq!(human_duration(Duration::from_secs(seconds)), expect);
    }
}

#[test]
fn go_durations_parse() {
    for (text, millis) in [
        ("0", 0),
        ("1h", 3_600_000),
        ("1.5s", 1500),
        ("1m30s", 90_000),
        ("100ms", 100),
        (".5s", 500),
    ] {
        assert_eq!(
            parse_go_duration(text),
            Some(Duration::from_millis(millis)),
            "{text}"
        );
    }
    for bad in ["", "1", "s", "1x", "-1s", "1.2.3s", "."] {
        assert_eq!(parse_go_duration(bad), None, "{bad}");
    }
}

#[test]
fn timestamps_parse_in_all_their_forms() {
    let now = at(1_700_000_000, 0);
    for (text, expect) in [
        ("10m", at(1_699_999_400, 0)),
        ("1136073600", at(1_136_073_600, 0)),
        ("1136073600.5", at(1_136_073_600, 500_000_000)),
        ("2006-01-02T15:04:05Z", at(1_136_214_245, 0)),
        (
            "2006-01-02T15:04:05.5+01:00",
            at(1_136_210_645, 500_000_000),
        ),
        ("2006-01-02T15Z", at(1_136_214_000, 0)),
        ("2006-01-02Z", at(1_136_160_000, 0)),
    ] {
        assert_eq!(parse_timestamp(text, now), Some(expect), "{text}");
    }
    for bad in ["", "hello", "2006-01", "1.x"] {
        assert_eq!(parse_timestamp(bad, now), None, "{bad}");
    }
}
