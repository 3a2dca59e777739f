//! The user's terminal: raw mode, its size, and the keys that detach from a container.

use std::os::fd::AsFd;

use client::{Client, Method, Request, query};
use tokio::signal::unix::{SignalKind, signal};

use crate::report::Failure;

/// Raw mode of the terminal at standard input, until dropped.
pub(crate) fn raw() -> Result<sys::tty::RawMode, Failure> {
    sys::tty::RawMode::enter(std::io::stdin().as_fd())
        .map_err(|error| Failure::new(format!("set the terminal to raw mode: {error}")))
}

/// Shows nothing of what is typed at standard input, until dropped.
pub(crate) fn hidden() -> Result<sys::tty::NoEcho, Failure> {
    sys::tty::NoEcho::enter(std::io::stdin().as_fd())
        .map_err(|error| Failure::new(format!("hide the terminal's input: {error}")))
}

/// Rows and columns of the terminal at standard output; none where there is no terminal.
pub(crate) fn size() -> Option<(u16, u16)> {
    let size = sys::tty::size(std::io::stdout().as_fd()).ok()?;
    (size.rows > 0 && size.columns > 0).then_some((size.rows, size.columns))
}

/// Rows and columns as the API takes them.
pub(crate) fn console_size() -> Option<[u64; 2]> {
    size().map(|(rows, columns)| [u64::from(rows), u64::from(columns)])
}

/// Tells the daemon the terminal's size, at first and at each change. `target` is `/containers/ID` or `/exec/ID`.
pub(crate) async fn follow_size(client: &Client, target: &str) {
    let changes = signal(SignalKind::window_change());
    let mut known = None;
    if let Ok(mut changes) = changes {
        loop {
            let now = size();
            if now != known
                && let Some((rows, columns)) = now
            {
                let (rows, columns) = (rows.to_string(), columns.to_string());
                let path = query(
                    &format!("{target}/resize"),
                    &[("h", &rows), ("w", &columns)],
                );
                // A container that has just ended has no size; the stream tells so.
                drop(client.perform(Request::new(Method::Post, path)).await);
                known = now;
            }
            changes.recv().await;
        }
    }
    std::future::pending::<()>().await;
}

/// Parses `ctrl-p,ctrl-q` into the bytes that the terminal sends.
pub(crate) fn detach_keys(text: &str) -> Result<Vec<u8>, Failure> {
    text.split(',')
        .map(
            |key| match key.strip_prefix("ctrl-").unwrap_or(key).as_bytes() {
                [letter] if key.len() == 1 => Some(*letter),
                [letter @ b'a'..=b'z'] => Some(letter - b'a' + 1),
                [letter @ b'A'..=b'Z'] => Some(letter - b'A' + 1),
                b"@" => Some(0),
                b"[" => Some(27),
                b"\\" => Some(28),
                b"]" => Some(29),
                b"^" => Some(30),
                b"_" => Some(31),
                _ if key == "DEL" => Some(127),
                _ => None,
            },
        )
        .collect::<Option<Vec<u8>>>()
        .ok_or_else(|| {
            Failure::new(format!(
                "invalid detach keys ({text}): Unknown character: '{text}'"
            ))
        })
}

/// Watches what is typed for the detach keys.
#[derive(Debug)]
pub(crate) struct Detacher {
    keys: Vec<u8>,
    matched: usize,
}

impl Detacher {
    pub(crate) fn new(keys: Vec<u8>) -> Self {
        Self { keys, matched: 0 }
    }

    /// Returns what is to be sent, and whether the keys are complete. Keys that may still become the sequence are held.
    pub(crate) fn filter(&mut self, typed: &[u8]) -> (Vec<u8>, bool) {
        let mut passed = Vec::with_capacity(typed.len());
        for byte in typed {
            if self.keys.get(self.matched) == Some(byte) {
                self.matched += 1;
                if self.matched == self.keys.len() {
                    self.matched = 0;
                    return (passed, true);
                }
                continue;
            }
            passed.extend_from_slice(&self.keys[..self.matched]);
            self.matched = usize::from(self.keys.first() == Some(byte));
            if self.matched == 0 {
                passed.push(*byte);
            }
        }
        (passed, false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn detach_keys_are_seen_however_they_arrive() {
        let mut detacher = Detacher::new(detach_keys("ctrl-p,ctrl-q").unwrap());
        assert_eq!(detacher.filter(b"a\x10"), (b"a".to_vec(), false));
        assert_eq!(detacher.filter(b"b"), (b"\x10b".to_vec(), false));
        assert_eq!(detacher.filter(b"c\x10\x11d"), (b"c".to_vec(), true));
        assert_eq!(detacher.filter(b"\x10\x10\x11"), (b"\x10".to_vec(), true));
        assert!(detach_keys("ctrl-?").is_err());
    }
}
