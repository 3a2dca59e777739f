//! Times and durations, printed and parsed as Go does.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

#[cfg(test)]
mod tests;

const NANOS: i128 = 1_000_000_000;

/// Prints a time as Go's `RFC3339Nano` in UTC: trailing zeros of the fraction are left out.
pub fn rfc3339_nano(time: SystemTime) -> String {
    let nanos = unix_nanos(time);
    let (seconds, fraction) = (nanos.div_euclid(NANOS), nanos.rem_euclid(NANOS));
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = civil_from_days(days);
    let mut text = format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}",
        second / 3600,
        second / 60 % 60,
        second % 60
    );
    if fraction != 0 {
        text.push_str(format!(".{fraction:09}").trim_end_matches('0'));
    }
    text.push('Z');
    text
}

/// Parses an RFC 3339 time with any offset and any fraction.
pub fn parse_rfc3339(text: &str) -> Option<SystemTime> {
    let (date, clock) = text.split_once(['T', 't'])?;
    let zone = clock.find(['Z', 'z', '+', '-'])?;
    let (clock, zone) = clock.split_at(zone);
    let offset = match zone.as_bytes()[0] {
        b'Z' | b'z' if zone.len() == 1 => 0,
        sign @ (b'+' | b'-') => {
            let (hours, minutes) = zone[1..].split_once(':')?;
            let offset = number(hours, 2, 23)? * 3600 + number(minutes, 2, 59)? * 60;
            if sign == b'-' { -offset } else { offset }
        }
        _ => return None,
    };
    from_unix_nanos(civil_nanos(date, clock)? - offset * NANOS)
}

/// Nanoseconds since 1970 of `2006-01-02` and `15:04:05.999` as if in UTC.
fn civil_nanos(date: &str, clock: &str) -> Option<i128> {
    let mut date = date.splitn(3, '-');
    let (year, month, day) = (
        number(date.next()?, 4, 9999)?,
        number(date.next()?, 2, 12)?,
        number(date.next()?, 2, 31)?,
    );
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
    let mut clock = clock.splitn(3, ':');
    let hour = number(clock.next()?, 2, 23)?;
    let minute = clock.next().map_or(Some(0), |text| number(text, 2, 59))?;
    let second = clock.next().map_or(Some(0), |text| number(text, 2, 60))?;
    if month == 0
        || day == 0
        || fraction.is_empty()
        || !fraction.bytes().all(|b| b.is_ascii_digit())
    {
        return None;
    }
    let fraction: i128 = format!("{fraction:0<9.9}").parse().ok()?;
    let seconds = days_from_civil(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second;
    Some(seconds * NANOS + fraction)
}

fn number(text: &str, digits: usize, max: i128) -> Option<i128> {
    if text.len() != digits || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    text.parse().ok().filter(|value| *value <= max)
}

fn unix_nanos(time: SystemTime) -> i128 {
    let signed = |d: Duration| i128::try_from(d.as_nanos()).unwrap_or(i128::MAX);
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => signed(after),
        Err(before) => -signed(before.duration()),
    }
}

fn from_unix_nanos(nanos: i128) -> Option<SystemTime> {
    let distance = nanos.unsigned_abs();
    let distance = Duration::new(
        u64::try_from(distance / NANOS.unsigned_abs()).ok()?,
        u32::try_from(distance % NANOS.unsigned_abs()).ok()?,
    );
    if nanos < 0 {
        UNIX_EPOCH.checked_sub(distance)
    } else {
        UNIX_EPOCH.checked_add(distance)
    }
}

/// Howard Hinnant's algorithm: days since 1970 to year, month, day.
fn civil_from_days(days: i128) -> (i128, i128, i128) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    (year_of_era + era * 400 + i128::from(month <= 2), month, day)
}

fn days_from_civil(year: i128, month: i128, day: i128) -> i128 {
    let year = year - i128::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + of_year - 719_468
}

/// Prints a duration as people say it: `About a minute`, `2 hours`.
pub fn human_duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (minutes, whole_hours) = (seconds / 60, seconds / 3600);
    let hours = (seconds + 1800) / 3600;
    match () {
        () if seconds < 1 => "Less than a second".to_owned(),
        () if seconds == 1 => "1 second".to_owned(),
        () if seconds < 60 => format!("{seconds} seconds"),
        () if minutes == 1 => "About a minute".to_owned(),
        () if minutes < 60 => format!("{minutes} minutes"),
        () if hours == 1 => "About an hour".to_owned(),
        () if hours < 48 => format!("{hours} hours"),
        () if hours < 24 * 7 * 2 => format!("{} days", hours / 24),
        () if hours < 24 * 30 * 2 => format!("{} weeks", hours / 24 / 7),
        () if hours < 24 * 365 * 2 => format!("{} months", hours / 24 / 30),
        () => format!("{} years", whole_hours / 24 / 365),
    }
}

