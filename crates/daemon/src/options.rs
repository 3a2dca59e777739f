//! dockerd's flags and configuration file. A flag that dockerd has and this build has not is refused by name.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use network::AddressPool;
use serde_json::Value;

/// Every flag of dockerd: name, short form, type (`-`: a switch), description.
const FLAGS: &str = include_str!("options/flags.tsv");
/// Flags that are acted on, beside `--help` and `--version`.
const BUILT: &[&str] = &[
    "bip",
    "bridge",
    "cgroup-parent",
    "config-file",
    "data-root",
    "debug",
    "default-address-pool",
    "exec-root",
    "group",
    "host",
    "insecure-registry",
    "live-restore",
    "log-level",
    "mtu",
    "pidfile",
    "registry-mirror",
    "validate",
];
/// Our own flags, which are not in Docker's table: name, type, description.
const OWN: &[(&str, &str, &str)] = &[
    (
        "host-firewall",
        "-",
        "Relay published ports, so that the rules of the host's input chains apply to them",
    ),
    (
        "host-in-hosts",
        "-",
        "Write host.docker.internal into the hosts files of the default bridge's containers (default true; dockerd: false)",
    ),
    (
        "idle-exit",
        "int",
        "End after so many seconds without containers and requests",
    ),
    (
        "registry-token-server",
        "list",
        "Host that may be sent credentials of registries of other domains",
    ),
];
/// Keys of the configuration file that are called otherwise than the flag.
const RENAMED: &[(&str, &str)] = &[
    ("default-address-pools", "default-address-pool"),
    ("hosts", "host"),
    ("insecure-registries", "insecure-registry"),
    ("registry-mirrors", "registry-mirror"),
    ("registry-token-servers", "registry-token-server"),
];

/// How the daemon was called, before defaults.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Given {
    values: BTreeMap<String, Vec<String>>,
}

/// What a command line asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// `--help`.
    Help,
    /// `--version`.
    Version,
    /// Check the configuration and end.
    Validate,
    /// Run.
    Run(Box<Options>),
}

/// Everything decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Where to listen.
    pub hosts: Vec<String>,
    /// What survives a reboot.
    pub data_root: PathBuf,
    /// What does not.
    pub exec_root: PathBuf,
    /// The pid file.
    pub pidfile: PathBuf,
    /// The bridge's name, if given.
    pub bridge: Option<String>,
    /// The bridge's address, if given.
    pub bip: Option<String>,
    /// The bridge's MTU, if given.
    pub mtu: Option<u32>,
    /// Where networks' subnets come from; empty: the defaults.
    pub address_pools: Vec<AddressPool>,
    /// Published ports are relayed, so that the host's input rules apply to them.
    pub host_firewall: bool,
    /// Containers of the default bridge find the host's name in their hosts files.
    pub host_in_hosts: bool,
    /// The control group above containers, if given.
    pub cgroup_parent: Option<String>,
    /// Debug mode.
    pub debug: bool,
    /// The level of the log.
    pub log_level: String,
    /// Who may use the unix socket, if given.
    pub group: Option<String>,
    /// Mirrors of Docker Hub.
    pub registry_mirrors: Vec<String>,
    /// Registries whose certificates are not checked.
    pub insecure_registries: Vec<String>,
    /// Hosts that may be sent credentials of registries of other domains.
    pub registry_token_servers: Vec<String>,
    /// End after so long without use.
    pub idle_exit: Option<Duration>,
}

/// Reads a command line; `program` is the last part of `argv[0]`.
pub fn parse(program: &str, args: &[String]) -> Result<Command, String> {
    let given = parse_flags(args).map_err(|why| format!("{why}\nSee '{program} --help'."))?;
    if given.switch("help")? {
        return Ok(Command::Help);
    }
    if given.switch("version")? {
        return Ok(Command::Version);
    }
    let validate = given.switch("validate")?;
    let given = with_file(program, given)?;
    let options = decide(program, &given)?;
    Ok(if validate {
        Command::Validate
    } else {
        Command::Run(Box::new(options))
    })
}

