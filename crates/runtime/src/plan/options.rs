//! Options of mount(8), as the specification uses them.

use sys::mount::{attribute, propagation};

/// Options, sorted by what they are about.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    /// `bind` or `rbind` was there.
    pub(crate) bind: bool,
    /// `rbind` was there.
    pub(crate) recursive_bind: bool,
    /// Attributes to set and to clear.
    pub(crate) attributes: (u64, u64),
    /// The same, of the whole tree.
    pub(crate) recursive_attributes: (u64, u64),
    /// Propagation, and whether of the whole tree.
    pub(crate) propagation: (u64, bool),
    /// Options of the file system.
    pub(crate) data: Vec<(String, Option<String>)>,
}

/// What an attribute option sets and clears.
fn attributes(name: &str) -> Option<(u64, u64)> {
    Some(match name {
        "ro" => (attribute::READ_ONLY, 0),
        "rw" => (0, attribute::READ_ONLY),
        "nosuid" => (attribute::NO_SUID, 0),
        "suid" => (0, attribute::NO_SUID),
        "nodev" => (attribute::NO_DEV, 0),
        "dev" => (0, attribute::NO_DEV),
        "noexec" => (attribute::NO_EXEC, 0),
        "exec" => (0, attribute::NO_EXEC),
        "nodiratime" => (attribute::NO_DIR_ATIME, 0),
        "diratime" => (0, attribute::NO_DIR_ATIME),
        "nosymfollow" => (attribute::NO_SYMFOLLOW, 0),
        "symfollow" => (0, attribute::NO_SYMFOLLOW),
        "noatime" => (attribute::NO_ATIME, attribute::ATIME),
        "strictatime" => (attribute::STRICT_ATIME, attribute::ATIME),
        "relatime" | "atime" | "norelatime" | "nostrictatime" => (0, attribute::ATIME),
        _ => return None,
    })
}

fn propagations(name: &str) -> Option<u64> {
    Some(match name {
        "private" => propagation::PRIVATE,
        "slave" => propagation::SLAVE,
        "shared" => propagation::SHARED,
        "unbindable" => propagation::UNBINDABLE,
        _ => return None,
    })
}

/// Reads propagation as of `rootfsPropagation`.
pub(crate) fn parse_propagation(name: &str) -> Option<(u64, bool)> {
    if let Some(value) = propagations(name) {
        return Some((value, false));
    }
    Some((propagations(name.strip_prefix('r')?)?, true))
}

/// Later options win over earlier ones.
fn merge(into: &mut (u64, u64), (set, clear): (u64, u64)) {
    into.0 = into.0
        & !clear
        & !(if set & attribute::ATIME == 0 {
            0
        } else {
            attribute::ATIME
        })
        | set;
    into.1 = into.1 & !set | clear;
}

/// Sorts options; `Err` names one that is not supported.
pub(crate) fn parse(options: &[String]) -> Result<Options, String> {
    let mut parsed = Options::default();
    for option in options {
        let name = option.as_str();
        match name {
            "" | "defaults" | "remount" | "loud" | "silent" | "tmpcopyup" | "z" | "Z" => continue,
            "bind" => {
                parsed.bind = true;
                continue;
            }
            "rbind" => {
                parsed.bind = true;
                parsed.recursive_bind = true;
                continue;
            }
            "idmap" | "ridmap" => return Err(format!("mount option {name}")),
            _ => {}
        }
        if let Some(change) = attributes(name) {
            merge(&mut parsed.attributes, change);
        } else if let Some(value) = parse_propagation(name) {
            parsed.propagation = value;
        } else if let Some(change) = name.strip_prefix('r').and_then(attributes) {
            merge(&mut parsed.recursive_attributes, change);
        } else {
            let (key, value) = name
                .split_once('=')
                .map_or((name, None), |(key, value)| (key, Some(value)));
            parsed.data.push((key.to_owned(), value.map(str::to_owned)));
        }
    }
    Ok(parsed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(options: &[&str]) -> Options {
        parse(
            &options
                .iter()
                .map(|option| (*option).to_owned())
                .collect::<Vec<_>>(),
        )
        .unwrap()
    }

    #[test]
    fn sorts_by_meaning() {
        let options = parsed(&[
            "rbind",
            "ro",
            "rprivate",
            "nosuid",
            "rro",
            "size=64m",
            "newinstance",
        ]);
        assert!(options.bind && options.recursive_bind);
        assert_eq!(
            options.attributes,
            (attribute::READ_ONLY | attribute::NO_SUID, 0)
        );
        assert_eq!(options.recursive_attributes, (attribute::READ_ONLY, 0));
        assert_eq!(options.propagation, (propagation::PRIVATE, true));
        assert_eq!(
            options.data,
            [
                ("size".into(), Some("64m".into())),
                ("newinstance".into(), None)
            ]
        );
    }

    #[test]
    fn the_last_option_wins() {
        assert_eq!(parsed(&["ro", "rw"]).attributes, (0, attribute::READ_ONLY));
        assert_eq!(parsed(&["rw", "ro"]).attributes, (attribute::READ_ONLY, 0));
        assert_eq!(
            parsed(&["noatime", "strictatime"]).attributes,
            (attribute::STRICT_ATIME, attribute::ATIME)
        );
        assert_eq!(parsed(&["relatime"]).attributes, (0, attribute::ATIME));
        assert!(parse(&["idmap".to_owned()]).is_err());
    }
}
