//! Keys and the names of their directories.

use crate::Error;

/// Longest key.
const MAX: usize = 128;

/// The directory's name for a key: the colon of a digest becomes `@`, which no key has.
pub(crate) fn directory(key: &str) -> Result<String, Error> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric();
    let valid = key.len() <= MAX
        && key.bytes().next().is_some_and(plain)
        && key
            .bytes()
            .all(|byte| plain(byte) || matches!(byte, b'_' | b'.' | b'-' | b':'));
    if valid && !key.starts_with(REMOVED) && !key.starts_with(READY) {
        Ok(key.replace(':', "@"))
    } else {
        Err(Error::Key(key.to_owned()))
    }
}

/// The key of a directory's name.
pub(crate) fn of_directory(name: &str) -> Option<String> {
    let key = name.replace('@', ":");
    directory(&key)
        .is_ok_and(|directory| directory == name)
        .then_some(key)
}

/// How names of directories begin that are on their way out.
pub(crate) const REMOVED: &str = "removed-";

/// How names of directories begin that no tree has yet.
pub(crate) const READY: &str = "ready-";
