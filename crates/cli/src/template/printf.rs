//! Go's `Sprintf` for the values of templates.

use super::value::Value;

/// Flags, width and precision before a verb.
#[derive(Debug, Default)]
struct Layout {
    minus: bool,
    zero: bool,
    plus: bool,
    sharp: bool,
    width: usize,
    precision: Option<usize>,
}

/// Formats values.
pub(super) fn format(format: &str, arguments: &[Value]) -> String {
    let mut output = String::new();
    let mut arguments = arguments.iter();
    let mut letters = format.chars().peekable();
    while let Some(letter) = letters.next() {
        if letter != '%' {
            output.push(letter);
            continue;
        }
        let layout = layout(&mut letters, &mut arguments);
        match letters.next() {
            None => output.push_str("%!(NOVERB)"),
            Some('%') => output.push('%'),
            Some(verb) => match arguments.next() {
                None => output.push_str(&format!("%!{verb}(MISSING)")),
                Some(value) => output.push_str(&pad(&convert(verb, value, &layout), &layout)),
            },
        }
    }
    let extra: Vec<String> = arguments
        .map(|value| format!("{}={}", go_type(value), value.show()))
        .collect();
    if !extra.is_empty() {
        output.push_str(&format!("%!(EXTRA {})", extra.join(", ")));
    }
    output
}

fn layout(
    letters: &mut std::iter::Peekable<std::str::Chars<'_>>,
    arguments: &mut std::slice::Iter<'_, Value>,
) -> Layout {
    let mut layout = Layout::default();
    while let Some(flag) = letters.next_if(|letter| "-0+# ".contains(*letter)) {
        match flag {
            '-' => layout.minus = true,
            '0' => layout.zero = true,
            '+' => layout.plus = true,
            '#' => layout.sharp = true,
            _ => {}
        }
    }
    layout.width = number(letters, arguments).unwrap_or(0);
    if letters.next_if_eq(&'.').is_some() {
        layout.precision = Some(number(letters, arguments).unwrap_or(0));
    }
    layout
}

fn number(
    letters: &mut std::iter::Peekable<std::str::Chars<'_>>,
    arguments: &mut std::slice::Iter<'_, Value>,
) -> Option<usize> {
    if letters.next_if_eq(&'*').is_some() {
        return match arguments.next() {
            Some(Value::Int(number)) => usize::try_from(*number).ok(),
            _ => None,
        };
    }
    let mut digits = String::new();
    while let Some(digit) = letters.next_if(char::is_ascii_digit) {
        digits.push(digit);
    }
    // No terminal is wider.
    digits.parse().ok().map(|number: usize| number.min(10_000))
}

fn convert(verb: char, value: &Value, layout: &Layout) -> String {
    let precision = layout.precision;
    let cut = |text: &str| {
        text.chars()
            .take(precision.unwrap_or(usize::MAX))
            .collect::<String>()
    };
    match (verb, value) {
        ('v', Value::Text(text)) if layout.sharp => format!("{text:?}"),
        ('v' | 'd', Value::Int(number)) => signed(*number, layout),
        ('v' | 't', Value::Bool(flag)) => flag.to_string(),
        ('v', other) => other.show(),
        ('s', Value::Text(text)) => cut(text),
        ('s', Value::List(_) | Value::Object(_)) => value.show(),
        ('s', Value::Nil | Value::Missing) => "%!s(<nil>)".to_owned(),
        ('q', Value::Text(text)) => format!("{text:?}"),
        ('q', Value::List(list)) => {
            format!(
                "[{}]",
                list.iter()
                    .map(|item| convert('q', item, layout))
                    .collect::<Vec<_>>()
                    .join(" ")
            )
        }
        ('x', Value::Int(number)) => format!("{number:x}"),
        ('X', Value::Int(number)) => format!("{number:X}"),
        ('o', Value::Int(number)) => format!("{number:o}"),
        ('b', Value::Int(number)) => format!("{number:b}"),
        ('c', Value::Int(number)) => u32::try_from(*number)
            .ok()
            .and_then(char::from_u32)
            .unwrap_or('\u{fffd}')
            .to_string(),
        ('x', Value::Text(text)) => text
            .bytes()
            .flat_map(|byte| [byte >> 4, byte & 15])
            .filter_map(|digit| char::from_digit(u32::from(digit), 16))
            .collect(),
        ('f' | 'F', Value::Float(number)) => format!("{number:.*}", precision.unwrap_or(6)),
        ('g', Value::Float(number)) => precision.map_or_else(
            || value.show(),
            |digits| stdx::size::general(*number, digits),
        ),
        ('e', Value::Float(number)) => exponent(*number, precision.unwrap_or(6)),
        ('T', other) => go_type(other).to_owned(),
        (verb, other) => format!("%!{verb}({}={})", go_type(other), other.show()),
    }
}

fn signed(number: i64, layout: &Layout) -> String {
    if layout.plus && number >= 0 {
        format!("+{number}")
    } else {
        number.to_string()
    }
}

fn exponent(number: f64, digits: usize) -> String {
    let text = format!("{number:.digits$e}");
    let Some((mantissa, power)) = text.split_once('e') else {
        return text;
    };
    let (sign, power) = power
        .strip_prefix('-')
        .map_or(('+', power), |power| ('-', power));
    format!("{mantissa}e{sign}{power:0>2}")
}

fn pad(text: &str, layout: &Layout) -> String {
    let missing = layout.width.saturating_sub(text.chars().count());
    if layout.minus {
        return format!("{text}{}", " ".repeat(missing));
    }
    if layout.zero {
        let (sign, digits) = match text.strip_prefix('-') {
            Some(digits) => ("-", digits),
            None => ("", text),
        };
        return format!("{sign}{}{digits}", "0".repeat(missing));
    }
    format!("{}{text}", " ".repeat(missing))
}

fn go_type(value: &Value) -> &'static str {
    match value {
        Value::Missing | Value::Nil => "<nil>",
        Value::Bool(_) => "bool",
        Value::Int(_) => "int",
        Value::Float(_) => "float64",
        Value::Text(_) => "string",
        Value::List(_) | Value::NilList => "[]interface {}",
        Value::Object(_) | Value::NilMap => "map[string]interface {}",
    }
}
