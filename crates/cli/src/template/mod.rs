//! Go's `text/template`, as far as docker's `--format` goes: all of its actions, its comparison and printing functions,
//! and docker's own (`json`, `split`, `join`, `title`, `lower`, `upper`, `pad`, `truncate`).

mod execute;
mod functions;
mod lex;
mod parse;
mod printf;
pub(crate) mod value;

#[cfg(test)]
mod tests;

pub(crate) use value::Value;

/// A template, parsed.
#[derive(Clone, Debug)]
pub(crate) struct Template {
    source: String,
    tree: parse::Tree,
}

/// How values are treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Values are values.
    Values,
    /// The values are a table's headings: functions that would change their looks leave them alone.
    Headings,
}

impl Template {
    /// Parses; the error is as Go prints it, `template: :1: …`.
    pub(crate) fn parse(source: &str) -> Result<Self, String> {
        let tree = parse::parse(source).map_err(|error| format!("template: {error}"))?;
        Ok(Self {
            source: source.to_owned(),
            tree,
        })
    }

    /// Fills in a value; the error is as Go prints it, `template: :1:2: executing "" at <.X>: …`.
    pub(crate) fn render(&self, value: &Value, mode: Mode) -> Result<String, String> {
        execute::execute(&self.source, &self.tree, value, mode)
    }
}
