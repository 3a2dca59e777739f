//! Help texts, laid out as Go's pflag does.

use crate::surface::{Command, Flag, Line};

/// Facts that help texts are printed with.
#[derive(Debug)]
pub(crate) struct Style<'a> {
    /// The program's name as it was called.
    pub(crate) program: &'a str,
    /// The width of the terminal.
    pub(crate) columns: usize,
    /// The directory of the client's configuration.
    pub(crate) config: &'a str,
}

/// The help of a command.
pub(crate) fn render(command: &Command, style: &Style<'_>) -> String {
    let mut text = String::new();
    for line in &command.help {
        match line {
            Line::Text(line) => {
                text.push_str(&line.replace("{}", style.program));
                text.push('\n');
            }
            Line::Own(line) if style.program != "docker" => {
                text.push_str(line);
                text.push('\n');
            }
            Line::Flags { heading, flags } if !heading.is_empty() => {
                text.push_str(heading);
                text.push('\n');
                text.push_str(&flag_table(flags, style));
            }
            Line::Own(_) | Line::Flags { .. } => {}
        }
    }
    text
}

/// pflag's `FlagUsagesWrapped`.
fn flag_table(flags: &[Flag], style: &Style<'_>) -> String {
    let shown: Vec<(String, &Flag)> = flags
        .iter()
        .filter(|flag| !flag.hidden)
        .map(|flag| (left_side(flag), flag))
        .collect();
    let widest = shown
        .iter()
        .map(|(left, _)| left.len() + 1)
        .max()
        .unwrap_or(0);
    let mut table = String::new();
    for (left, flag) in shown {
        let text = flag.text.replace("{config}", style.config);
        let padding = " ".repeat(widest - left.len());
        table.push_str(&format!(
            "{left} {padding} {}\n",
            wrap(widest + 2, style.columns - 1, &text)
        ));
    }
    // pflag's two separators and its spacing of `widest - left` make three blanks after the widest left side.
    table
}

fn left_side(flag: &Flag) -> String {
    let mut left = match flag.short {
        Some(short) => format!("  -{short}, --{}", flag.name),
        None => format!("      --{}", flag.name),
    };
    if !flag.value_name.is_empty() {
        left.push(' ');
        left.push_str(flag.value_name);
    }
    left
}

/// pflag's `wrap`: the text in `width` columns, every line but the first indented.
fn wrap(indent: usize, width: usize, text: &str) -> String {
    let mut indent = indent;
    let mut room = width.saturating_sub(indent);
    let mut wrapped = String::new();
    if room < 24 {
        indent = 16;
        room = width.saturating_sub(indent);
        wrapped = format!("\n{}", " ".repeat(indent));
    }
    if room < 24 {
        return text.replace('\n', &wrapped);
    }
    const SLOP: usize = 5;
    let room = room - SLOP;
    let margin = format!("\n{}", " ".repeat(indent));
    let (line, mut rest) = cut(room, SLOP, text);
    wrapped.push_str(&line.replace('\n', &margin));
    while !rest.is_empty() {
        let (line, next) = cut(room, SLOP, rest);
        wrapped.push_str(&margin);
        wrapped.push_str(&line.replace('\n', &margin));
        rest = next;
    }
    wrapped
}

/// pflag's `wrapN`: cuts off what fits, going a little over where that takes in the whole rest.
fn cut(room: usize, slop: usize, text: &str) -> (&str, &str) {
    if room + slop > text.len() {
        return (text, "");
    }
    let mut end = room;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let head = &text[..end];
    let Some(blank) = head.rfind([' ', '\t', '\n']).filter(|at| *at > 0) else {
        return (text, "");
    };
    match head.rfind('\n') {
        Some(newline) if newline > 0 && newline < blank => (&text[..newline], &text[newline + 1..]),
        _ => (&text[..blank], &text[blank + 1..]),
    }
}