/// The text of `--help`.
pub fn help(program: &str) -> String {
    let mut text = format!(
        "Usage:  {program} [OPTIONS]\n\nA self-sufficient runtime for containers.\n\nOptions:\n"
    );
    let own = OWN.iter().map(|(name, kind, description)| Flag {
        name,
        short: "-",
        kind,
        description,
    });
    for flag in flags().chain(own).filter(|flag| is_built(flag.name)) {
        let short = if flag.short == "-" {
            "    ".to_owned()
        } else {
            format!("{}, ", flag.short)
        };
        let kind = if flag.kind == "-" { "" } else { flag.kind };
        let left = format!("--{} {kind}", flag.name);
        text += &format!("  {short}{left:<26} {}\n", flag.description);
    }
    text
}

struct Flag {
    name: &'static str,
    short: &'static str,
    kind: &'static str,
    description: &'static str,
}

fn flags() -> impl Iterator<Item = Flag> {
    FLAGS.lines().filter_map(|line| {
        let mut fields = line.split('\t');
        Some(Flag {
            name: fields.next()?.strip_prefix("--")?,
            short: fields.next()?,
            kind: fields.next()?,
            description: fields.next()?,
        })
    })
}

fn is_built(name: &str) -> bool {
    BUILT.contains(&name) || own(name).is_some() || matches!(name, "help" | "version")
}

fn parse_flags(args: &[String]) -> Result<Given, String> {
    let mut given = Given::default();
    let mut rest = args.iter();
    while let Some(word) = rest.next() {
        if let Some(long) = word.strip_prefix("--") {
            let (name, value) = long
                .split_once('=')
                .map_or((long, None), |(name, value)| (name, Some(value)));
            let kind = kind_of(name).ok_or_else(|| format!("unknown flag: --{name}"))?;
            let value = value_of(&format!("--{name}"), kind, value, &mut rest)?;
            given.add(name, value)?;
        } else if let Some(short) = word.strip_prefix('-').filter(|short| !short.is_empty()) {
            parse_short(short, &mut rest, &mut given)?;
        } else {
            return Err(format!("\"dockerd\" accepts no arguments: {word}"));
        }
    }
    Ok(given)
}

/// `-D`, `-H unix://x`, `-Hunix://x`, `-DH unix://x`.
fn parse_short<'a>(
    word: &str,
    rest: &mut impl Iterator<Item = &'a String>,
    given: &mut Given,
) -> Result<(), String> {
    let mut letters = word;
    while let Some(letter) = letters.chars().next() {
        letters = &letters[letter.len_utf8()..];
        let spelled = format!("-{letter}");
        let unknown = || format!("unknown shorthand flag: '{letter}' in -{word}");
        let flag = flags()
            .find(|flag| flag.short == spelled)
            .ok_or_else(unknown)?;
        if flag.kind == "-" {
            given.add(flag.name, "true".to_owned())?;
            continue;
        }
        let attached = (!letters.is_empty()).then(|| letters.strip_prefix('=').unwrap_or(letters));
        let value = value_of(&spelled, flag.kind, attached, rest)?;
        return given.add(flag.name, value);
    }
    Ok(())
}

/// The type of one of our own flags.
fn own(name: &str) -> Option<&'static str> {
    let (_, kind, _) = OWN.iter().find(|(known, ..)| *known == name)?;
    Some(kind)
}

/// The type of a flag.
fn kind_of(name: &str) -> Option<&'static str> {
    if let Some(kind) = own(name) {
        return Some(kind);
    }
    flags().find(|flag| flag.name == name).map(|flag| flag.kind)
}

