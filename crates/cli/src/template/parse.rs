//! From tokens to a tree, by the grammar of Go's `text/template`.

use std::collections::BTreeMap;

use super::lex::{Token, Word, tokens};
use super::value::Value;

/// One thing to do.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Node {
    Text(String),
    Action(Pipeline),
    If {
        condition: Pipeline,
        then: Vec<Node>,
        otherwise: Vec<Node>,
    },
    With {
        subject: Pipeline,
        then: Vec<Node>,
        otherwise: Vec<Node>,
    },
    Range {
        over: Pipeline,
        body: Vec<Node>,
        otherwise: Vec<Node>,
    },
    Template {
        name: String,
        argument: Option<Pipeline>,
    },
    Break,
    Continue,
}

/// Commands, each given the result of the one before; maybe into variables.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Pipeline {
    pub(crate) variables: Vec<String>,
    pub(crate) declares: bool,
    pub(crate) commands: Vec<Command>,
}

/// A function or value with its arguments.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Command {
    pub(crate) operands: Vec<Operand>,
}

/// An argument, where it stands, and how it is written.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Operand {
    pub(crate) at: usize,
    pub(crate) term: Term,
    /// The fields taken of it: `.A.B`.
    pub(crate) fields: Vec<String>,
}

/// What an argument is before its fields are taken.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Term {
    Dot,
    Nil,
    Variable(String),
    Function(String),
    Constant(Value),
    Parenthesis(Pipeline),
}

/// A parsed template, with those it defines.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tree {
    pub(crate) nodes: Vec<Node>,
    pub(crate) defined: BTreeMap<String, Vec<Node>>,
}

/// Parses a template; errors come with their line, in Go's words.
pub(crate) fn parse(source: &str) -> Result<Tree, String> {
    let mut parser = Parser {
        source,
        tokens: tokens(source).map_err(|error| format!(":1: {error}"))?,
        next: 0,
        defined: BTreeMap::new(),
    };
    let (nodes, end) = parser.block().map_err(|error| parser.located(&error))?;
    if let Some(end) = end {
        return Err(parser.located(&format!("unexpected {{{{{end}}}}}")));
    }
    Ok(Tree {
        nodes,
        defined: parser.defined,
    })
}

struct Parser<'a> {
    source: &'a str,
    tokens: Vec<Token>,
    next: usize,
    defined: BTreeMap<String, Vec<Node>>,
}

type Parsed<T> = Result<T, String>;

