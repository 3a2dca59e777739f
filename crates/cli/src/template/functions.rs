//! The functions of templates: Go's and docker's.

use std::cmp::Ordering;

use super::Mode;
use super::printf;
use super::value::{Kind, Value};

const NAMES: [&str; 27] = [
    "and", "or", "not", "len", "index", "slice", "print", "printf", "println", "html", "js",
    "urlquery", "eq", "ne", "lt", "le", "gt", "ge", "call", "json", "split", "join", "title",
    "lower", "upper", "pad", "truncate",
];

/// Whether there is such a function.
pub(super) fn exists(name: &str) -> bool {
    NAMES.contains(&name)
}

/// Calls a function.
pub(super) fn call(name: &str, arguments: &[Value], mode: Mode) -> Result<Value, String> {
    let text = |text: String| Ok(Value::Text(text));
    if mode == Mode::Headings
        && [
            "json", "split", "join", "title", "lower", "upper", "truncate",
        ]
        .contains(&name)
    {
        return Ok(arguments
            .iter()
            .find(|value| matches!(value, Value::Text(_)))
            .cloned()
            .unwrap_or(Value::Missing));
    }
    match name {
        "and" | "or" => decide(name, arguments),
        "not" => Ok(Value::Bool(!one(arguments)?.is_true())),
        "len" => length(one(arguments)?),
        "index" => index(arguments),
        "slice" => slice(arguments),
        "print" => text(print(arguments)),
        "println" => text(arguments.iter().map(show).collect::<Vec<_>>().join(" ") + "\n"),
        "printf" => {
            let (format, rest) = arguments
                .split_first()
                .ok_or("wrong number of args for printf: want at least 1 got 0")?;
            text(printf::format(&string(format)?, rest))
        }
        "html" => text(escape_html(&print(arguments))),
        "js" => text(escape_js(&print(arguments))),
        "urlquery" => text(escape_query(&print(arguments))),
        "eq" | "ne" | "lt" | "le" | "gt" | "ge" => compare(name, arguments),
        "json" => text(one(arguments)?.json()),
        "call" => Err("call of a value that is not a function".to_owned()),
        _ => docker(name, arguments),
    }
}

fn one(arguments: &[Value]) -> Result<&Value, String> {
    match arguments {
        [value] => Ok(value),
        _ => Err(format!("want 1 got {}", arguments.len())),
    }
}

fn string(value: &Value) -> Result<String, String> {
    match value {
        Value::Text(text) => Ok(text.clone()),
        other => Err(format!(
            "wrong type for value; expected string; got {}",
            kind(other)
        )),
    }
}

fn whole(value: &Value) -> Result<usize, String> {
    match value {
        Value::Int(number) => {
            usize::try_from(*number).map_err(|_| format!("index out of range: {number}"))
        }
        other => Err(format!(
            "cannot index slice/array with type {}",
            kind(other)
        )),
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Missing | Value::Nil => "nil",
        Value::Bool(_) => "bool",
        Value::Int(_) => "int",
        Value::Float(_) => "float64",
        Value::Text(_) => "string",
        Value::List(_) | Value::NilList => "[]interface {}",
        Value::Object(_) | Value::NilMap => "map[string]interface {}",
    }
}

fn show(value: &Value) -> String {
    value.show()
}

/// Go's `Sprint`: blanks between operands neither of which is a string.
fn print(arguments: &[Value]) -> String {
    let mut text = String::new();
    for (index, value) in arguments.iter().enumerate() {
        let is_text = |value: &Value| matches!(value, Value::Text(_));
        if index > 0 && !is_text(value) && !is_text(&arguments[index - 1]) {
            text.push(' ');
        }
        text.push_str(&value.show());
    }
    text
}

fn decide(name: &str, arguments: &[Value]) -> Result<Value, String> {
    let stops = |value: &&Value| value.is_true() == (name == "or");
    let chosen = arguments.iter().find(stops).or(arguments.last());
    chosen
        .cloned()
        .ok_or_else(|| format!("wrong number of args for {name}: want at least 1 got 0"))
}

