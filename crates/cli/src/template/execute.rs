//! Filling in a template.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::Mode;
use super::functions;
use super::parse::{Command, Node, Operand, Pipeline, Term, Tree};
use super::value::{Kind, Value};

/// Deeper than this a template calls itself for ever.
const MAX_DEPTH: usize = 100;

pub(super) fn execute(
    source: &str,
    tree: &Tree,
    value: &Value,
    mode: Mode,
) -> Result<String, String> {
    let mut state = State {
        source,
        tree,
        mode,
        output: String::new(),
        variables: vec![("$".into(), Cow::Borrowed(value))],
        depth: 0,
    };
    match state.nodes(&tree.nodes, value) {
        Ok(_) => Ok(state.output),
        Err(error) => Err(format!("template: {error}")),
    }
}

struct State<'a> {
    source: &'a str,
    tree: &'a Tree,
    mode: Mode,
    output: String,
    variables: Vec<(Cow<'a, str>, Cow<'a, Value>)>,
    depth: usize,
}

/// How a list of nodes came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flow {
    Through,
    Break,
    Continue,
}

type Executed<T> = Result<T, String>;

impl State<'_> {
    fn nodes(&mut self, nodes: &[Node], dot: &Value) -> Executed<Flow> {
        for node in nodes {
            let flow = self.node(node, dot)?;
            if flow != Flow::Through {
                return Ok(flow);
            }
        }
        Ok(Flow::Through)
    }

    /// Runs nodes with the variables they declare forgotten afterwards.
    fn scoped(&mut self, nodes: &[Node], dot: &Value) -> Executed<Flow> {
        let known = self.variables.len();
        let flow = self.nodes(nodes, dot);
        self.variables.truncate(known);
        flow
    }

    fn node(&mut self, node: &Node, dot: &Value) -> Executed<Flow> {
        match node {
            Node::Text(text) => self.output.push_str(text),
            Node::Break => return Ok(Flow::Break),
            Node::Continue => return Ok(Flow::Continue),
            Node::Action(pipeline) => {
                let value = self.pipeline(pipeline, dot)?;
                if pipeline.variables.is_empty() {
                    self.output.push_str(&printed(&value));
                }
            }
            Node::If {
                condition,
                then,
                otherwise,
            } => {
                let known = self.variables.len();
                let branch = if self.pipeline(condition, dot)?.is_true() {
                    then
                } else {
                    otherwise
                };
                let flow = self.nodes(branch, dot);
                self.variables.truncate(known);
                return flow;
            }
            Node::With {
                subject,
                then,
                otherwise,
            } => {
                let known = self.variables.len();
                let value = self.pipeline(subject, dot)?;
                let flow = if value.is_true() {
                    self.nodes(then, &value)
                } else {
                    self.nodes(otherwise, dot)
                };
                self.variables.truncate(known);
                return flow;
            }
            Node::Range {
                over,
                body,
                otherwise,
            } => return self.range(over, body, otherwise, dot),
            Node::Template { name, argument } => self.template(name, argument.as_ref(), dot)?,
        }
        Ok(Flow::Through)
    }

    fn template(&mut self, name: &str, argument: Option<&Pipeline>, dot: &Value) -> Executed<()> {
        let tree = self.tree;
        let Some(nodes) = tree.defined.get(name) else {
            return Err(format!("template {name:?} not defined"));
        };
        let value = argument.map_or(Ok(Value::Nil), |pipeline| self.pipeline(pipeline, dot))?;
        if self.depth >= MAX_DEPTH {
            return Err(format!("exceeded maximum template depth ({MAX_DEPTH})"));
        }
        self.depth += 1;
        let outer = std::mem::replace(
            &mut self.variables,
            vec![("$".into(), Cow::Owned(value.clone()))],
        );
        let flow = self.nodes(nodes, &value);
        self.variables = outer;
        self.depth -= 1;
        flow.map(drop)
    }

    fn range(
        &mut self,
        over: &Pipeline,
        body: &[Node],
        otherwise: &[Node],
        dot: &Value,
    ) -> Executed<Flow> {
        let known = self.variables.len();
        let plain = Pipeline {
            variables: Vec::new(),
            ..over.clone()
        };
        let items: Vec<(Value, Value)> = match self.pipeline(&plain, dot)? {
            Value::List(list) => (0_i64..).map(Value::Int).zip(list).collect(),
            Value::Object(object) if object.kind != Kind::Map || !object.fields.is_empty() => {
                let sorted: BTreeMap<_, Value> = object.fields.into_iter().collect();
                sorted
                    .into_iter()
                    .map(|(key, value)| (Value::Text(key.into_owned()), value))
                    .collect()
            }
            Value::Int(count) => (0..count)
                .map(|index| (Value::Int(index), Value::Int(index)))
                .collect(),
            Value::Object(_) | Value::Missing | Value::Nil | Value::NilList | Value::NilMap => {
                Vec::new()
            }
            other => {
                return Err(self.failed(
                    &over.commands[0].operands[0],
                    &format!("range can't iterate over {}", other.show()),
                ));
            }
        };
        if items.is_empty() {
            return self.scoped(otherwise, dot);
        }
        for (key, item) in items {
            match over.variables.as_slice() {
                [] => {}
                [name] => self.bind(over.declares, name, item.clone())?,
                [index, name, ..] => {
                    self.bind(over.declares, index, key)?;
                    self.bind(over.declares, name, item.clone())?;
                }
            }
            let flow = self.nodes(body, &item)?;
            self.variables.truncate(known);
            if flow == Flow::Break {
                break;
            }
        }
        Ok(Flow::Through)
    }

    fn bind(&mut self, declares: bool, name: &str, value: Value) -> Executed<()> {
        if declares {
            self.variables
                .push((name.to_owned().into(), Cow::Owned(value)));
            return Ok(());
        }
        let slot = self
            .variables
            .iter_mut()
            .rev()
            .find(|(known, _)| known == name);
        let (_, slot) = slot.ok_or_else(|| format!(":1: undefined variable {name:?}"))?;
        *slot = Cow::Owned(value);
        Ok(())
    }

    fn pipeline(&mut self, pipeline: &Pipeline, dot: &Value) -> Executed<Value> {
        let mut value = None;
        for command in &pipeline.commands {
            value = Some(self.command(command, dot, value)?);
        }
        let value = value.unwrap_or(Value::Missing);
        for name in &pipeline.variables {
            self.bind(pipeline.declares, name, value.clone())?;
        }
        Ok(value)
    }

    fn command(&mut self, command: &Command, dot: &Value, last: Option<Value>) -> Executed<Value> {
        let first = &command.operands[0];
        if let Term::Function(name) = &first.term
            && first.fields.is_empty()
        {
            let mut arguments = Vec::new();
            for operand in &command.operands[1..] {
                let value = self.operand(operand, dot)?;
                // `and` and `or` stop where their result is known.
                let decided =
                    (name == "and" && !value.is_true()) || (name == "or" && value.is_true());
                arguments.push(value);
                if decided {
                    return functions::call(name, &arguments, self.mode);
                }
            }
            arguments.extend(last);
            let called = functions::call(name, &arguments, self.mode);
            let what = command
                .operands
                .iter()
                .map(describe)
                .collect::<Vec<_>>()
                .join(" ");
            return called.map_err(|reason| {
                self.error_at(first, &what, &format!("error calling {name}: {reason}"))
            });
        }
        // The one method with an argument that docker's contexts have: `{{.Label "name"}}`.
        if let [first, argument] = command.operands.as_slice()
            && first.fields.last().is_some_and(|name| name == "Label")
        {
            let (labels, name) = (
                self.operand(first, dot)?,
                self.operand(argument, dot)?.show(),
            );
            return Ok(labels
                .field(&name)
                .cloned()
                .unwrap_or_else(|| Value::Text(String::new())));
        }
        if command.operands.len() > 1 || last.is_some() {
            let what = describe(first);
            return Err(self.error_at(
                first,
                &what,
                &format!("can't give argument to non-function {what}"),
            ));
        }
        if first.term == Term::Nil {
            return Err(self.error_at(first, "nil", "nil is not a command"));
        }
        self.operand(first, dot)
    }

    fn operand(&mut self, operand: &Operand, dot: &Value) -> Executed<Value> {
        let start = match &operand.term {
            Term::Dot => Cow::Borrowed(dot),
            Term::Nil => Cow::Owned(Value::Nil),
            Term::Constant(value) => Cow::Borrowed(value),
            Term::Variable(name) => {
                let known = self.variables.iter().rev().find(|(known, _)| known == name);
                known
                    .map(|(_, value)| Cow::Borrowed(&**value))
                    .ok_or_else(|| format!(":1: undefined variable {name:?}"))?
            }
            Term::Function(name) => {
                let called = functions::call(name, &[], self.mode).map_err(|reason| {
                    self.error_at(operand, name, &format!("error calling {name}: {reason}"))
                })?;
                Cow::Owned(called)
            }
            Term::Parenthesis(pipeline) => Cow::Owned(self.pipeline(pipeline, dot)?),
        };
        if operand.fields.is_empty() {
            return Ok(start.into_owned());
        }
        // Only what is found in the end is copied: a listing asks each of its rows for a dozen fields.
        let mut found: &Value = &start;
        for name in &operand.fields {
            found = self.field(operand, found, name)?;
        }
        Ok(found.clone())
    }

    fn field<'v>(&self, operand: &Operand, value: &'v Value, name: &str) -> Executed<&'v Value> {
        static MISSING: Value = Value::Missing;
        if let Some(found) = value.field(name) {
            return Ok(found);
        }
        let reason = match value {
            Value::Object(object) => match object.kind {
                Kind::Map => return Ok(&MISSING),
                Kind::Record => format!("map has no entry for key {name:?}"),
                Kind::Struct(kind) | Kind::Plain(kind) => {
                    format!("can't evaluate field {name} in type {kind}")
                }
            },
            Value::Missing | Value::NilMap => return Ok(&MISSING),
            Value::Nil => format!("nil data; no entry for key {name:?}"),
            Value::Bool(_) => format!("can't evaluate field {name} in type bool"),
            Value::Int(_) => format!("can't evaluate field {name} in type int"),
            Value::Float(_) => format!("can't evaluate field {name} in type float64"),
            Value::Text(_) => format!("can't evaluate field {name} in type string"),
            Value::List(_) | Value::NilList => {
                format!("can't evaluate field {name} in type []interface {{}}")
            }
        };
        Err(self.failed(operand, &reason))
    }

    fn failed(&self, operand: &Operand, reason: &str) -> String {
        self.error_at(operand, &describe(operand), reason)
    }

    fn error_at(&self, operand: &Operand, what: &str, reason: &str) -> String {
        let before = &self.source[..operand.at];
        let line = before.matches('\n').count() + 1;
        let column = before
            .rfind('\n')
            .map_or(operand.at, |newline| operand.at - newline);
        let what: String = if what.len() > 20 {
            what.chars().take(20).chain("...".chars()).collect()
        } else {
            what.to_owned()
        };
        format!(":{line}:{column}: executing \"\" at <{what}>: {reason}")
    }
}

fn describe(operand: &Operand) -> String {
    let start = match &operand.term {
        Term::Dot if operand.fields.is_empty() => ".".to_owned(),
        Term::Dot => String::new(),
        Term::Nil => "nil".to_owned(),
        Term::Constant(Value::Text(text)) => format!("{text:?}"),
        Term::Constant(value) => value.show(),
        Term::Variable(name) | Term::Function(name) => name.clone(),
        Term::Parenthesis(_) => "(...)".to_owned(),
    };
    operand
        .fields
        .iter()
        .fold(start, |text, name| format!("{text}.{name}"))
}

/// As an action prints its result.
fn printed(value: &Value) -> String {
    match value {
        Value::Missing => "<no value>".to_owned(),
        other => other.show(),
    }
}