impl Parser<'_> {
    fn located(&self, error: &str) -> String {
        let at = self
            .tokens
            .get(self.next.saturating_sub(1))
            .map_or(0, |token| token.at);
        format!(":{}: {error}", self.source[..at].matches('\n').count() + 1)
    }

    fn take(&mut self) -> Parsed<Token> {
        let token = self
            .tokens
            .get(self.next)
            .cloned()
            .ok_or("unexpected EOF")?;
        self.next += 1;
        Ok(token)
    }

    fn take_word(&mut self) -> Parsed<Token> {
        self.skip_space();
        self.take()
    }

    fn peek(&self) -> Option<&Word> {
        self.tokens.get(self.next).map(|token| &token.word)
    }

    fn skip_space(&mut self) {
        while self.peek() == Some(&Word::Space) {
            self.next += 1;
        }
    }

    fn peek_word(&mut self) -> Option<&Word> {
        self.skip_space();
        self.peek()
    }

    /// Nodes up to `{{end}}` or `{{else…}}` (returned, with its tokens taken up to the word) or the end.
    fn block(&mut self) -> Parsed<(Vec<Node>, Option<&'static str>)> {
        let mut nodes = Vec::new();
        while self.peek().is_some() {
            let token = self.take()?;
            if let Word::Text(text) = token.word {
                nodes.push(Node::Text(text));
                continue;
            }
            let keyword = match self.peek_word() {
                Some(Word::Name(name)) => name.clone(),
                _ => String::new(),
            };
            match keyword.as_str() {
                "end" => {
                    self.next += 1;
                    self.close()?;
                    return Ok((nodes, Some("end")));
                }
                "else" => {
                    self.next += 1;
                    return Ok((nodes, Some("else")));
                }
                _ => nodes.extend(self.action(&keyword)?),
            }
        }
        Ok((nodes, None))
    }

    fn close(&mut self) -> Parsed<()> {
        match self.take_word()?.word {
            Word::Close => Ok(()),
            other => Err(format!("unexpected {} in end", describe(&other))),
        }
    }

    fn action(&mut self, keyword: &str) -> Parsed<Option<Node>> {
        if [
            "if", "with", "range", "define", "block", "template", "break", "continue",
        ]
        .contains(&keyword)
        {
            self.next += 1;
        }
        Ok(Some(match keyword {
            "if" | "with" | "range" => self.branch(keyword)?,
            "define" => {
                let name = self.string("define clause")?;
                self.close()?;
                let body = self.body_to_end()?;
                self.defined.insert(name, body);
                return Ok(None);
            }
            "block" => {
                let name = self.string("block clause")?;
                let argument = Some(self.pipeline(&Word::Close)?);
                let body = self.body_to_end()?;
                self.defined.insert(name.clone(), body);
                Node::Template { name, argument }
            }
            "template" => {
                let name = self.string("template clause")?;
                let argument = match self.peek_word() {
                    Some(Word::Close) => {
                        self.next += 1;
                        None
                    }
                    _ => Some(self.pipeline(&Word::Close)?),
                };
                Node::Template { name, argument }
            }
            "break" => {
                self.close()?;
                Node::Break
            }
            "continue" => {
                self.close()?;
                Node::Continue
            }
            _ => Node::Action(self.pipeline(&Word::Close)?),
        }))
    }

    fn string(&mut self, place: &str) -> Parsed<String> {
        match self.take_word()?.word {
            Word::String(text) => Ok(text),
            other => Err(format!("unexpected {} in {place}", describe(&other))),
        }
    }

    fn body_to_end(&mut self) -> Parsed<Vec<Node>> {
        match self.block()? {
            (nodes, Some("end")) => Ok(nodes),
            (_, Some(other)) => Err(format!("unexpected {{{{{other}}}}}")),
            (_, None) => Err("unexpected EOF".to_owned()),
        }
    }

    fn branch(&mut self, keyword: &str) -> Parsed<Node> {
        let subject = self.pipeline(&Word::Close)?;
        let (then, end) = self.block()?;
        let otherwise = match end {
            Some("end") => Vec::new(),
            Some(_) => self.otherwise()?,
            None => return Err("unexpected EOF".to_owned()),
        };
        Ok(match keyword {
            "if" => Node::If {
                condition: subject,
                then,
                otherwise,
            },
            "with" => Node::With {
                subject,
                then,
                otherwise,
            },
            _ => Node::Range {
                over: subject,
                body: then,
                otherwise,
            },
        })
    }

    /// After `else`: `}}`, or `if …` / `with …` that end with the same `{{end}}`.
    fn otherwise(&mut self) -> Parsed<Vec<Node>> {
        let keyword = match self.peek_word() {
            Some(Word::Name(name)) if name == "if" || name == "with" => name.clone(),
            _ => {
                self.close()?;
                return self.body_to_end();
            }
        };
        self.next += 1;
        Ok(vec![self.branch(&keyword)?])
    }

    fn pipeline(&mut self, end: &Word) -> Parsed<Pipeline> {
        let mut pipeline = Pipeline::default();
        self.declaration(&mut pipeline);
        loop {
            let command = self.command(end)?;
            pipeline.commands.push(command);
            match self.take_word()?.word {
                Word::Pipe => {}
                word if word == *end => return Ok(pipeline),
                other => return Err(format!("unexpected {} in operand", describe(&other))),
            }
        }
    }

    /// `$x :=`, `$x =`, `$i, $x :=` at the beginning of a pipeline.
    fn declaration(&mut self, pipeline: &mut Pipeline) {
        let begin = self.next;
        let mut names = Vec::new();
        while let Ok(Word::Variable(name)) = self.take_word().map(|token| token.word) {
            names.push(name);
            match self.take_word().map(|token| token.word) {
                Ok(Word::Comma) => {}
                Ok(word @ (Word::Declare | Word::Assign)) => {
                    pipeline.variables = names;
                    pipeline.declares = word == Word::Declare;
                    return;
                }
                _ => break,
            }
        }
        self.next = begin;
    }

    fn command(&mut self, end: &Word) -> Parsed<Command> {
        let mut operands = Vec::new();
        loop {
            match self.peek_word() {
                None => return Err("unclosed action".to_owned()),
                Some(Word::Pipe) => break,
                Some(word) if word == end => break,
                Some(_) => operands.push(self.operand()?),
            }
        }
        if operands.is_empty() {
            return Err("missing value for command".to_owned());
        }
        Ok(Command { operands })
    }

    fn operand(&mut self) -> Parsed<Operand> {
        let token = self.take_word()?;
        let mut at = token.at;
        let mut fields = Vec::new();
        let term = match token.word {
            Word::Dot => Term::Dot,
            Word::Field(name) => {
                fields.push(name);
                Term::Dot
            }
            Word::Variable(name) => Term::Variable(name),
            Word::Name(name) => match name.as_str() {
                "true" | "false" => Term::Constant(Value::Bool(name == "true")),
                "nil" => Term::Nil,
                _ if super::functions::exists(&name) => Term::Function(name),
                _ => return Err(format!("function {name:?} not defined")),
            },
            Word::String(text) => Term::Constant(Value::Text(text)),
            Word::Int(value) => Term::Constant(Value::Int(value)),
            Word::Float(value) => Term::Constant(Value::Float(value)),
            Word::LeftParen => Term::Parenthesis(self.pipeline(&Word::RightParen)?),
            other => return Err(format!("unexpected {} in operand", describe(&other))),
        };
        while let Some(Word::Field(name)) = self.peek() {
            fields.push(name.clone());
            at = self.tokens[self.next].at;
            self.next += 1;
        }
        Ok(Operand { at, term, fields })
    }
}

fn describe(word: &Word) -> String {
    match word {
        Word::Text(text) | Word::Name(text) => format!("<{text}>"),
        Word::Field(name) => format!("<.{name}>"),
        Word::Variable(name) => format!("{name:?}"),
        Word::String(text) => format!("{text:?}"),
        Word::Open => "\"{{\"".to_owned(),
        Word::Close => "\"}}\"".to_owned(),
        Word::Dot => "<.>".to_owned(),
        Word::Int(value) => format!("\"{value}\""),
        Word::Float(value) => format!("\"{value}\""),
        Word::Pipe => "\"|\"".to_owned(),
        Word::Declare => "\":=\"".to_owned(),
        Word::Assign => "\"=\"".to_owned(),
        Word::Comma => "\",\"".to_owned(),
        Word::LeftParen => "\"(\"".to_owned(),
        Word::RightParen => "\")\"".to_owned(),
        Word::Space => "\" \"".to_owned(),
    }
}
