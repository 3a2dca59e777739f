//! What a container gets when nothing else was asked. The only place of such values.

/// Bytes of a log file before it is rotated. Docker's has no limit and fills disks.
pub const LOG_MAX_SIZE: u64 = 20 << 20;
/// Log files kept.
pub const LOG_MAX_FILES: u32 = 5;
/// Bytes of /dev/shm.
pub const SHM_SIZE: u64 = 64 << 20;
/// Seconds between the stop signal and KILL.
pub const STOP_TIMEOUT: i64 = 10;
/// PATH of a container whose image sets none.
pub const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Docker's fourteen capabilities.
pub const CAPABILITIES: [&str; 14] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "FSETID",
    "FOWNER",
    "MKNOD",
    "NET_RAW",
    "SETGID",
    "SETUID",
    "SETFCAP",
    "SETPCAP",
    "NET_BIND_SERVICE",
    "SYS_CHROOT",
    "KILL",
    "AUDIT_WRITE",
];

/// Paths hidden from a container that is not privileged: moby's list.
pub const MASKED_PATHS: [&str; 12] = [
    "/proc/asound",
    "/proc/acpi",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
    "/sys/devices/virtual/powercap",
];

/// Paths that a container may read only: moby's list.
pub const READONLY_PATHS: [&str; 5] = [
    "/proc/bus",
    "/proc/fs",
    "/proc/irq",
    "/proc/sys",
    "/proc/sysrq-trigger",
];
