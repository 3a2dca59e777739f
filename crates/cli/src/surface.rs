//! The table of all commands and flags: `surface.tsv`.
//!
//! One line a fact, fields parted by tabs, `\n` escaped in texts:
//!
//! ```text
//! C path arity stop|mixed      a command; arity `1-` is at least one argument, `-` a group of commands
//! T text                       a line of its help, `{}` for the program's name
//! N text                       a line of what docker has not, shown under our own name alone
//! O heading                    here the help lists the flags that follow
//! F short name kind var text   a flag: its Go type, the word shown for its value, its description
//! H short name kind var text   a flag that the help hides
//! A alias path                 another name of a command
//! ```
//!
//! Only the lines of the invoked command are looked at, so that the size of the table costs nothing.

const TABLE: &str = include_str!("surface.tsv");

/// A command.
#[derive(Debug)]
pub(crate) struct Command {
    /// Its words without the program's name: `container run`.
    pub(crate) path: String,
    /// How many arguments it takes; none for a group of commands.
    pub(crate) arity: Option<Arity>,
    /// Flags end at the first argument.
    pub(crate) stops: bool,
    /// Its help, with the flags at their place.
    pub(crate) help: Vec<Line>,
}

/// How many arguments a command takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Arity {
    pub(crate) min: usize,
    pub(crate) max: Option<usize>,
}

/// One line of a command's help.
#[derive(Debug)]
pub(crate) enum Line {
    Text(&'static str),
    /// What docker has not.
    Own(&'static str),
    Flags {
        heading: &'static str,
        flags: Vec<Flag>,
    },
}

/// A flag of a command.
#[derive(Clone, Debug)]
pub(crate) struct Flag {
    pub(crate) short: Option<char>,
    pub(crate) name: &'static str,
    /// Its Go type, which says what values it takes.
    pub(crate) kind: &'static str,
    /// The word shown for its value; empty for a switch.
    pub(crate) value_name: &'static str,
    pub(crate) hidden: bool,
    pub(crate) text: String,
}

impl Flag {
    /// How error messages call it: `-m, --memory`.
    pub(crate) fn label(&self) -> String {
        match self.short {
            Some(short) => format!("-{short}, --{}", self.name),
            None => format!("--{}", self.name),
        }
    }
}

impl Command {
    /// All its flags, hidden ones too.
    pub(crate) fn flags(&self) -> impl Iterator<Item = &Flag> {
        self.help.iter().flat_map(|line| match line {
            Line::Text(_) | Line::Own(_) => [].iter(),
            Line::Flags { flags, .. } => flags.iter(),
        })
    }

    /// Its usage line: `run [OPTIONS] IMAGE [COMMAND] [ARG...]`, without the program's name.
    pub(crate) fn usage(&self) -> &'static str {
        let first = self.help.iter().find_map(|line| match line {
            Line::Text(text) => text.strip_prefix("Usage:  {}"),
            Line::Own(_) | Line::Flags { .. } => None,
        });
        first.unwrap_or_default().trim_start()
    }
}

/// Finds a command by its words or by those of an alias.
pub(crate) fn find(path: &str) -> Option<Command> {
    lookup(path).or_else(|| lookup(alias(path)?))
}

fn alias(path: &str) -> Option<&'static str> {
    let key = format!("\nA\t{path}\t");
    let start = TABLE.find(&key)? + key.len();
    TABLE[start..].lines().next()
}

fn lookup(path: &str) -> Option<Command> {
    let key = format!("C\t{path}\t");
    let start = if TABLE.starts_with(&key) {
        0
    } else {
        TABLE.find(&format!("\n{key}"))? + 1
    };
    let mut lines = TABLE[start..].lines();
    let mut fields = lines.next()?.split('\t').skip(2);
    let arity = arity(fields.next()?);
    let stops = fields.next() == Some("stop");
    let mut help = Vec::new();
    for line in lines {
        let (tag, rest) = line.split_once('\t').unwrap_or((line, ""));
        match tag {
            "T" => help.push(Line::Text(rest)),
            "N" => help.push(Line::Own(rest)),
            "O" => help.push(Line::Flags {
                heading: rest,
                flags: Vec::new(),
            }),
            "F" | "H" => {
                let flag = flag(rest, tag == "H")?;
                match help.iter_mut().rev().find_map(|line| match line {
                    Line::Flags { flags, .. } => Some(flags),
                    Line::Text(_) | Line::Own(_) => None,
                }) {
                    Some(flags) => flags.push(flag),
                    None => help.push(Line::Flags {
                        heading: "",
                        flags: vec![flag],
                    }),
                }
            }
            _ => break,
        }
    }
    Some(Command {
        path: path.to_owned(),
        arity,
        stops,
        help,
    })
}

fn arity(text: &str) -> Option<Arity> {
    let (min, max) = text.split_once('-')?;
    Some(Arity {
        min: min.parse().ok()?,
        max: max.parse().ok(),
    })
}

fn flag(line: &'static str, hidden: bool) -> Option<Flag> {
    let mut fields = line.split('\t');
    Some(Flag {
        short: fields.next()?.chars().next(),
        name: fields.next()?,
        kind: fields.next()?,
        value_name: fields.next()?,
        hidden,
        text: fields.next()?.replace("\\n", "\n").replace("\\\\", "\\"),
    })
}
