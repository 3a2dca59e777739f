//! Users and groups, looked up in the container's own /etc/passwd and /etc/group, by Docker's rules.
//!
//! The files belong to the container: they are opened inside its root, only if they are regular, and read up to a limit.

use std::io;
use std::path::Path;

use sys::root::RootDir;

use crate::{Error, Result};

/// The largest passwd or group file that is read.
const MAX_FILE: u64 = 8 << 20;
/// The largest id that Docker accepts.
const MAX_ID: u32 = 0x7fff_ffff;

/// Who a process is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// User id.
    pub uid: u32,
    /// Primary group.
    pub gid: u32,
    /// Supplementary groups, the primary one first (CVE-2022-36109).
    pub groups: Vec<u32>,
    /// Home directory.
    pub home: String,
}

/// The two files of a container; what is missing is empty.
#[derive(Clone, Debug, Default)]
pub struct Accounts {
    passwd: String,
    group: String,
}

impl Accounts {
    /// Reads both files below a container's root.
    pub fn read(root: &RootDir) -> Result<Self> {
        Ok(Self {
            passwd: read(root, "etc/passwd")?,
            group: read(root, "etc/group")?,
        })
    }

    /// Finds `user[:group]` and the additional groups.
    pub fn identify(&self, user: &str, additional: &[String]) -> Result<Identity> {
        let (user_word, group_word) = user.split_once(':').unwrap_or((user, ""));
        let mut identity = Identity {
            home: "/".to_owned(),
            ..Identity::default()
        };
        let name = self.user(user_word, &mut identity)?;
        let mut groups = Vec::new();
        if !group_word.is_empty() {
            identity.gid = self.group(group_word)?;
        } else if let Some(name) = name {
            groups = self.memberships(&name);
        }
        for word in additional {
            groups.push(self.group(word)?);
        }
        identity.groups.push(identity.gid);
        for group in groups {
            if !identity.groups.contains(&group) {
                identity.groups.push(group);
            }
        }
        Ok(identity)
    }

    /// Fills in the user's part and returns its name if the file has one.
    fn user(&self, word: &str, identity: &mut Identity) -> Result<Option<String>> {
        let number = word.parse::<i64>().ok();
        let wanted = |name: &str, uid: u32| match number {
            _ if word.is_empty() => uid == 0,
            Some(number) => i64::from(uid) == number,
            None => name == word,
        };
        for line in lines(&self.passwd) {
            let fields: Vec<&str> = line.split(':').collect();
            let field = |index: usize| fields.get(index).copied().unwrap_or_default();
            let (Ok(uid), Ok(gid)) = (field(2).parse(), field(3).parse()) else {
                continue;
            };
            if wanted(field(0), uid) {
                (identity.uid, identity.gid) = (uid, gid);
                field(5).clone_into(&mut identity.home);
                return Ok(Some(field(0).to_owned()));
            }
        }
        match number {
            _ if word.is_empty() => {}
            Some(number) => identity.uid = in_range(number)?,
            None => {
                return Err(Error::Invalid(format!(
                    "unable to find user {word}: no matching entries in passwd file"
                )));
            }
        }
        Ok(None)
    }

    fn group(&self, word: &str) -> Result<u32> {
        let number = word.parse::<i64>().ok();
        for (name, gid, _) in self.groups() {
            let found = match number {
                Some(number) => i64::from(gid) == number,
                None => name == word,
            };
            if found {
                return Ok(gid);
            }
        }
        match number {
            Some(number) => in_range(number),
            None => Err(Error::Invalid(format!(
                "unable to find group {word}: no matching entries in group file"
            ))),
        }
    }

    fn memberships(&self, user: &str) -> Vec<u32> {
        self.groups()
            .filter(|(_, _, members)| members.split(',').any(|member| member == user))
            .map(|(_, gid, _)| gid)
            .collect()
    }

    fn groups(&self) -> impl Iterator<Item = (&str, u32, &str)> {
        lines(&self.group).filter_map(|line| {
            let mut fields = line.splitn(4, ':');
            let (name, _) = (fields.next()?, fields.next()?);
            Some((
                name,
                fields.next()?.parse().ok()?,
                fields.next().unwrap_or_default(),
            ))
        })
    }
}

fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
}

fn in_range(number: i64) -> Result<u32> {
    match u32::try_from(number) {
        Ok(id) if id <= MAX_ID => Ok(id),
        _ => Err(Error::Invalid(format!(
            "uids and gids must be in range 0-{MAX_ID}"
        ))),
    }
}

fn read(root: &RootDir, path: &str) -> Result<String> {
    match root.read_small(Path::new(path), MAX_FILE) {
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        // A directory on the way that is none, or a link into nothing, is no file either.
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            Ok(String::new())
        }
        Err(error) => Err(Error::Io {
            what: format!("read /{path} of the container"),
            source: error,
        }),
    }
}

#[cfg(test)]
mod tests;