fn length(value: &Value) -> Result<Value, String> {
    let length = match value {
        Value::Text(text) => text.len(),
        Value::List(list) => list.len(),
        Value::Object(object) => object.fields.len(),
        Value::NilList | Value::NilMap => 0,
        Value::Nil | Value::Missing => return Err("len of nil pointer".to_owned()),
        other => return Err(format!("len of type {}", kind(other))),
    };
    Ok(Value::Int(i64::try_from(length).unwrap_or(i64::MAX)))
}

fn index(arguments: &[Value]) -> Result<Value, String> {
    let (item, keys) = arguments
        .split_first()
        .ok_or("wrong number of args for index: want at least 1 got 0")?;
    keys.iter().try_fold(item.clone(), |item, key| match &item {
        Value::List(list) => {
            let at = whole(key)?;
            list.get(at)
                .cloned()
                .ok_or_else(|| format!("reflect: slice index out of range: {at}"))
        }
        Value::Text(text) => {
            let at = whole(key)?;
            text.as_bytes()
                .get(at)
                .map(|byte| Value::Int(i64::from(*byte)))
                .ok_or_else(|| format!("index out of range: {at}"))
        }
        // A map of strings gives the empty string for what it has not.
        Value::Object(object) => Ok(item.field(&string(key)?).cloned().unwrap_or_else(|| {
            let texts = object
                .fields
                .iter()
                .all(|(_, value)| matches!(value, Value::Text(_)));
            if object.kind == Kind::Map && texts {
                Value::Text(String::new())
            } else {
                Value::Missing
            }
        })),
        Value::NilMap => Ok(Value::Text(String::new())),
        Value::NilList => Err(format!(
            "reflect: slice index out of range: {}",
            whole(key)?
        )),
        Value::Nil | Value::Missing => Err("index of untyped nil".to_owned()),
        other => Err(format!("can't index item of type {}", kind(other))),
    })
}

fn slice(arguments: &[Value]) -> Result<Value, String> {
    let (item, bounds) = arguments
        .split_first()
        .ok_or("wrong number of args for slice: want at least 1 got 0")?;
    let bounds: Vec<usize> = bounds.iter().map(whole).collect::<Result<_, _>>()?;
    let size = match item {
        Value::Text(text) => text.len(),
        Value::List(list) => list.len(),
        other => return Err(format!("can't slice item of type {}", kind(other))),
    };
    let (from, to) = (
        bounds.first().copied().unwrap_or(0),
        bounds.get(1).copied().unwrap_or(size),
    );
    if from > to || to > size {
        return Err(format!(
            "index out of range: {}",
            if to > size { to } else { from }
        ));
    }
    Ok(match item {
        Value::Text(text) => {
            Value::Text(String::from_utf8_lossy(&text.as_bytes()[from..to]).into_owned())
        }
        Value::List(list) => Value::List(list[from..to].to_vec()),
        _ => Value::Missing,
    })
}

fn compare(name: &str, arguments: &[Value]) -> Result<Value, String> {
    let [first, rest @ ..] = arguments else {
        return Err("missing argument for comparison".to_owned());
    };
    if rest.is_empty() {
        return Err("missing argument for comparison".to_owned());
    }
    if name == "eq" {
        for other in rest {
            if equal(first, other)? {
                return Ok(Value::Bool(true));
            }
        }
        return Ok(Value::Bool(false));
    }
    if rest.len() > 1 {
        return Err(format!(
            "wrong number of args for {name}: want 2 got {}",
            arguments.len()
        ));
    }
    if name == "ne" {
        return Ok(Value::Bool(!equal(first, &rest[0])?));
    }
    let order = order(first, &rest[0])?;
    Ok(Value::Bool(match name {
        "lt" => order == Ordering::Less,
        "le" => order != Ordering::Greater,
        "gt" => order == Ordering::Greater,
        _ => order != Ordering::Less,
    }))
}

fn equal(first: &Value, second: &Value) -> Result<bool, String> {
    let nil = |value: &Value| matches!(value, Value::Nil | Value::Missing);
    match (first, second) {
        (Value::List(_) | Value::Object(_) | Value::NilList | Value::NilMap, _)
        | (_, Value::List(_) | Value::Object(_) | Value::NilList | Value::NilMap) => {
            Err("non-comparable type".to_owned())
        }
        _ if nil(first) || nil(second) => Ok(nil(first) && nil(second)),
        _ if std::mem::discriminant(first) == std::mem::discriminant(second) => Ok(first == second),
        _ => Err("incompatible types for comparison".to_owned()),
    }
}

