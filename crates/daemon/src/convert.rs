//! The border: wire to domain and back. Parsing happens here, once; what is not built is refused here, whoever asks
//! (`fields`, `create`); what differs by version is filled or cleared here.

use engine::container::Signal;
use engine::filters::Filters;
use engine::ops::container::attach::Attach;
use engine::ops::container::stop::Stop;
use engine::ops::container::wait::{Condition, Waited};

use crate::error::{Error, Result};
use crate::query::Query;
use crate::request::Request;

pub mod create;
pub mod events;
pub mod exec;
pub mod fields;
pub mod images;
pub mod inspect;
pub mod keys;
pub mod list;
pub mod log_config;
pub mod logs;
pub mod mounts;
pub mod networks;
pub mod ports;
pub mod registry;
pub mod resources;
pub mod security;
pub mod system;
pub mod time;

/// An error about the request, in Docker's words.
pub(crate) fn invalid<T>(text: impl Into<String>) -> Result<T> {
    Err(Error::Invalid(text.into()))
}

/// A refusal that names what is missing.
pub(crate) fn refused<T>(what: impl Into<String>) -> Result<T> {
    Err(Error::NotImplemented(what.into()))
}

/// A signal by name or number; empty: none given.
pub fn signal(text: &str) -> Result<Option<Signal>> {
    if text.is_empty() {
        return Ok(None);
    }
    text.parse()
        .map(Some)
        .map_err(|error: engine::container::signal::InvalidSignal| {
            Error::Invalid(error.to_string())
        })
}

/// Parameters of stop and restart.
pub fn stop(request: &Request) -> Result<Stop> {
    let wanted = if request.version.at_least(42) {
        request.query.text("signal")
    } else {
        ""
    };
    let timeout = match request.query.text("t") {
        "" => None,
        text => match text.parse() {
            Ok(seconds) => Some(seconds),
            Err(_) => return invalid(format!("strconv.Atoi: parsing \"{text}\": invalid syntax")),
        },
    };
    Ok(Stop {
        signal: signal(wanted)?,
        timeout,
    })
}

/// Rows and columns of a resize.
pub fn size(query: &Query) -> Result<(u16, u16)> {
    let number = |name: &str| {
        let text = query.text(name);
        text.parse::<u16>().map_err(|_| {
            let why = if text.bytes().all(|byte| byte.is_ascii_digit()) && !text.is_empty() {
                "value out of range"
            } else {
                "invalid syntax"
            };
            Error::Invalid(format!(
                "invalid resize {} \"{text}\": {why}",
                if name == "h" { "height" } else { "width" }
            ))
        })
    };
    Ok((number("h")?, number("w")?))
}

/// What a client waits for.
pub fn wait_condition(text: &str) -> Result<Condition> {
    match text {
        "" | "not-running" => Ok(Condition::NotRunning),
        "next-exit" => Ok(Condition::NextExit),
        "removed" => Ok(Condition::Removed),
        other => invalid(format!("invalid condition: \"{other}\"")),
    }
}

/// The answer to a wait.
pub fn waited(waited: Waited) -> api::container::WaitResponse {
    let error = waited
        .error
        .map(|message| api::container::WaitError { message });
    api::container::WaitResponse {
        status_code: i64::from(waited.code),
        error,
    }
}

/// Parameters of attach.
pub fn attach(query: &Query) -> Result<Attach> {
    Ok(Attach {
        stdin: query.flag("stdin"),
        stdout: query.flag("stdout"),
        stderr: query.flag("stderr"),
        detach_keys: keys::parse(query.text("detachKeys"))?,
    })
}

/// The `filters` parameter.
pub fn filters(query: &Query) -> Result<Filters> {
    query
        .filters("filters")
        .map(Filters::new)
        .map_err(Error::Invalid)
}
