//! Named points of an operation between which a crash must be harmless. A crash test names one; the process aborts there.
//!
//! The list is what such tests enumerate, so a step that is not in it does not compile into one: [`step`] asserts it.

use std::sync::OnceLock;

/// Every step, in the order in which a container passes them.
pub const ALL: [&str; 29] = [
    "create.named",
    "create.prepared",
    "create.directory",
    "create.recorded",
    "start.leased",
    "start.mounted",
    "start.connected",
    "start.files",
    "start.spawned",
    "start.created",
    "start.started",
    "start.running",
    "start.recorded",
    "connect.noted",
    "connect.plugged",
    "connect.recorded",
    "disconnect.begun",
    "disconnect.rerouted",
    "disconnect.unplugged",
    "disconnect.noted",
    "disconnect.recorded",
    "stop.signalled",
    "exit.received",
    "exit.released",
    "exit.published",
    "remove.leased",
    "remove.marked",
    "remove.snapshot",
    "remove.directory",
];

static FAIL_AT: OnceLock<String> = OnceLock::new();

/// Arms one step for this process.
pub fn arm(step: &str) {
    FAIL_AT.get_or_init(|| step.to_owned());
}

/// A step has been reached.
pub fn step(name: &'static str) {
    debug_assert!(ALL.contains(&name), "{name} is not in steps::ALL");
    if FAIL_AT.get().is_some_and(|armed| armed == name) {
        std::process::abort();
    }
}
