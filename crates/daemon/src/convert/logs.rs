//! Parameters of logs.

use std::time::SystemTime;

use engine::ops::container::logs::Logs;

use super::{invalid, time};
use crate::error::{Error, Result};
use crate::query::Query;

/// `GET /containers/{id}/logs`.
pub fn request(query: &Query) -> Result<Logs> {
    let (stdout, stderr) = (query.flag("stdout"), query.flag("stderr"));
    if !stdout && !stderr {
        return invalid("Bad parameters: you must choose at least one stream");
    }
    if query.flag("details") {
        return super::refused("parameter details");
    }
    let at = |name: &str| {
        time::parse(query.text(name))
            .map_err(|why| Error::Invalid(format!("invalid value for \"{name}\": {why}")))
    };
    let (since, until) = (at("since")?, at("until")?);
    Ok(Logs {
        stdout,
        stderr,
        since,
        until,
        tail: tail(query.text("tail")),
        follow: query.flag("follow"),
    })
}

/// moby's rule: `all` and nonsense mean all of it.
fn tail(text: &str) -> Option<usize> {
    text.parse().ok()
}

/// What attach with `logs=1` shows first.
pub fn attached(query: &Query, live: bool) -> Logs {
    let until = live.then(SystemTime::now);
    Logs {
        stdout: query.flag("stdout"),
        stderr: query.flag("stderr"),
        until,
        ..Logs::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_stream_must_be_chosen_and_tail_is_forgiving() {
        assert!(request(&Query::parse("follow=1")).is_err());
        let logs = request(&Query::parse("stdout=1&tail=5&follow=1")).unwrap();
        assert_eq!(
            (logs.tail, logs.follow, logs.stderr),
            (Some(5), true, false)
        );
        assert_eq!(
            request(&Query::parse("stderr=1&tail=all")).unwrap().tail,
            None
        );
        assert_eq!(
            request(&Query::parse("stderr=1&tail=-1")).unwrap().tail,
            None
        );
    }
}
