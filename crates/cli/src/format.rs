//! `--format` of listings: `table …`, `json`, or a template, over docker's contexts.

use crate::report::Failure;
use crate::table;
use crate::template::{Mode, Template, Value};

/// What is listed, and how it looks unless told otherwise.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Listing {
    /// The columns as a template.
    pub(crate) columns: &'static str,
    /// The heading of each field.
    pub(crate) headings: &'static [(&'static str, &'static str)],
    /// The Go type whose fields they are.
    pub(crate) type_name: &'static str,
}

/// Prints rows, each made when its turn has come. `format` is the user's, `quiet` asks for ids alone.
pub(crate) fn render(
    listing: Listing,
    format: Option<&str>,
    quiet: bool,
    rows: impl IntoIterator<Item = Value>,
) -> Result<String, Failure> {
    let format = format.unwrap_or("table").trim();
    let (is_table, source) = match format {
        "table" if quiet => (false, "{{.ID}}".to_owned()),
        "table" => (true, listing.columns.to_owned()),
        "json" => (false, "{{json .}}".to_owned()),
        _ => match format.strip_prefix("table") {
            Some(columns)
                if columns.starts_with([' ', '\t', '{']) || columns.starts_with("\\t") =>
            {
                (true, columns.trim_matches(' ').to_owned())
            }
            _ => (false, format.to_owned()),
        },
    };
    let source = source.replace("\\t", "\t").replace("\\n", "\n");
    // Docker's list of containers says it in words of its own.
    let (unread, unfilled) = match listing.type_name {
        "*formatter.ContainerContext" => ("failed to parse template", "failed to execute template"),
        _ => ("template parsing error", "template parsing error"),
    };
    let template =
        Template::parse(&source).map_err(|error| Failure::new(format!("{unread}: {error}")))?;
    let fill = |value: &Value, mode| {
        template
            .render(value, mode)
            .map_err(|error| Failure::new(format!("{unfilled}: {error}")))
    };
    let mut text = String::new();
    for row in rows {
        text.push_str(&fill(&row, Mode::Values)?);
        text.push('\n');
    }
    if !is_table {
        return Ok(text);
    }
    let headings = listing
        .headings
        .iter()
        .map(|(name, heading)| (*name, (*heading).to_owned()))
        .collect();
    let labels = label_headings(&source);
    let headings = Value::structure(listing.type_name, headings).with_map("Label", labels);
    let heading = fill(&headings, Mode::Headings)?;
    Ok(table::layout(&format!("{heading}\n{text}")))
}

/// Prints one value, not a list: no headings, no columns, no line feed of its own.
pub(crate) fn whole(format: &str, value: &Value) -> Result<String, Failure> {
    let source = match format {
        "json" => "{{json .}}",
        _ => format.strip_prefix("table").unwrap_or(format),
    };
    let source = source
        .trim_matches(' ')
        .replace("\\t", "\t")
        .replace("\\n", "\n");
    let template = Template::parse(&source)
        .map_err(|error| Failure::new(format!("template parsing error: {error}")))?;
    template.render(value, Mode::Values).map_err(Failure::new)
}

