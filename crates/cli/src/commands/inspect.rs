//! `inspect` of containers, images and networks: JSON as the daemon wrote it, or a template over it.

use client::{Client, Method, Request, query};
use stdx::ErrorKind;

use super::segment;
use crate::flags::Given;
use crate::report::{self, Failure, Outcome};
use crate::session::Session;
use crate::template::{Mode, Template, Value};

/// `inspect [OPTIONS] NAME|ID…` and its forms for one kind of object.
pub(crate) async fn inspect(session: &Session, path: &str, given: &Given) -> Outcome {
    let kind = match path.split_once(' ') {
        Some((kind, _)) => kind,
        None => given.get("type").unwrap_or_default(),
    };
    let kinds = kinds(session, kind)?;
    let template = match given
        .get("format")
        .filter(|format| !format.is_empty() && *format != "json")
    {
        None => None,
        Some(source) => Some(Template::parse(source).map_err(|error| {
            Failure::new(format!("template parsing error: {error}")).with_code(64)
        })?),
    };
    let platform = given.get("platform").filter(|text| !text.is_empty());
    let platform = platform.map(crate::platform::json).transpose();
    let platform = platform.map_err(Failure::new)?;
    let asked = Asked {
        kinds,
        size: given.is("size"),
        any: kind.is_empty(),
        platform,
    };
    let client = session.client().await?;
    let mut found = Vec::new();
    let mut failures = Vec::new();
    for name in &given.args {
        match fetch(client, &asked, name).await {
            Err(failure) => failures.push(failure.text),
            Ok(json) => match &template {
                None => found.push(json),
                Some(template) => match fill(template, &json) {
                    Ok(text) => report::print(&format!("{text}\n")),
                    Err(failure) => failures.push(failure.text),
                },
            },
        }
    }
    if template.is_none() {
        report::print(&if given.get("format") == Some("json") {
            compact(&found)
        } else {
            indented(&found)
        });
    } else if found.is_empty() && !failures.is_empty() && failures.len() == given.args.len() {
        report::print("\n");
    }
    if failures.is_empty() {
        Ok(0)
    } else {
        Err(Failure::new(failures.join("\n")))
    }
}

/// The kinds of object a name may be of, in docker's order.
fn kinds(session: &Session, kind: &str) -> Result<Vec<&'static str>, Failure> {
    match kind {
        "" => Ok(vec!["container", "image", "network"]),
        "container" => Ok(vec!["container"]),
        "image" => Ok(vec!["image"]),
        "network" => Ok(vec!["network"]),
        "config" | "node" | "plugin" | "secret" | "service" | "task" | "volume" => Err(
            Failure::unbuilt(session.program, &format!("'inspect --type {kind}'")),
        ),
        other => Err(Failure::new(format!(
            "unknown type: {other:?}: must be one of \"config\", \"container\", \"image\", \"network\", \"node\", \
             \"plugin\", \"secret\", \"service\", \"task\", \"volume\""
        ))),
    }
}

/// What is asked for by each name.
struct Asked {
    kinds: Vec<&'static str>,
    size: bool,
    /// The first kind that has the name is meant.
    any: bool,
    /// Of an image, as the API takes it.
    platform: Option<String>,
}

async fn fetch(client: &Client, asked: &Asked, name: &str) -> Result<Vec<u8>, Failure> {
    for kind in &asked.kinds {
        let name = segment(name);
        let path = match *kind {
            "container" if asked.size => format!("/containers/{name}/json?size=1"),
            "container" => format!("/containers/{name}/json"),
            "image" => {
                let platform = asked.platform.as_deref();
                let pairs: Vec<(&str, &str)> =
                    platform.map(|it| ("platform", it)).into_iter().collect();
                query(&format!("/images/{name}/json"), &pairs)
            }
            _ => format!("/networks/{name}"),
        };
        match client.send(Request::new(Method::Get, path)).await {
            Ok(mut response) => return Ok(response.body.collect().await?),
            Err(error)
                if asked.any
                    && matches!(
                        error.kind(),
                        ErrorKind::NotFound | ErrorKind::Invalid | ErrorKind::Unsupported
                    ) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(Failure::new(format!("Error: No such object: {name}")))
}

fn fill(template: &Template, json: &[u8]) -> Result<String, Failure> {
    let value = Value::from_json(json)
        .map_err(|error| Failure::new(format!("unable to read inspect data: {error}")))?;
    template
        .render(&value, Mode::Values)
        .map_err(|error| Failure::new(format!("template parsing error: {error}")))
}

fn compact(objects: &[Vec<u8>]) -> String {
    let objects: Vec<String> = objects
        .iter()
        .map(|json| String::from_utf8_lossy(json).trim().to_owned())
        .collect();
    format!("[{}]\n", objects.join(","))
}

fn indented(objects: &[Vec<u8>]) -> String {
    indent(compact(objects).trim_end()) + "\n"
}

/// Go's `json.Indent` with four blanks: nothing but the blanks between tokens is changed.
fn indent(json: &str) -> String {
    let mut text = String::with_capacity(json.len() * 2);
    let mut depth = 0_usize;
    let mut in_string = false;
    let mut escaped = false;
    let mut fresh = false;
    let newline = |text: &mut String, depth: usize| {
        text.push('\n');
        text.push_str(&"    ".repeat(depth));
    };
    for letter in json.chars() {
        if in_string {
            text.push(letter);
            in_string = escaped || letter != '"';
            escaped = letter == '\\' && !escaped;
            continue;
        }
        if letter.is_ascii_whitespace() {
            continue;
        }
        if fresh && letter != ']' && letter != '}' {
            newline(&mut text, depth);
        }
        match letter {
            '{' | '[' => {
                depth += 1;
                text.push(letter);
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                if !fresh {
                    newline(&mut text, depth);
                }
                text.push(letter);
            }
            ',' => {
                text.push(',');
                newline(&mut text, depth);
            }
            ':' => text.push_str(": "),
            other => {
                in_string = other == '"';
                text.push(other);
            }
        }
        fresh = letter == '{' || letter == '[';
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_indented_as_by_go() {
        let json = br#"{"a":[],"b":{},"c":[1,{"d":"x,\"{"}]}"#.to_vec();
        let expect = "[\n    {\n        \"a\": [],\n        \"b\": {},\n        \"c\": [\n            1,\n            \
                      {\n                \"d\": \"x,\\\"{\"\n            }\n        ]\n    }\n]\n";
        assert_eq!(indented(&[json]), expect);
        assert_eq!(indented(&[]), "[]\n");
    }
}