fn value_of<'a>(
    spelled: &str,
    kind: &str,
    attached: Option<&str>,
    rest: &mut impl Iterator<Item = &'a String>,
) -> Result<String, String> {
    match attached {
        Some(value) => Ok(value.to_owned()),
        None if kind == "-" => Ok("true".to_owned()),
        None => rest
            .next()
            .cloned()
            .ok_or_else(|| match spelled.strip_prefix("--") {
                Some(_) => format!("flag needs an argument: {spelled}"),
                None => format!(
                    "flag needs an argument: '{}' in {spelled}",
                    spelled.trim_start_matches('-')
                ),
            }),
    }
}

impl Given {
    /// Keeps a value, unless the flag is not built.
    fn add(&mut self, name: &str, value: String) -> Result<(), String> {
        if !is_built(name) {
            return Err(format!("flag --{name} is not implemented"));
        }
        self.values.entry(name.to_owned()).or_default().push(value);
        Ok(())
    }

    fn last(&self, name: &str) -> Option<&str> {
        self.values
            .get(name)
            .and_then(|values| values.last())
            .map(String::as_str)
    }

    fn owned(&self, name: &str) -> Option<String> {
        self.last(name)
            .filter(|value| !value.is_empty())
            .map(str::to_owned)
    }

    fn switch(&self, name: &str) -> Result<bool, String> {
        match self.last(name) {
            None | Some("false" | "0" | "f" | "F" | "FALSE" | "False") => Ok(false),
            Some("true" | "1" | "t" | "T" | "TRUE" | "True") => Ok(true),
            Some(other) => Err(format!(
                "invalid argument \"{other}\" for \"--{name}\" flag: strconv.ParseBool: parsing \"{other}\": invalid syntax"
            )),
        }
    }
}

/// Adds the configuration file: a key that is also a flag on the command line is a conflict.
fn with_file(program: &str, mut given: Given) -> Result<Given, String> {
    let default = if program == "dockerd" {
        "/etc/docker/daemon.json"
    } else {
        "/etc/corten/daemon.json"
    };
    let named = given.last("config-file");
    let path = PathBuf::from(named.unwrap_or(default));
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && named.is_none() => {
            return Ok(given);
        }
        Err(error) => {
            return Err(wrong_file(
                &path,
                &format!("open {}: {error}", path.display()),
            ));
        }
    };
    if text.trim().is_empty() {
        return Ok(given);
    }
    let parsed: Value =
        serde_json::from_str(&text).map_err(|error| wrong_file(&path, &error.to_string()))?;
    let Value::Object(keys) = parsed else {
        return Err(wrong_file(&path, "the file must hold an object"));
    };
    let mut conflicts = Vec::new();
    for (key, value) in &keys {
        let flag = RENAMED
            .iter()
            .find(|(from, _)| from == key)
            .map_or(key.as_str(), |(_, to)| *to);
        if kind_of(flag).is_none() || RENAMED.iter().any(|(_, to)| to == key) {
            return Err(wrong_file(
                &path,
                &format!("the following directives don't match any configuration option: {key}"),
            ));
        }
        let values = values(value)
            .ok_or_else(|| wrong_file(&path, &format!("invalid value of {key}: {value}")))?;
        if let Some(from_flag) = given.values.get(flag) {
            let from_flag = from_flag.join(" ");
            conflicts.push(format!(
                "{key}: (from flag: {from_flag}, from file: {})",
                values.join(" ")
            ));
            continue;
        }
        for value in values {
            given
                .add(flag, value)
                .map_err(|why| wrong_file(&path, &why.replace("flag --", "directive ")))?;
        }
    }
    if conflicts.is_empty() {
        return Ok(given);
    }
    let why = "the following directives are specified both as a flag and in the configuration file";
    Err(wrong_file(
        &path,
        &format!("{why}: {}", conflicts.join(", ")),
    ))
}

fn wrong_file(path: &Path, why: &str) -> String {
    format!(
        "unable to configure the Docker daemon with file {}: {why}",
        path.display()
    )
}

