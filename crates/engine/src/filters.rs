//! Docker's filters: names with values, of which one must match; all names must match.

use std::collections::BTreeMap;
use std::time::SystemTime;

use crate::error::{Error, Result};

/// Filters as they came, their names checked where they are used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filters(BTreeMap<String, Vec<String>>);

impl Filters {
    /// From names and values.
    pub fn new(filters: BTreeMap<String, Vec<String>>) -> Self {
        Self(filters)
    }

    /// Fails if a filter is not one of those that the caller knows.
    pub fn allow(&self, known: &[&str]) -> Result<()> {
        match self.0.keys().find(|name| !known.contains(&name.as_str())) {
            Some(name) => Err(Error::Invalid(format!("invalid filter '{name}'"))),
            None => Ok(()),
        }
    }

    /// The values of one filter; empty: it was not given.
    pub fn values(&self, name: &str) -> &[String] {
        self.0.get(name).map_or(&[], Vec::as_slice)
    }

    /// One filter: not given, or one of its values matches.
    pub fn any(&self, name: &str, matches: impl Fn(&str) -> bool) -> bool {
        let values = self.values(name);
        values.is_empty() || values.iter().any(|value| matches(value))
    }

    /// One filter whose values must all match: labels.
    pub fn every(&self, name: &str, matches: impl Fn(&str) -> bool) -> bool {
        self.values(name).iter().all(|value| matches(value))
    }

    /// `label` and `label!`: `key` or `key=value`, all of them.
    pub fn labels(&self, labels: &BTreeMap<String, String>) -> bool {
        self.every("label", |wanted| has_label(labels, wanted))
            && self.every("label!", |not| !has_label(labels, not))
    }

    /// A filter with a boolean: `true`, `1`, `false`, `0`.
    pub fn boolean(&self, name: &str) -> Result<Option<bool>> {
        let mut found = None;
        for value in self.values(name) {
            found = Some(match value.as_str() {
                "1" | "true" | "True" | "TRUE" | "t" | "T" => true,
                "0" | "false" | "False" | "FALSE" | "f" | "F" => false,
                _ => return Err(Error::Invalid(format!("invalid filter '{name}=[{value}]'"))),
            });
        }
        Ok(found)
    }

    /// The time that `until` sets as a bound: a duration before now, or a time.
    pub fn until(&self) -> Result<Option<SystemTime>> {
        if self.values("until").len() > 1 {
            let why = "more than one until filter specified";
            return Err(Error::Invalid(why.to_owned()));
        }
        self.earliest("until")
    }

    /// The earliest of several such times.
    pub fn earliest(&self, name: &str) -> Result<Option<SystemTime>> {
        let mut earliest = None;
        for value in self.values(name) {
            let time = stdx::time::parse_timestamp(value, SystemTime::now()).ok_or_else(|| {
                let why = format!("failed to parse value as time or duration: {value:?}");
                Error::Invalid(why)
            })?;
            earliest = Some(earliest.map_or(time, |before: SystemTime| before.min(time)));
        }
        Ok(earliest)
    }
}

fn has_label(labels: &BTreeMap<String, String>, wanted: &str) -> bool {
    match wanted.split_once('=') {
        Some((key, value)) => labels.get(key).is_some_and(|found| found == value),
        None => labels.contains_key(wanted),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filters(pairs: &[(&str, &[&str])]) -> Filters {
        let one = |(name, values): &(&str, &[&str])| {
            (
                (*name).to_owned(),
                values.iter().map(|v| (*v).to_owned()).collect(),
            )
        };
        Filters::new(pairs.iter().map(one).collect())
    }

    #[test]
    fn all_labels_must_match_but_one_value_is_enough_elsewhere() {
        let labels = BTreeMap::from([
            ("a".to_owned(), "1".to_owned()),
            ("b".to_owned(), String::new()),
        ]);
        assert!(filters(&[("label", &["a=1", "b"])]).labels(&labels));
        assert!(!filters(&[("label", &["a=1", "c"])]).labels(&labels));
        assert!(!filters(&[("label!", &["a"])]).labels(&labels));
        assert!(
            filters(&[("status", &["running", "exited"])]).any("status", |value| value == "exited")
        );
    }

    #[test]
    fn until_is_one_time() {
        let bound = filters(&[("until", &["1700000000"])]).until();
        let expected = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_700_000_000);
        assert_eq!(bound.unwrap(), Some(expected));
        assert_eq!(filters(&[]).until().unwrap(), None);
        for (values, message) in [
            (
                &["x"][..],
                "failed to parse value as time or duration: \"x\"",
            ),
            (&["1h", "2h"], "more than one until filter specified"),
        ] {
            let error = filters(&[("until", values)]).until().unwrap_err();
            assert_eq!(error.to_string(), message);
        }
    }

    #[test]
    fn unknown_names_and_values_are_refused() {
        assert_eq!(
            filters(&[("x", &[])])
                .allow(&["y"])
                .unwrap_err()
                .to_string(),
            "invalid filter 'x'"
        );
        assert!(
            filters(&[("dangling", &["maybe"])])
                .boolean("dangling")
                .is_err()
        );
    }
}
