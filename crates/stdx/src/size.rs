//! Sizes in bytes, printed and parsed as Go's units package does.

#[cfg(test)]
mod tests;

const DECIMAL: [&str; 9] = ["B", "kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"];
const BINARY: [&str; 9] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB"];

/// Prints a size with base 1000 and four significant digits: `1.09MB`.
pub fn human_size(bytes: f64) -> String {
    human_size_with_precision(bytes, 4)
}

/// Prints a size with base 1000 and as many significant digits as asked.
pub fn human_size_with_precision(bytes: f64, digits: usize) -> String {
    scaled(bytes, 1000.0, &DECIMAL, digits)
}

/// Prints a size with base 1024 and four significant digits: `1.5GiB`.
pub fn bytes_size(bytes: f64) -> String {
    scaled(bytes, 1024.0, &BINARY, 4)
}

fn scaled(mut size: f64, base: f64, units: &[&str; 9], digits: usize) -> String {
    let mut unit = 0;
    while size >= base && unit < units.len() - 1 {
        size /= base;
        unit += 1;
    }
    format!("{}{}", general(size, digits), units[unit])
}

/// Prints a number as C's `%.<digits>g`.
pub fn general(value: f64, digits: usize) -> String {
    let digits = digits.max(1);
    if value == 0.0 || !value.is_finite() {
        return format!("{value}");
    }
    let scientific = format!("{:.*e}", digits - 1, value);
    let Some((mantissa, exponent)) = scientific.split_once('e') else {
        return scientific;
    };
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let limit = i32::try_from(digits).unwrap_or(i32::MAX);
    if exponent < -4 || exponent >= limit {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{}e{sign}{:02}", trimmed(mantissa), exponent.abs());
    }
    let decimals = usize::try_from(limit - 1 - exponent).unwrap_or(0);
    trimmed(&format!("{value:.decimals$}")).to_owned()
}

fn trimmed(number: &str) -> &str {
    if number.contains('.') {
        number.trim_end_matches('0').trim_end_matches('.')
    } else {
        number
    }
}

/// Parses a size with base 1024: `512m`, `1g`, `1.5GiB`, `1024`.
pub fn parse_ram(text: &str) -> Option<i64> {
    parse_ram_or_reason(text).ok()
}

/// Parses a size with base 1024, or tells what is wrong in the words of Go's units package.
pub fn parse_ram_or_reason(text: &str) -> Result<i64, String> {
    let invalid = || format!("invalid size: '{text}'");
    let separator = text
        .rfind(|c: char| c.is_ascii_digit() || c == '.' || c == ' ')
        .ok_or_else(invalid)?;
    let (number, suffix) = if text.as_bytes()[separator] == b' ' {
        (&text[..separator], &text[separator + 1..])
    } else {
        text.split_at(separator + 1)
    };
    let size: f64 = number
        .parse()
        .map_err(|_| format!("strconv.ParseFloat: parsing {number:?}: invalid syntax"))?;
    if size < 0.0 {
        return Err(invalid());
    }
    let lower = suffix.to_ascii_lowercase();
    let bad = || format!("invalid suffix: '{lower}'");
    let power = match lower.as_str() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 1,
        "m" | "mb" | "mib" => 2,
        "g" | "gb" | "gib" => 3,
        "t" | "tb" | "tib" => 4,
        "p" | "pb" | "pib" => 5,
        _ => return Err(bad()),
    };
    #[expect(
        clippy::cast_possible_truncation,
        reason = "Go converts the float to int64 likewise; Rust saturates"
    )]
    Ok((size * 1024_f64.powi(power)) as i64)
}
