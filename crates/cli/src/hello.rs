//! The text of `corten/hello`: what has just happened, with facts that can be seen from inside.
//!
//! Runs as the first process of a container whose image holds nothing but this program: everything comes from `/proc`
//! and `/sys`, and whatever cannot be read is left out.

use std::fs;

/// Prints the text.
pub fn hello() {
    crate::report::print(&text(&Facts::gather()));
}

/// What is seen from inside.
#[derive(Debug, Default)]
struct Facts {
    hostname: Option<String>,
    pid: u32,
    kernel: Option<String>,
    user: Option<String>,
    memory_limit: Option<String>,
    namespaces: Vec<String>,
    capabilities: Option<usize>,
    seccomp: bool,
    addresses: Vec<String>,
}

impl Facts {
    fn gather() -> Self {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let field = |name: &str| {
            let line = status
                .lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            line.map(|value| value.trim().to_owned())
        };
        let id = |name: &str| field(name)?.split_whitespace().nth(1).map(str::to_owned);
        Self {
            hostname: read("/proc/sys/kernel/hostname"),
            pid: std::process::id(),
            kernel: read("/proc/sys/kernel/osrelease"),
            user: id("Uid")
                .zip(id("Gid"))
                .map(|(uid, gid)| format!("{uid}:{gid}")),
            memory_limit: memory_limit(),
            namespaces: namespaces(),
            capabilities: field("CapEff")
                .and_then(|mask| u64::from_str_radix(&mask, 16).ok())
                .map(|mask| mask.count_ones() as usize),
            seccomp: field("Seccomp").as_deref() == Some("2"),
            addresses: addresses(),
        }
    }
}

fn read(path: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}

/// The cgroup's memory limit, of either version; none when there is none.
fn memory_limit() -> Option<String> {
    let limit = read("/sys/fs/cgroup/memory.max")
        .or_else(|| read("/sys/fs/cgroup/memory/memory.limit_in_bytes"))?;
    // Version 1 says "no limit" with the largest multiple of a page.
    let bytes: u64 = limit.parse().ok().filter(|bytes| *bytes < 1 << 62)?;
    #[expect(clippy::cast_precision_loss, reason = "four digits are printed")]
    Some(stdx::size::bytes_size(bytes as f64))
}

/// The namespaces this process is in, by their kinds.
fn namespaces() -> Vec<String> {
    let entries = fs::read_dir("/proc/self/ns")
        .into_iter()
        .flatten()
        .flatten();
    let mut kinds: Vec<String> = entries
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| !name.ends_with("_for_children") && name != "user" && name != "time")
        .collect();
    kinds.sort();
    kinds
}

/// The machine's own IPv4 addresses: in the routing trie each is followed by `/32 host LOCAL`.
fn addresses() -> Vec<String> {
    let trie = fs::read_to_string("/proc/net/fib_trie").unwrap_or_default();
    let mut found = Vec::new();
    let mut candidate = "";
    for line in trie.lines().map(str::trim) {
        if let Some(address) = line.strip_prefix("|-- ") {
            candidate = address;
        } else if line == "/32 host LOCAL"
            && !candidate.starts_with("127.")
            && !found.iter().any(|known| known == candidate)
        {
            found.push(candidate.to_owned());
        }
    }
    found
}

fn text(facts: &Facts) -> String {
    let mut steps = vec![
        "The corten command asked the Corten daemon over its Unix socket for a container.".to_owned(),
        "The daemon made the \"corten/hello\" image on the spot, out of its own program, unless it was there already,\n    \
         and laid a writable layer over it."
            .to_owned(),
    ];
    let mut third = "The daemon had the container's monitor start this program in it".to_owned();
    if !facts.namespaces.is_empty() {
        third.push_str(&format!(
            ":\n    in namespaces of its own ({})",
            facts.namespaces.join(", ")
        ));
    }
    if let Some(count) = facts.capabilities {
        let filter = if facts.seccomp {
            " and a system call filter"
        } else {
            ""
        };
        third.push_str(&format!(",\n    with {count} capabilities{filter}"));
    }
    steps.push(third + ".");
    steps.push(
        "The program wrote this text; the monitor logged it and passed it on to the corten command,\n    \
         which sent it to your terminal."
            .to_owned(),
    );
    let mut text = "\nHello from Corten!\nThis message shows that your installation appears to be working correctly.\n\n\
                    To generate this message, Corten took the following steps:\n"
        .to_owned();
    for (index, step) in steps.iter().enumerate() {
        text.push_str(&format!(" {}. {step}\n", index + 1));
    }
    text.push_str("\nSeen from inside the container:\n");
    let memory = facts
        .memory_limit
        .clone()
        .unwrap_or_else(|| "no limit".to_owned());
    let address = Some(facts.addresses.join(", ")).filter(|list| !list.is_empty());
    let rows = [
        ("hostname", facts.hostname.clone()),
        ("process id", Some(facts.pid.to_string())),
        ("user", facts.user.clone()),
        ("kernel", facts.kernel.clone()),
        ("memory", Some(memory)),
        ("address", address),
    ];
    for (name, value) in rows {
        if let Some(value) = value {
            text.push_str(&format!("  {name:<12} {value}\n"));
        }
    }
    text.push_str(
        "\nTo try something more ambitious, load an image and run a shell in it:\n \
         $ corten load -i debian.tar\n $ corten run -it debian:bookworm bash\n\n",
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_seen_is_left_out() {
        let text = text(&Facts {
            pid: 1,
            ..Facts::default()
        });
        assert!(text.contains("process id   1\n") && text.contains("no limit"));
        assert!(!text.contains("hostname") && !text.contains("address"));
        assert!(!text.contains("namespaces"));
    }
}
