//! Paths and queries, decoded as Go's router decodes them.

use std::collections::BTreeMap;

/// The parameters of a request; the first of several with one name counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query(Vec<(String, String)>);

impl Query {
    /// Decodes what follows the question mark.
    pub fn parse(text: &str) -> Self {
        let pairs = text.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (
                decode(&name.replace('+', " ")),
                decode(&value.replace('+', " ")),
            )
        });
        Self(pairs.collect())
    }

    /// The first value.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(found, _)| found == name)
            .map(|(_, value)| value.as_str())
    }

    /// The first value, or nothing.
    pub fn text(&self, name: &str) -> &str {
        self.get(name).unwrap_or_default()
    }

    /// All values.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0
            .iter()
            .filter(move |(found, _)| found == name)
            .map(|(_, value)| value.as_str())
    }

    /// moby's `BoolValue`: everything but a few words is true.
    pub fn flag(&self, name: &str) -> bool {
        self.flag_or(name, false)
    }

    /// The same, with what holds when the parameter is missing.
    pub fn flag_or(&self, name: &str, default: bool) -> bool {
        self.get(name).map_or(default, |value| {
            !matches!(
                value.trim().to_ascii_lowercase().as_str(),
                "" | "0" | "no" | "false" | "none"
            )
        })
    }

    /// A number; missing or nonsense: `None`.
    pub fn number(&self, name: &str) -> Option<i64> {
        self.get(name)?.parse().ok()
    }

    /// Docker's filters: `{"name":{"value":true}}` or, of old, `{"name":["value"]}`.
    pub fn filters(&self, name: &str) -> Result<BTreeMap<String, Vec<String>>, String> {
        #[derive(serde::Deserialize)]
        #[serde(untagged)]
        enum Values {
            Set(BTreeMap<String, bool>),
            List(Vec<String>),
        }
        let text = self.text(name);
        if text.is_empty() || text == "null" {
            return Ok(BTreeMap::new());
        }
        let parsed: BTreeMap<String, Values> =
            serde_json::from_str(text).map_err(|_| "invalid filter".to_owned())?;
        let values = |values| match values {
            Values::Set(set) => set
                .into_iter()
                .filter(|(_, on)| *on)
                .map(|(value, _)| value)
                .collect(),
            Values::List(list) => list,
        };
        Ok(parsed
            .into_iter()
            .map(|(name, found)| (name, values(found)))
            .collect())
    }
}

/// Undoes percent encoding; what is not valid stays as it is.
pub fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let hex = bytes
            .get(at + 1..at + 3)
            .and_then(|hex| std::str::from_utf8(hex).ok());
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(value) if byte == b'%' => {
                decoded.push(value);
                at += 3;
            }
            _ => {
                decoded.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_decoded_and_words_are_flags() {
        let query = Query::parse("a=1&b=x%2Fy+z&c&d=False&a=2&e=no&f=%zz");
        assert_eq!(
            (query.text("a"), query.text("b"), query.text("f")),
            ("1", "x/y z", "%zz")
        );
        assert!(query.flag("a") && query.flag("b"));
        assert!(!query.flag("c") && !query.flag("d") && !query.flag("e") && !query.flag("missing"));
        assert!(query.flag_or("missing", true));
        assert_eq!(query.all("a").collect::<Vec<_>>(), ["1", "2"]);
    }

    #[test]
    fn filters_come_in_both_forms() {
        let new =
            Query::parse("filters=%7B%22label%22%3A%7B%22a%3Db%22%3Atrue%2C%22c%22%3Afalse%7D%7D");
        let old = Query::parse("filters=%7B%22label%22%3A%5B%22a%3Db%22%5D%7D");
        let expected = BTreeMap::from([("label".to_owned(), vec!["a=b".to_owned()])]);
        assert_eq!(new.filters("filters"), Ok(expected.clone()));
        assert_eq!(old.filters("filters"), Ok(expected));
        assert!(Query::parse("filters=%5B%5D").filters("filters").is_err());
    }
}