/// Parses what docker takes for `--since` and `--until`: a Go duration before `now`, an RFC 3339 time or a part of one
/// (in the local zone when it names none), or Unix seconds with an optional fraction.
pub fn parse_timestamp(text: &str, now: SystemTime) -> Option<SystemTime> {
    if text != "0"
        && let Some(before) = go_duration_nanos(text)
    {
        return from_unix_nanos(unix_nanos(now) - before);
    }
    if text.contains('-') {
        return parse_partial_rfc3339(text);
    }
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
    if !digits(seconds) || !digits(fraction) || fraction.len() > 9 {
        return None;
    }
    let fraction: i128 = format!("{fraction:0<9}").parse().ok()?;
    from_unix_nanos(seconds.parse::<i64>().map(i128::from).ok()? * NANOS + fraction)
}

fn parse_partial_rfc3339(text: &str) -> Option<SystemTime> {
    let body = text.trim_end_matches(['Z', 'z']);
    let zone_at = match text.find(['+', 'Z', 'z']) {
        Some(at) => Some(at),
        None if text.matches('-').count() == 3 => text.rfind('-'),
        None => None,
    };
    let Some(at) = zone_at else {
        let (date, clock) = body.split_once('T').unwrap_or((body, "00"));
        let nanos = civil_nanos(date, clock)?;
        return local_to_utc(nanos);
    };
    let (body, zone) = text.split_at(at);
    let (date, clock) = body.split_once('T').unwrap_or((body, "00"));
    let clock = match clock.matches(':').count() {
        0 => format!("{clock}:00:00"),
        1 => format!("{clock}:00"),
        _ => clock.to_owned(),
    };
    parse_rfc3339(&format!("{date}T{clock}{zone}"))
}

/// The zone of clocks on this machine's wall.
///
/// The zone's own file, where the environment names no other: finding the zone's name in the database of all zones, as
/// [`jiff::tz::TimeZone::system`] does, reads some twenty directories.
pub fn local_zone() -> jiff::tz::TimeZone {
    static ZONE: std::sync::OnceLock<jiff::tz::TimeZone> = std::sync::OnceLock::new();
    let find = || {
        let file = if std::env::var_os("TZ").is_some() {
            None
        } else {
            std::fs::read("/etc/localtime").ok()
        };
        file.and_then(|bytes| jiff::tz::TimeZone::tzif("Local", &bytes).ok())
            .unwrap_or_else(jiff::tz::TimeZone::system)
    };
    ZONE.get_or_init(find).clone()
}

/// Reads nanoseconds of a clock on the wall of the local zone as a time.
fn local_to_utc(nanos: i128) -> Option<SystemTime> {
    let wall = jiff::Timestamp::from_nanosecond(nanos)
        .ok()?
        .to_zoned(jiff::tz::TimeZone::UTC)
        .datetime();
    let zoned = wall.to_zoned(local_zone()).ok()?;
    from_unix_nanos(zoned.timestamp().as_nanosecond())
}

/// Parses a Go duration (`1h30m`, `1.5s`, `100ms`); a negative one is refused.
pub fn parse_go_duration(text: &str) -> Option<Duration> {
    let nanos = go_duration_nanos(text).filter(|nanos| *nanos >= 0)?;
    Some(Duration::new(
        u64::try_from(nanos / NANOS).ok()?,
        u32::try_from(nanos % NANOS).ok()?,
    ))
}

fn go_duration_nanos(text: &str) -> Option<i128> {
    let (sign, mut rest) = match text.as_bytes().first()? {
        b'-' => (-1, &text[1..]),
        b'+' => (1, &text[1..]),
        _ => (1, text),
    };
    if rest == "0" {
        return Some(0);
    }
    if rest.is_empty() {
        return None;
    }
    let mut total: i128 = 0;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (value, tail) = rest.split_at(end);
        let unit_end = tail
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(tail.len());
        let (unit, next) = tail.split_at(unit_end);
        let unit: i128 = match unit {
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => NANOS,
            "m" => 60 * NANOS,
            "h" => 3600 * NANOS,
            _ => return None,
        };
        total = total.checked_add(scaled_decimal(value, unit)?)?;
        rest = next;
    }
    Some(sign * total).filter(|total| i64::try_from(*total).is_ok())
}

fn scaled_decimal(value: &str, unit: i128) -> Option<i128> {
    let (whole, fraction) = value.split_once('.').unwrap_or((value, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
        return None;
    }
    let whole: i128 = if whole.is_empty() {
        0
    } else {
        whole.parse().ok()?
    };
    let fraction = &fraction[..fraction.len().min(15)];
    let digits: i128 = if fraction.is_empty() {
        0
    } else {
        fraction.parse().ok()?
    };
    let scale = 10_i128.pow(u32::try_from(fraction.len()).ok()?);
    Some(whole.checked_mul(unit)? + digits * unit / scale)
}