fn order(first: &Value, second: &Value) -> Result<Ordering, String> {
    match (first, second) {
        (Value::Int(a), Value::Int(b)) => Ok(a.cmp(b)),
        (Value::Float(a), Value::Float(b)) => Ok(a.partial_cmp(b).unwrap_or(Ordering::Equal)),
        (Value::Text(a), Value::Text(b)) => Ok(a.cmp(b)),
        _ if std::mem::discriminant(first) == std::mem::discriminant(second) => {
            Err("invalid type for comparison".to_owned())
        }
        _ => Err("incompatible types for comparison".to_owned()),
    }
}

/// The functions that docker adds.
fn docker(name: &str, arguments: &[Value]) -> Result<Value, String> {
    let text = |text: String| Ok(Value::Text(text));
    match (name, arguments) {
        ("split", [subject, separator]) => {
            let (subject, separator) = (string(subject)?, string(separator)?);
            let parts: Vec<String> = if separator.is_empty() {
                subject.chars().map(String::from).collect()
            } else {
                subject.split(&separator).map(str::to_owned).collect()
            };
            Ok(Value::List(parts.into_iter().map(Value::Text).collect()))
        }
        ("join", [Value::NilList, _]) => text(String::new()),
        ("join", [Value::List(list), separator]) => text(
            list.iter()
                .map(show)
                .collect::<Vec<_>>()
                .join(&string(separator)?),
        ),
        ("title", [subject]) => text(title(&string(subject)?)),
        ("lower", [subject]) => text(string(subject)?.to_lowercase()),
        ("upper", [subject]) => text(string(subject)?.to_uppercase()),
        ("pad", [subject, before, after]) => {
            let subject = string(subject)?;
            if subject.is_empty() {
                return text(subject);
            }
            text(format!(
                "{}{subject}{}",
                " ".repeat(whole(before)?),
                " ".repeat(whole(after)?)
            ))
        }
        ("truncate", [subject, limit]) => {
            let (subject, limit) = (string(subject)?, whole(limit)?);
            if subject.len() < limit {
                return text(subject);
            }
            text(String::from_utf8_lossy(&subject.as_bytes()[..limit]).into_owned())
        }
        _ => Err(format!(
            "wrong number of args for {name}: got {}",
            arguments.len()
        )),
    }
}

/// The first letter of each word in upper case.
fn title(text: &str) -> String {
    let mut before = ' ';
    text.chars()
        .map(|letter| {
            let starts = !(before.is_alphanumeric() || before == '_' || before == '\'');
            before = letter;
            if starts {
                letter.to_uppercase().next().unwrap_or(letter)
            } else {
                letter
            }
        })
        .collect()
}

fn escape_html(text: &str) -> String {
    let mut escaped = String::new();
    for letter in text.chars() {
        match letter {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '\'' => escaped.push_str("&#39;"),
            '"' => escaped.push_str("&#34;"),
            '\0' => escaped.push('\u{fffd}'),
            other => escaped.push(other),
        }
    }
    escaped
}

fn escape_js(text: &str) -> String {
    let mut escaped = String::new();
    for letter in text.chars() {
        match letter {
            '\\' | '\'' | '"' => escaped.extend(['\\', letter]),
            '<' | '>' | '&' | '=' => escaped.push_str(&format!("\\u{:04X}", u32::from(letter))),
            control if control < ' ' => escaped.push_str(&format!("\\u{:04X}", u32::from(control))),
            other => escaped.push(other),
        }
    }
    escaped
}

fn escape_query(text: &str) -> String {
    let mut escaped = String::new();
    for byte in text.bytes() {
        match byte {
            b' ' => escaped.push('+'),
            byte if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) => {
                escaped.push(char::from(byte));
            }
            byte => escaped.push_str(&format!("%{byte:02X}")),
        }
    }
    escaped
}
