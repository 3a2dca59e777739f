//! Times as Docker writes them.

use std::time::{Duration, SystemTime};

/// Go's zero time: what never happened.
pub const NEVER: &str = "0001-01-01T00:00:00Z";

/// RFC 3339 with nanoseconds, zeros trimmed; what has not happened is Go's zero time.
pub fn or_never(time: Option<SystemTime>) -> String {
    time.map_or_else(|| NEVER.to_owned(), stdx::time::rfc3339_nano)
}

/// RFC 3339 with exactly nine digits, as log lines are stamped.
pub fn nanos(time: SystemTime) -> String {
    let trimmed = stdx::time::rfc3339_nano(time);
    let text = trimmed.trim_end_matches('Z');
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    format!("{seconds}.{fraction:0<9}Z")
}

/// Whole seconds since the epoch.
pub fn unix(time: SystemTime) -> i64 {
    let since = time
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or(Duration::ZERO);
    since.as_secs().cast_signed()
}

/// Nanoseconds since the epoch.
pub fn unix_nanos(time: SystemTime) -> i64 {
    let since = time
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or(Duration::ZERO);
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

/// A time as parameters give it: `seconds`, `seconds.nanos`; the API knows no other form, yet clients send them.
pub fn parse(text: &str) -> Result<Option<SystemTime>, String> {
    if text.is_empty() || text == "0" {
        return Ok(None);
    }
    stdx::time::parse_timestamp(text, SystemTime::now())
        .map(Some)
        .ok_or_else(|| format!("strconv.ParseInt: parsing \"{text}\": invalid syntax"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_stamps_have_nine_digits() {
        let at = |nanos| SystemTime::UNIX_EPOCH + Duration::new(1, nanos);
        assert_eq!(nanos(at(0)), "1970-01-01T00:00:01.000000000Z");
        assert_eq!(nanos(at(1_200)), "1970-01-01T00:00:01.000001200Z");
        assert_eq!(or_never(None), NEVER);
    }
}
