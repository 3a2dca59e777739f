//! clone3 with a stack for the child, which no C library offers: the only way to be born in a cgroup2 group.
//!
//! Moving a process there later makes the kernel wait for all CPUs (`cgroup_threadgroup_rwsem`): milliseconds, measured
//! 9 ms at the median on a busy machine of two.

use std::ffi::{c_int, c_void};
use std::os::fd::RawFd;

/// `struct clone_args` of linux/sched.h (5.7).
#[repr(C, align(8))]
#[derive(Debug, Default)]
struct Arguments {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

/// What the child runs; it never returns.
pub(super) type Entry = extern "C" fn(*mut c_void) -> c_int;

/// Starts `entry` on a stack of its own in the caller's memory, in the cgroup2 group of the directory `cgroup`; the
/// caller waits until the child has executed a program or ended. Gives the process id or a negated errno.
///
/// # Safety
///
/// `entry` makes system calls only and never returns; `stack` (16-aligned at its end), `data` and `pidfd` live until
/// this returns.
pub(super) unsafe fn clone3(
    entry: Entry,
    data: *mut c_void,
    stack: &mut [std::mem::MaybeUninit<u128>],
    pidfd: &mut c_int,
    cgroup: RawFd,
) -> c_int {
    const INTO_CGROUP: u64 = 0x2_0000_0000;
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_PIDFD;
    let arguments = Arguments {
        flags: u64::from(flags.cast_unsigned()) | INTO_CGROUP,
        pidfd: std::ptr::from_mut(pidfd) as u64,
        exit_signal: u64::from(libc::SIGCHLD.cast_unsigned()),
        stack: stack.as_mut_ptr() as u64,
        stack_size: size_of_val(stack) as u64,
        cgroup: u64::from(cgroup.cast_unsigned()),
        ..Arguments::default()
    };
    // SAFETY: the caller keeps what `call` asks for; the arguments live until it returns.
    unsafe { call(&arguments, entry, data) }
}

#[cfg(target_arch = "x86_64")]
unsafe fn call(arguments: &Arguments, entry: Entry, data: *mut c_void) -> c_int {
    let result: i64;
    // SAFETY: the kernel preserves all registers but rax, rcx and r11. The child comes out with its own stack pointer and
    // never leaves the call; the parent's frame is as it was, since the child runs below another stack's end.
    unsafe {
        std::arch::asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "xor ebp, ebp",
            "mov rdi, r8",
            "call r9",
            "ud2",
            "2:",
            inlateout("rax") libc::SYS_clone3 => result,
            in("rdi") std::ptr::from_ref(arguments),
            in("rsi") size_of::<Arguments>(),
            in("r8") data,
            in("r9") entry,
            out("rcx") _,
            out("r11") _,
        );
    }
    narrow(result)
}

#[cfg(target_arch = "aarch64")]
unsafe fn call(arguments: &Arguments, entry: Entry, data: *mut c_void) -> c_int {
    let result: i64;
    // SAFETY: the kernel preserves all registers but x0. The child comes out with its own stack pointer and never leaves
    // the call; the parent's frame is as it was, since the child runs below another stack's end.
    unsafe {
        std::arch::asm!(
            "svc 0",
            "cbnz x0, 2f",
            "mov x29, xzr",
            "mov x0, x9",
            "blr x10",
            "brk 1",
            "2:",
            inlateout("x0") std::ptr::from_ref(arguments) => result,
            in("x1") size_of::<Arguments>(),
            in("x8") libc::SYS_clone3,
            in("x9") data,
            in("x10") entry,
            // Written by the child only, whose registers are its own; named since `blr` names it.
            out("x30") _,
        );
    }
    narrow(result)
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
unsafe fn call(_: &Arguments, _: Entry, _: *mut c_void) -> c_int {
    -libc::ENOSYS
}

/// A process id or a negated errno: both fit.
fn narrow(result: i64) -> c_int {
    c_int::try_from(result).unwrap_or(-libc::EINVAL)
}
