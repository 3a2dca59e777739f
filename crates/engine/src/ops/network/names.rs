//! What a container is called on a network: for whatever answers questions about names, and for `inspect`.
//!
//! The default bridge, host and none have no names, as in Docker: containers there know one another by links alone.

use crate::container::Published;

/// What a container is called where it has these aliases: its name first (a reverse lookup answers with it), then aliases,
/// short id and host name; each once.
pub fn of(now: &Published, aliases: &[String]) -> Vec<String> {
    let own = std::iter::once(now.name.to_string());
    let rest = [
        now.id()[..12].to_owned(),
        now.record.effective.hostname.clone(),
    ];
    let mut names = Vec::new();
    for name in own.chain(aliases.iter().cloned()).chain(rest) {
        if !name.is_empty() && !names.contains(&name) {
            names.push(name);
        }
    }
    names
}