fn values(value: &Value) -> Option<Vec<String>> {
    match value {
        Value::String(text) => Some(vec![text.clone()]),
        Value::Bool(on) => Some(vec![on.to_string()]),
        Value::Number(number) => Some(vec![number.to_string()]),
        Value::Array(list) => list
            .iter()
            .map(|item| match item {
                Value::Object(fields) => joined(fields),
                item => item.as_str().map(str::to_owned),
            })
            .collect(),
        Value::Null | Value::Object(_) => None,
    }
}

/// An object as the flag of the same meaning writes it: `base=10.0.0.0/8,size=24`.
fn joined(fields: &serde_json::Map<String, Value>) -> Option<String> {
    let parts = fields.iter().map(|(key, value)| match value {
        Value::String(text) => Some(format!("{key}={text}")),
        Value::Number(number) => Some(format!("{key}={number}")),
        _ => None,
    });
    Some(parts.collect::<Option<Vec<_>>>()?.join(","))
}

/// Fills in the defaults.
fn decide(program: &str, given: &Given) -> Result<Options, String> {
    let exec_root = PathBuf::from(given.last("exec-root").unwrap_or("/run/corten"));
    let data_root = PathBuf::from(given.last("data-root").unwrap_or("/var/lib/corten"));
    for (name, path) in [("exec-root", &exec_root), ("data-root", &data_root)] {
        if !path.is_absolute() {
            return Err(format!(
                "--{name} must be an absolute path: {}",
                path.display()
            ));
        }
    }
    let log_level = given.last("log-level").unwrap_or("info").to_owned();
    if crate::log::level(&log_level).is_none() {
        return Err(format!("invalid log level: {log_level}"));
    }
    let (bridge, bip) = (given.owned("bridge"), given.owned("bip"));
    if bridge.as_deref() == Some("none") {
        return Err("flag --bridge none is not implemented".to_owned());
    }
    let number = |name: &str| {
        match given.last(name) {
        None => Ok(None),
        Some(text) => text.parse::<u32>().map(Some).map_err(|_| {
            format!("invalid argument \"{text}\" for \"--{name}\" flag: strconv.ParseInt: parsing \"{text}\": invalid syntax")
        }),
    }
    };
    let socket = match program {
        "dockerd" if given.last("exec-root").is_none() => PathBuf::from("/var/run/docker.sock"),
        _ => exec_root.join("corten.sock"),
    };
    let list = |name: &str| given.values.get(name).cloned();
    let hosts = list("host").unwrap_or_else(|| vec![format!("unix://{}", socket.display())]);
    let registries = |name: &str, check: fn(&str) -> Result<String, String>| {
        let given = list(name).unwrap_or_default();
        given
            .iter()
            .map(|text| check(text))
            .collect::<Result<Vec<_>, _>>()
    };
    let pools = list("default-address-pool").unwrap_or_default();
    let address_pools = pools.iter().map(|text| pools::parse(text));
    Ok(Options {
        address_pools: address_pools.collect::<Result<_, _>>()?,
        registry_mirrors: registries("registry-mirror", registries::mirror)?,
        insecure_registries: registries("insecure-registry", registries::insecure)?,
        registry_token_servers: registries("registry-token-server", registries::host)?,
        hosts,
        pidfile: given
            .last("pidfile")
            .map_or_else(|| exec_root.join("corten.pid"), PathBuf::from),
        bridge,
        bip,
        mtu: number("mtu")?.filter(|mtu| *mtu > 0),
        host_firewall: given.switch("host-firewall")?,
        // Who calls us by that name expects that one's files, to the byte.
        host_in_hosts: if given.last("host-in-hosts").is_some() {
            given.switch("host-in-hosts")?
        } else {
            program != "dockerd"
        },
        cgroup_parent: given.owned("cgroup-parent"),
        debug: given.switch("debug")?,
        log_level,
        group: given.owned("group"),
        idle_exit: number("idle-exit")?.map(|seconds| Duration::from_secs(u64::from(seconds))),
        data_root,
        exec_root,
    })
}

mod pools;
mod registries;
#[cfg(test)]
mod tests;
