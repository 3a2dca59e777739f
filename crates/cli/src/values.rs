//! What values flags take, by their Go type, and for some by their name; refusals in docker's words.

use std::net::IpAddr;

use crate::spec;
use crate::surface::Flag;

/// Checks a value as pflag does while it parses.
pub(crate) fn check(command: &str, flag: &Flag, value: &str) -> Result<(), String> {
    match flag.kind {
        "bool" => match boolean(value) {
            Some(_) => Ok(()),
            None => Err(format!(
                "strconv.ParseBool: parsing {value:?}: invalid syntax"
            )),
        },
        "int" | "int64" => signed(value),
        "uint" | "uint64" => unsigned(value, u64::MAX),
        "uint32" => unsigned(value, u64::from(u32::MAX)),
        "uint16" => unsigned(value, u64::from(u16::MAX)),
        "float" | "float64" => match value.parse::<f64>() {
            Ok(_) => Ok(()),
            Err(_) => Err(format!(
                "strconv.ParseFloat: parsing {value:?}: invalid syntax"
            )),
        },
        "bytes" if value == "-1" && flag.name == "memory-swap" => Ok(()),
        "bytes" => stdx::size::parse_ram_or_reason(value).map(drop),
        "decimal" => nano_cpus(value).map(drop),
        "duration" => match stdx::time::parse_go_duration(value) {
            Some(_) => Ok(()),
            None => Err(format!("time: invalid duration {value:?}")),
        },
        "filter" if !value.is_empty() && !value.contains('=') => {
            Err("bad format of filter (expected name=value)".to_owned())
        }
        "ulimit" => spec::ulimit::parse(value).map(drop),
        "gpu-request" => spec::device::gpus(value).map(drop),
        "mount" => spec::mount::parse(value).map(drop),
        "list" | "map" if makes_containers(command) => check_item(flag.name, value),
        _ => Ok(()),
    }
}

fn makes_containers(command: &str) -> bool {
    matches!(command.rsplit(' ').next(), Some("run" | "create" | "exec"))
        && !command.starts_with("service")
}

/// Items of the lists that describe a container.
fn check_item(name: &str, value: &str) -> Result<(), String> {
    match name {
        "env" if value.is_empty() || value.starts_with('=') => {
            Err(format!("invalid environment variable: {value}"))
        }
        "label" if value.is_empty() || value.starts_with('=') => {
            Err(format!("invalid label '{value}': empty name"))
        }
        "attach"
            if !["stdin", "stdout", "stderr"].contains(&value.to_ascii_lowercase().as_str()) =>
        {
            Err("valid streams are STDIN, STDOUT and STDERR".to_owned())
        }
        "add-host" => spec::extra_host(value).map(drop),
        "dns" if value.trim().parse::<IpAddr>().is_err() => {
            Err(format!("IP address is not correctly formatted: {value}"))
        }
        "sysctl" if !is_sysctl(value) => Err(format!("sysctl '{value}' is not allowed")),
        "device-cgroup-rule" if !is_device_rule(value) => {
            Err(format!("invalid device cgroup format '{value}'"))
        }
        "blkio-weight-device"
        | "device-read-bps"
        | "device-read-iops"
        | "device-write-bps"
        | "device-write-iops"
            if !value.contains(':') =>
        {
            Err(format!("bad format: {value}"))
        }
        _ => Ok(()),
    }
}

fn is_sysctl(value: &str) -> bool {
    const NAMES: [&str; 8] = [
        "kernel.msgmax",
        "kernel.msgmnb",
        "kernel.msgmni",
        "kernel.sem",
        "kernel.shmall",
        "kernel.shmmax",
        "kernel.shmmni",
        "kernel.shm_rmid_forced",
    ];
    value.split_once('=').is_some_and(|(name, _)| {
        NAMES.contains(&name) || name.starts_with("net.") || name.starts_with("fs.mqueue.")
    })
}

/// `[acb] major:minor rwm`, numbers or `*`.
fn is_device_rule(value: &str) -> bool {
    let words: Vec<&str> = value.split(' ').collect();
    let [kind, numbers, access] = words[..] else {
        return false;
    };
    let number =
        |text: &str| text == "*" || (!text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()));
    ["a", "c", "b"].contains(&kind)
        && numbers
            .split_once(':')
            .is_some_and(|(major, minor)| number(major) && number(minor))
        && (1..=3).contains(&access.len())
        && access.bytes().all(|byte| b"rwm".contains(&byte))
}

/// Go's `ParseBool`.
pub(crate) fn boolean(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

/// Go's `ParseInt` with base 0: decimal, `0x`, `0o` or `0`, `0b`.
pub(crate) fn integer(text: &str) -> Option<i64> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let magnitude = i128::from(magnitude(digits)?);
    i64::try_from(if negative { -magnitude } else { magnitude }).ok()
}

fn magnitude(digits: &str) -> Option<u64> {
    let lower = digits.to_ascii_lowercase();
    let (radix, digits) = match lower.get(..2) {
        Some("0x") => (16, &lower[2..]),
        Some("0o") => (8, &lower[2..]),
        Some("0b") => (2, &lower[2..]),
        _ if lower.len() > 1 && lower.starts_with('0') => (8, &lower[1..]),
        _ => (10, lower.as_str()),
    };
    if digits.starts_with(['+', '-']) {
        return None;
    }
    u64::from_str_radix(digits, radix).ok()
}

fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

fn signed(text: &str) -> Result<(), String> {
    let reason = if is_number(text) {
        "value out of range"
    } else {
        "invalid syntax"
    };
    integer(text)
        .map(drop)
        .ok_or_else(|| format!("strconv.ParseInt: parsing {text:?}: {reason}"))
}

fn unsigned(text: &str, max: u64) -> Result<(), String> {
    let out_of_range = is_number(text) && !text.starts_with(['-', '+']);
    let reason = if out_of_range {
        "value out of range"
    } else {
        "invalid syntax"
    };
    magnitude(text)
        .filter(|value| *value <= max)
        .map(drop)
        .ok_or_else(|| format!("strconv.ParseUint: parsing {text:?}: {reason}"))
}

/// Docker's `ParseCPUs`: a rational number of processors, in billionths.
pub(crate) fn nano_cpus(text: &str) -> Result<i64, String> {
    let bad = || format!("failed to parse {text} as a rational number");
    let (numerator, denominator) = text.split_once('/').unwrap_or((text, "1"));
    let denominator: i128 = denominator
        .parse()
        .ok()
        .filter(|value| *value > 0)
        .ok_or_else(bad)?;
    let (sign, digits) = match numerator.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, numerator.strip_prefix('+').unwrap_or(numerator)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if (whole.is_empty() && fraction.is_empty()) || !all_digits(whole) || !all_digits(fraction) {
        return Err(bad());
    }
    let fraction = fraction.trim_end_matches('0');
    if fraction.len() > 20 || whole.len() > 12 {
        return Err("value is too precise".to_owned());
    }
    let scale = 10_i128.pow(u32::try_from(fraction.len()).map_err(|_| bad())?);
    let digits: i128 = format!("{whole}{fraction}").parse().unwrap_or(0);
    let (billionths, scale) = (digits * 1_000_000_000, scale * denominator);
    if billionths % scale != 0 {
        return Err("value is too precise".to_owned());
    }
    i64::try_from(sign * billionths / scale).map_err(|_| bad())
}
