//! Capability sets as bit masks, and their names.

use std::io;

use crate::process::cvt;

/// Names by number, without `CAP_`.
const NAMES: [&str; 41] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];

/// All capabilities that have a name here.
pub const ALL: u64 = (1 << NAMES.len()) - 1;

/// The mask of one capability, by name with or without `CAP_`, in any case.
pub fn by_name(name: &str) -> Option<u64> {
    let upper = name.to_ascii_uppercase();
    let bare = upper.strip_prefix("CAP_").unwrap_or(&upper);
    NAMES
        .iter()
        .position(|known| *known == bare)
        .map(|bit| 1 << bit)
}

/// The names (`CAP_…`) of a mask.
pub fn names(mask: u64) -> Vec<String> {
    (0..)
        .zip(NAMES)
        .filter(|(bit, _)| mask & (1 << bit) != 0)
        .map(|(_, name)| format!("CAP_{name}"))
        .collect()
}

/// The sets of one thread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sets {
    /// What may be used.
    pub effective: u64,
    /// What may be made effective.
    pub permitted: u64,
    /// What a program with file capabilities may inherit.
    pub inheritable: u64,
}

#[repr(C)]
struct Header {
    version: u32,
    pid: i32,
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Data {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

const VERSION_3: u32 = 0x2008_0522;

/// This thread's sets.
pub fn get() -> io::Result<Sets> {
    let mut header = Header {
        version: VERSION_3,
        pid: 0,
    };
    let mut data = [Data::default(); 2];
    // SAFETY: a header of version 3 and the two data blocks that it stands for.
    cvt(unsafe { libc::syscall(libc::SYS_capget, &raw mut header, data.as_mut_ptr()) })?;
    let join = |low: u32, high: u32| u64::from(low) | u64::from(high) << 32;
    Ok(Sets {
        effective: join(data[0].effective, data[1].effective),
        permitted: join(data[0].permitted, data[1].permitted),
        inheritable: join(data[0].inheritable, data[1].inheritable),
    })
}

/// Changes this thread's sets.
pub fn set(sets: Sets) -> io::Result<()> {
    let mut header = Header {
        version: VERSION_3,
        pid: 0,
    };
    #[expect(clippy::cast_possible_truncation, reason = "the halves of a mask")]
    let half = |shift: u32| Data {
        effective: (sets.effective >> shift) as u32,
        permitted: (sets.permitted >> shift) as u32,
        inheritable: (sets.inheritable >> shift) as u32,
    };
    let data = [half(0), half(32)];
    // SAFETY: a header of version 3 and the two data blocks that it stands for.
    cvt(unsafe { libc::syscall(libc::SYS_capset, &raw mut header, data.as_ptr()) }).map(drop)
}

/// Drops from the bounding set whatever is not in `keep`, up to the last capability that the kernel knows.
pub fn limit_bounding(keep: u64) -> io::Result<()> {
    for bit in 0..64 {
        if keep & (1 << bit) != 0 {
            continue;
        }
        // SAFETY: integers.
        match cvt(unsafe { libc::prctl(libc::PR_CAPBSET_DROP, bit, 0, 0, 0) }.into()) {
            // Beyond the last capability of this kernel.
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => break,
            other => other.map(drop)?,
        }
    }
    Ok(())
}

/// Empties the ambient set, then raises what `mask` holds; all of it must be permitted and inheritable.
pub fn set_ambient(mask: u64) -> io::Result<()> {
    ambient(libc::PR_CAP_AMBIENT_CLEAR_ALL, 0)?;
    for bit in (0..64).filter(|bit| mask & (1 << bit) != 0) {
        ambient(libc::PR_CAP_AMBIENT_RAISE, bit)?;
    }
    Ok(())
}

fn ambient(operation: i32, bit: libc::c_ulong) -> io::Result<()> {
    // SAFETY: integers.
    cvt(unsafe { libc::prctl(libc::PR_CAP_AMBIENT, operation, bit, 0, 0) }.into()).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_by_number() {
        assert_eq!(by_name("CAP_CHOWN"), Some(1));
        assert_eq!(by_name("sys_admin"), Some(1 << 21));
        assert_eq!(by_name("CAP_CHECKPOINT_RESTORE"), Some(1 << 40));
        assert_eq!(by_name("CAP_NOTHING"), None);
        assert_eq!(names(1 << 27), ["CAP_MKNOD"]);
        assert_eq!(get().unwrap().inheritable & !ALL, 0);
    }
}
