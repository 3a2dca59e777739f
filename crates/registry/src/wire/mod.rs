//! What both sides of the protocol say: paths, error documents, challenges, links, ranges, media types. Pure.

pub mod challenge;
pub mod errors;
pub mod link;
pub mod media;
pub mod path;
pub mod range;
mod scan;

pub use challenge::Challenge;
pub use errors::{Code, Errors};

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn headers_of_any_kind_are_read_or_left(text in "[ -~\\t]{0,200}", words in
            "((Bearer|Basic|realm|service|rel|next|bytes|[<>;,=\"\\\\/ 0-9-])[ ,=]?){0,30}")
        {
            for text in [text, words] {
                _ = challenge::parse(&text);
                _ = link::next(&text);
                _ = range::content_range(&text);
                _ = range::uploaded(&text);
            }
        }

        #[test]
        fn what_is_quoted_is_read_back(realm in "[ -~]{0,100}") {
            let quoted = realm.replace('\\', r"\\").replace('"', "\\\"");
            let found = challenge::parse(&format!("Bearer realm=\"{quoted}\",service=s, Basic realm=x"));
            let bearer = Challenge::Bearer {
                realm,
                service: "s".to_owned(),
                scope: String::new(),
                error: String::new(),
            };
            prop_assert_eq!(found, [bearer, Challenge::Basic]);
        }
    }
}
