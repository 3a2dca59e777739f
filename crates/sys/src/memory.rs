//! The allocator of small, long-lived processes.

use libc::c_int;

/// Makes blocks of 16 KiB and more mappings of their own, so that freeing one gives its memory back at once, and lets the
/// heap grow in small steps.
pub fn keep_small() {
    const STEPS: [(c_int, c_int); 3] = [
        (libc::M_MMAP_THRESHOLD, 16 * 1024),
        (libc::M_TRIM_THRESHOLD, 8 * 1024),
        (libc::M_TOP_PAD, 4 * 1024),
    ];
    for (parameter, value) in STEPS {
        // SAFETY: changes a parameter of the allocator; a refusal changes nothing.
        unsafe { libc::mallopt(parameter, value) };
    }
}

/// Gives free memory back to the kernel.
pub fn trim() {
    // SAFETY: no arguments that could be wrong.
    unsafe { libc::malloc_trim(0) };
}

/// Gives back what deep calls have left below the present end of the stack.
///
/// For the first thread of a process only, whose stack has nothing else below it within the distance given back.
pub fn trim_stack() {
    const KEPT: usize = 8 * 1024;
    const GIVEN: usize = 512 * 1024;
    const PAGE: usize = 4096;
    let here = 0_u8;
    let end = (std::ptr::from_ref(&here).addr() - KEPT) & !(PAGE - 1);
    // SAFETY: memory below the stack pointer (and below what this call and a signal handler on top of it use) holds
    // nothing that is alive. Where the range reaches beyond the stack's mapping nothing is mapped: the kernel keeps a gap
    // of 1 MiB free below a stack that grows.
    unsafe {
        libc::madvise(
            std::ptr::without_provenance_mut(end - GIVEN),
            GIVEN,
            libc::MADV_DONTNEED,
        )
    };
}
