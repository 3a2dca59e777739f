//! `HostConfig.LogConfig`.

use engine::container::spec::{LogConfig, defaults};

use super::{invalid, refused};
use crate::error::{Error, Result};

/// Docker's drivers that are not built.
const NOT_BUILT: &[&str] = &[
    "local",
    "syslog",
    "journald",
    "gelf",
    "fluentd",
    "awslogs",
    "splunk",
    "etwlogs",
    "gcplogs",
    "logentries",
];
/// Options of json-file that are not built.
const NOT_BUILT_OPTIONS: &[&str] = &[
    "labels",
    "labels-regex",
    "env",
    "env-regex",
    "tag",
    "compress",
    "mode",
    "max-buffer-size",
];

/// A driver and its options.
pub fn convert(log: &api::host_config::LogConfig) -> Result<LogConfig> {
    let options = log.config.clone().unwrap_or_default();
    match log.kind.as_str() {
        "none" => Ok(LogConfig::None),
        "" | "json-file" => {
            let (mut max_size, mut max_files) = (defaults::LOG_MAX_SIZE, defaults::LOG_MAX_FILES);
            for (name, value) in &options {
                match name.as_str() {
                    "max-size" => max_size = size(value)?,
                    "max-file" => max_files = files(value)?,
                    known if NOT_BUILT_OPTIONS.contains(&known) => {
                        return refused(format!("log option {known}"));
                    }
                    unknown => {
                        return invalid(format!(
                            "unknown log opt '{unknown}' for json-file log driver"
                        ));
                    }
                }
            }
            Ok(LogConfig::JsonFile {
                max_size,
                max_files,
            })
        }
        known if NOT_BUILT.contains(&known) => refused(format!("log driver {known}")),
        unknown => invalid(format!(
            "logger: no log driver named '{unknown}' is registered"
        )),
    }
}

/// go-units' `FromHumanSize`: base 1000; -1 means no limit.
fn size(text: &str) -> Result<u64> {
    let error = || {
        Error::Invalid(format!(
            "invalid value for max-size: invalid size: '{text}'"
        ))
    };
    if text == "-1" {
        return Ok(0);
    }
    let lower = text.trim().to_ascii_lowercase();
    let digits = lower.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let power = match &lower[digits.len()..] {
        "" | "b" => 0,
        "k" | "kb" => 1,
        "m" | "mb" => 2,
        "g" | "gb" => 3,
        "t" | "tb" => 4,
        _ => return Err(error()),
    };
    let number: u64 = digits.trim().parse().map_err(|_| error())?;
    number
        .checked_mul(1000_u64.pow(power))
        .filter(|bytes| *bytes > 0)
        .ok_or_else(error)
}

fn files(text: &str) -> Result<u32> {
    match text.parse::<u32>() {
        Ok(0) => invalid("max-file cannot be less than 1"),
        Ok(count) => Ok(count),
        Err(_) => invalid(format!(
            "invalid value for max-file: strconv.Atoi: parsing \"{text}\": invalid syntax"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(kind: &str, options: &[(&str, &str)]) -> Result<LogConfig> {
        let config = options
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        convert(&api::host_config::LogConfig {
            kind: kind.to_owned(),
            config: Some(config),
        })
    }

    #[test]
    fn drivers_and_options_are_taken_refused_or_unknown() {
        assert_eq!(check("none", &[]).unwrap(), LogConfig::None);
        assert_eq!(
            check("json-file", &[("max-size", "10m"), ("max-file", "3")]).unwrap(),
            LogConfig::JsonFile {
                max_size: 10_000_000,
                max_files: 3
            }
        );
        let text = |kind, options: &[(&str, &str)]| check(kind, options).unwrap_err().to_string();
        assert_eq!(text("syslog", &[]), "log driver syslog is not implemented");
        assert_eq!(
            text("x", &[]),
            "logger: no log driver named 'x' is registered"
        );
        assert_eq!(
            text("", &[("mode", "non-blocking")]),
            "log option mode is not implemented"
        );
        assert_eq!(
            text("", &[("x", "1")]),
            "unknown log opt 'x' for json-file log driver"
        );
        assert!(
            check("", &[("max-size", "1q")]).is_err() && check("", &[("max-file", "0")]).is_err()
        );
    }
}
