//! Loads a compiled system call filter.

use std::io;

use crate::process::cvt;

/// Loads a filter, given as an array of `struct sock_filter` in bytes, for this thread and its children; `flags` are
/// `SECCOMP_FILTER_FLAG_*`.
///
/// Needs CAP_SYS_ADMIN, or no_new_privs set.
pub fn load(program: &[u8], flags: u64) -> io::Result<()> {
    let instruction = size_of::<libc::sock_filter>();
    if program.is_empty() || !program.len().is_multiple_of(instruction) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let mut filter: Vec<libc::sock_filter> = program
        .chunks_exact(instruction)
        .map(|bytes| libc::sock_filter {
            code: u16::from_ne_bytes([bytes[0], bytes[1]]),
            jt: bytes[2],
            jf: bytes[3],
            k: u32::from_ne_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]),
        })
        .collect();
    let program = libc::sock_fprog {
        len: u16::try_from(filter.len()).map_err(|_| io::Error::from_raw_os_error(libc::E2BIG))?,
        filter: filter.as_mut_ptr(),
    };
    // SAFETY: a program of that length, which the kernel copies and checks.
    cvt(unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            flags,
            &raw const program,
        )
    })
    .map(drop)
}
