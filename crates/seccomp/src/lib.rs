//! Seccomp profiles to BPF programs: reads Docker's profile format and the OCI one, decides what applies to a container's
//! capabilities, architecture and kernel, and compiles the rest.
//!
//! Pure: data in, bytes out. Loading a program is `sys::seccomp`'s. Verdicts equal libseccomp's (checked against its own
//! programs over hundreds of thousands of calls), except where Docker's rules can be evaded: see [`compile`].

mod assembler;
mod compile;
mod profile;
mod table;

pub use profile::{Action, Arch, Arg, Context, Error, Filter, Operator, Profile, Rule};

#[cfg(test)]
mod tests;