/// `{{.Label "com.example.some_name"}}` heads its column with `some name`.
fn label_headings(source: &str) -> Vec<(String, String)> {
    let names = source
        .split(".Label \"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next());
    names
        .map(|name| {
            let heading = name
                .rsplit('.')
                .next()
                .unwrap_or(name)
                .replace(['-', '_'], " ");
            (name.to_owned(), heading)
        })
        .collect()
}

/// The first twelve letters of an id.
pub(crate) fn short_id(id: &str) -> &str {
    let id = id.split_once(':').map_or(id, |(_, hex)| hex);
    id.get(..12).unwrap_or(id)
}

/// `--filter` flags as the API takes them: `{"name":{"web":true}}`; none when there are none.
pub(crate) fn filters(list: &[String]) -> Option<String> {
    let mut filters = serde_json::Map::new();
    for filter in list {
        let Some((name, value)) = filter.split_once('=') else {
            continue;
        };
        let values = filters
            .entry(name.trim().to_lowercase())
            .or_insert_with(|| serde_json::json!({}));
        if let Some(values) = values.as_object_mut() {
            values.insert(value.trim().to_owned(), true.into());
        }
    }
    (!filters.is_empty()).then(|| serde_json::Value::Object(filters).to_string())
}

/// A time as Go prints it by itself: `2026-01-02 15:04:05 +0000 UTC`.
pub(crate) fn go_time(unix: i64) -> String {
    let Ok(time) = jiff::Timestamp::from_second(unix) else {
        return String::new();
    };
    time.to_zoned(stdx::time::local_zone())
        .strftime("%Y-%m-%d %H:%M:%S %z %Z")
        .to_string()
}

/// A time by RFC 3339, in the local zone.
pub(crate) fn rfc3339(unix: i64) -> String {
    let Ok(time) = jiff::Timestamp::from_second(unix) else {
        return String::new();
    };
    time.to_zoned(stdx::time::local_zone())
        .strftime("%Y-%m-%dT%H:%M:%S%:z")
        .to_string()
        .replace("+00:00", "Z")
}

/// How long ago: `2 hours`.
pub(crate) fn age(unix: i64) -> String {
    let then = u64::try_from(unix).unwrap_or(0);
    let then = std::time::UNIX_EPOCH + std::time::Duration::from_secs(then);
    stdx::time::human_duration(
        std::time::SystemTime::now()
            .duration_since(then)
            .unwrap_or_default(),
    )
}

/// Prints a size as listings do: `1.09MB`.
pub(crate) fn size(bytes: i64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "three digits are printed")]
    let bytes = bytes as f64;
    stdx::size::human_size_with_precision(bytes, 3)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LISTING: Listing = Listing {
        columns: "{{.ID}}\t{{.Name}}",
        headings: &[("ID", "CONTAINER ID"), ("Name", "NAMES")],
        type_name: "*formatter.ContainerContext",
    };

    fn render_one(format: Option<&str>, quiet: bool) -> Result<String, String> {
        let row = Value::structure(
            LISTING.type_name,
            vec![("Name", "web".to_owned()), ("ID", "abc".to_owned())],
        )
        .with_map("Label", [("a.b".to_owned(), "1".to_owned())]);
        render(LISTING, format, quiet, [row]).map_err(|failure| failure.text)
    }

    #[test]
    fn listings_follow_their_format() {
        for (format, quiet, expect) in [
            (None, false, "CONTAINER ID   NAMES\nabc            web\n"),
            (None, true, "abc\n"),
            (Some("json"), false, "{\"ID\":\"abc\",\"Name\":\"web\"}\n"),
            (Some("{{.Name}}:{{.ID}}"), false, "web:abc\n"),
            (
                Some("table {{.Name}}\\t{{lower .ID}}"),
                false,
                "NAMES     CONTAINER ID\nweb       abc\n",
            ),
            (Some("table {{.Label \"a.b\"}}"), false, "b\n1\n"),
            (Some("{{.Label \"none\"}}"), false, "\n"),
        ] {
            assert_eq!(
                render_one(format, quiet).as_deref(),
                Ok(expect),
                "{format:?}"
            );
        }
        assert_eq!(
            render_one(Some("{{.Foo}}"), false).unwrap_err(),
            "failed to execute template: template: :1:2: executing \"\" at <.Foo>: \
             can't evaluate field Foo in type *formatter.ContainerContext"
        );
    }

    #[test]
    fn filters_are_sets_by_name() {
        let list = [
            "label=a=b".to_owned(),
            "label=c".to_owned(),
            "Name = x".to_owned(),
        ];
        assert_eq!(
            filters(&list).as_deref(),
            Some(r#"{"label":{"a=b":true,"c":true},"name":{"x":true}}"#)
        );
        assert_eq!(filters(&[]), None);
    }
}
