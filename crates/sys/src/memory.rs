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
