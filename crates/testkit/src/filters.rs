//! Takes out of a text what differs from run to run: ids, times, sizes, addresses.

/// Replaces what differs by its kind, and runs of spaces by two: widths of columns follow their contents.
///
/// ```text
/// 64 hexadecimal digits         <ID>          2026-01-02T03:04:05.6Z     <TIME>
/// 12 hexadecimal digits         <id>          2 seconds ago, Up 2 hours  <ago>, Up <time>
/// 172.17.0.2                    <ip>          4.26MB                     <size>
/// ```
pub fn normalise(text: &str) -> String {
    let mut lines: Vec<String> = text.lines().map(|line| durations(&words(line))).collect();
    if text.ends_with('\n') {
        lines.push(String::new());
    }
    lines.join("\n")
}

/// Replaces word by word; a word is a run of letters, digits and the signs of times and addresses.
fn words(line: &str) -> String {
    let mut out = String::new();
    let mut word = String::new();
    let mut spaces = 0;
    for c in line.chars().chain(['\n']) {
        if c.is_ascii_alphanumeric() || matches!(c, '.' | ':' | '-' | '_' | '+') {
            word.push(c);
            spaces = 0;
            continue;
        }
        out.push_str(&replace(&word));
        word.clear();
        spaces = if c == ' ' { spaces + 1 } else { 0 };
        if c != '\n' && spaces <= 2 {
            out.push(c);
        }
    }
    out.trim_end().to_owned()
}

fn replace(word: &str) -> String {
    if let Some(rest) = word.strip_prefix("sha256:") {
        return format!("sha256:{}", replace(rest));
    }
    // A sentence's full stop is no part of the word.
    if let Some(rest) = word
        .strip_suffix(['.', ':'])
        .filter(|rest| !rest.is_empty())
    {
        return format!("{}{}", replace(rest), &word[rest.len()..]);
    }
    let hex = word
        .bytes()
        .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    let digits = word.bytes().filter(u8::is_ascii_digit).count();
    match word.len() {
        64 if hex => "<ID>".into(),
        12 if hex && digits > 0 => "<id>".into(),
        _ if is_time(word) => "<TIME>".into(),
        10 if is_date(word) => "<date>".into(),
        8 if is_clock(word) => "<clock>".into(),
        _ if is_address(word) => "<ip>".into(),
        _ if is_size(word) => "<size>".into(),
        _ => word.into(),
    }
}

fn is_time(word: &str) -> bool {
    let bytes = word.as_bytes();
    bytes.len() >= 19
        && bytes[4] == b'-'
        && bytes[7] == b'-'
        && bytes[10] == b'T'
        && bytes[13] == b':'
}

/// `2026-01-02`, as Go prints a time with spaces.
fn is_date(word: &str) -> bool {
    word.starts_with("20")
        && word.split('-').map(str::len).eq([4, 2, 2])
        && word.replace('-', "").bytes().all(|b| b.is_ascii_digit())
}

/// `03:04:05`.
fn is_clock(word: &str) -> bool {
    word.split(':').map(str::len).eq([2, 2, 2])
        && word.replace(':', "").bytes().all(|b| b.is_ascii_digit())
}

fn is_address(word: &str) -> bool {
    let parts: Vec<&str> = word.split('.').collect();
    parts.len() == 4
        && parts.iter().all(|part| part.parse::<u8>().is_ok())
        && !word.starts_with("0.0")
        && !word.starts_with("127.")
}

fn is_size(word: &str) -> bool {
    let unit = word.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
    unit.len() < word.len() && matches!(unit, "B" | "kB" | "MB" | "GB" | "KiB" | "MiB" | "GiB")
}

const UNITS: &[&str] = &[
    "second", "seconds", "minute", "minutes", "hour", "hours", "day", "days", "week", "weeks",
    "month", "months", "year", "years",
];

/// `3 seconds`, `About a minute`, `Less than a second` become `<time>`.
fn durations(line: &str) -> String {
    let mut line = line.to_owned();
    for words in ["Less than a second", "About a minute", "About an hour"] {
        line = line.replace(words, "<time>");
    }
    let parts: Vec<&str> = line.split(' ').collect();
    let mut out: Vec<String> = Vec::new();
    let mut index = 0;
    while index < parts.len() {
        let before = parts[index].trim_end_matches(|c: char| c.is_ascii_digit());
        let number = before.len() < parts[index].len()
            && !before.ends_with(|c: char| c.is_ascii_alphanumeric() || c == '.');
        let unit = parts.get(index + 1).map_or(("", ""), |next| {
            next.split_at(
                next.find(|c: char| !c.is_ascii_lowercase())
                    .unwrap_or(next.len()),
            )
        });
        if number && UNITS.contains(&unit.0) {
            out.push(format!("{before}<time>{}", unit.1));
            index += 2;
        } else {
            out.push(parts[index].to_owned());
            index += 1;
        }
    }
    out.join(" ")
}

#[cfg(test)]
mod tests {
    use super::normalise;

    #[test]
    fn replaces_what_differs() {
        let id = "0123456789ab".repeat(6)[..64].to_owned();
        for (text, expected) in [
            (id.as_str(), "<ID>"),
            (
                "CONTAINER ID   IMAGE\n0123456789ab   busybox\n",
                "CONTAINER ID  IMAGE\n<id>  busybox\n",
            ),
            ("Up 2 seconds", "Up <time>"),
            (
                "\"RunningFor\":\"1 second ago\"",
                "\"RunningFor\":\"<time> ago\"",
            ),
            ("Exited (0) Less than a second ago", "Exited (0) <time> ago"),
            ("at 2026-01-02T03:04:05.123456789Z.", "at <TIME>."),
            ("2026-01-02 03:04:05 +0000 UTC", "<date> <clock> +0000 UTC"),
            ("4.26MB 1.5GiB 12", "<size> <size> 12"),
            ("inet 172.17.0.2/16 at 0.0.0.0", "inet <ip>/16 at 0.0.0.0"),
            ("exit 127: deadbeefcafe", "exit 127: deadbeefcafe"),
        ] {
            assert_eq!(normalise(text), expected, "{text}");
        }
    }
}
