//! The device filter of a cgroup2 group: a few rules become a BPF program.
//!
//! The program keeps the access bits asked for in a register and walks the rules from the last to the first: an allowing
//! rule takes its bits away and allows once none is left, a denying rule refuses if one of its bits is still there. That
//! is exactly what the rules mean when applied in order; without a match the answer is no.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use crate::process::cvt;

/// Kind of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Block.
    Block,
    /// Character.
    Character,
}

/// One rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Allow or deny.
    pub allow: bool,
    /// Kind; none: both.
    pub kind: Option<Kind>,
    /// Major number; none: all.
    pub major: Option<u32>,
    /// Minor number; none: all.
    pub minor: Option<u32>,
    /// Reading.
    pub read: bool,
    /// Writing.
    pub write: bool,
    /// Making nodes.
    pub make: bool,
}

#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Instruction {
    code: u8,
    registers: u8,
    offset: i16,
    immediate: i32,
}

const fn op(code: u8, register: u8, offset: i16, immediate: i32) -> Instruction {
    Instruction {
        code,
        registers: register,
        offset,
        immediate,
    }
}

const LOAD_WORD: u8 = 0x61;
const AND_IMM: u8 = 0x54;
const SHIFT_RIGHT_IMM: u8 = 0x74;
const MOVE_IMM: u8 = 0xb4;
const MOVE_REG: u8 = 0xbc;
const JUMP_NOT_EQUAL: u8 = 0x56;
const JUMP_SET: u8 = 0x46;
const JUMP: u8 = 0x05;
const EXIT: u8 = 0x95;

/// Registers: r1 the context, r2 kind, r3 access bits left, r4 major, r5 minor.
fn assemble(rules: &[Rule]) -> Vec<Instruction> {
    let load = |register: u8, offset: i16| op(LOAD_WORD, register | 1 << 4, offset, 0);
    let mut program = vec![
        load(2, 0),
        op(MOVE_REG, 3 | 2 << 4, 0, 0),
        op(AND_IMM, 2, 0, 0xffff),
        op(SHIFT_RIGHT_IMM, 3, 0, 16),
        load(4, 4),
        load(5, 8),
    ];
    for rule in rules.iter().rev() {
        let mut conditions: Vec<(u8, i32)> = Vec::new();
        if let Some(kind) = rule.kind {
            conditions.push((2, if kind == Kind::Block { 1 } else { 2 }));
        }
        conditions.extend(rule.major.map(|major| (4, major.cast_signed())));
        conditions.extend(rule.minor.map(|minor| (5, minor.cast_signed())));
        let access = i32::from(rule.make) | i32::from(rule.read) << 1 | i32::from(rule.write) << 2;
        let verdict = if rule.allow {
            vec![
                op(AND_IMM, 3, 0, 7 & !access),
                op(JUMP_NOT_EQUAL, 3, 2, 0),
                op(MOVE_IMM, 0, 0, 1),
                op(EXIT, 0, 0, 0),
            ]
        } else {
            vec![
                op(JUMP_SET, 3, 1, access),
                op(JUMP, 0, 2, 0),
                op(MOVE_IMM, 0, 0, 0),
                op(EXIT, 0, 0, 0),
            ]
        };
        let mut left = conditions.len() + verdict.len();
        for (register, value) in conditions {
            left -= 1;
            program.push(op(
                JUMP_NOT_EQUAL,
                register,
                i16::try_from(left).unwrap_or(0),
                value,
            ));
        }
        program.extend(verdict);
    }
    program.extend([op(MOVE_IMM, 0, 0, 0), op(EXIT, 0, 0, 0)]);
    program
}

/// The kernel writes past the structure that it was given for queries and attachments, from 6.17 until 7.1: whatever
/// goes to bpf(2) is this large and zeroed.
const ATTRIBUTE_BYTES: usize = 256;

#[repr(C, align(8))]
struct Attribute([u8; ATTRIBUTE_BYTES]);

impl Attribute {
    fn new() -> Self {
        Self([0; ATTRIBUTE_BYTES])
    }

    fn u32(mut self, offset: usize, value: u32) -> Self {
        self.0[offset..offset + 4].copy_from_slice(&value.to_ne_bytes());
        self
    }

    fn u64(mut self, offset: usize, value: u64) -> Self {
        self.0[offset..offset + 8].copy_from_slice(&value.to_ne_bytes());
        self
    }
}

const PROG_LOAD: libc::c_int = 5;
const PROG_ATTACH: libc::c_int = 8;
const PROG_TYPE_CGROUP_DEVICE: u32 = 15;
const ATTACH_CGROUP_DEVICE: u32 = 6;
const ALLOW_MULTI: u32 = 2;

/// Attaches a filter made of these rules to a group, in addition to those of its parents.
pub fn restrict_devices(cgroup: BorrowedFd<'_>, rules: &[Rule]) -> io::Result<()> {
    let program = assemble(rules);
    let count = u32::try_from(program.len()).map_err(io::Error::other)?;
    let mut load = Attribute::new()
        .u32(0, PROG_TYPE_CGROUP_DEVICE)
        .u32(4, count)
        .u64(8, program.as_ptr() as u64)
        .u64(16, c"Apache-2.0".as_ptr() as u64)
        .u32(68, ATTACH_CGROUP_DEVICE);
    // SAFETY: the attribute names `count` instructions and a C string, both alive until after the call.
    let fd =
        cvt(unsafe { libc::syscall(libc::SYS_bpf, PROG_LOAD, &raw mut load, ATTRIBUTE_BYTES) })?;
    let fd = i32::try_from(fd).map_err(io::Error::other)?;
    // SAFETY: a new descriptor, owned by nobody else.
    let program = unsafe { OwnedFd::from_raw_fd(fd) };
    let number = |fd: i32| u32::try_from(fd).map_err(io::Error::other);
    let mut attach = Attribute::new()
        .u32(0, number(cgroup.as_raw_fd())?)
        .u32(4, number(program.as_raw_fd())?)
        .u32(8, ATTACH_CGROUP_DEVICE)
        .u32(12, ALLOW_MULTI);
    // SAFETY: descriptors and flags only.
    cvt(unsafe { libc::syscall(libc::SYS_bpf, PROG_ATTACH, &raw mut attach, ATTRIBUTE_BYTES) })
        .map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs a program as the kernel would.
    fn verdict(program: &[Instruction], kind: u32, access: u32, major: u32, minor: u32) -> u32 {
        let context = [kind | access << 16, major, minor];
        let mut registers = [0_u32; 6];
        let mut at = 0_usize;
        loop {
            let Instruction {
                code,
                registers: pair,
                offset,
                immediate,
            } = program[at];
            let (to, from) = (usize::from(pair & 15), usize::from(pair >> 4));
            let value = immediate.cast_unsigned();
            let mut jump = false;
            match code {
                LOAD_WORD => registers[to] = context[usize::try_from(offset).unwrap() / 4],
                AND_IMM => registers[to] &= value,
                SHIFT_RIGHT_IMM => registers[to] >>= value,
                MOVE_IMM => registers[to] = value,
                MOVE_REG => registers[to] = registers[from],
                JUMP_NOT_EQUAL => jump = registers[to] != value,
                JUMP_SET => jump = registers[to] & value != 0,
                JUMP => jump = true,
                EXIT => return registers[0],
                other => panic!("unknown instruction {other:#x}"),
            }
            at += 1 + if jump {
                usize::try_from(offset).unwrap()
            } else {
                0
            };
        }
    }

    #[test]
    fn rules_apply_in_order() {
        let rule = |allow, kind, major, minor, access: &str| Rule {
            allow,
            kind,
            major,
            minor,
            read: access.contains('r'),
            write: access.contains('w'),
            make: access.contains('m'),
        };
        let character = Some(Kind::Character);
        let program = assemble(&[
            rule(false, None, None, None, "rwm"),
            rule(true, character, None, None, "m"),
            rule(true, character, Some(1), Some(3), "rw"),
            rule(true, character, Some(10), None, "rwm"),
            rule(false, character, Some(10), Some(229), "w"),
        ]);
        // Bits of the kernel: 1 mknod, 2 read, 4 write; kinds: 1 block, 2 character.
        for (kind, access, major, minor, expected) in [
            (2, 7, 1, 3, 1),
            (2, 6, 1, 3, 1),
            (2, 1, 8, 0, 1),
            (2, 2, 8, 0, 0),
            (1, 1, 8, 0, 0),
            (2, 7, 10, 5, 1),
            (2, 2, 10, 229, 1),
            (2, 6, 10, 229, 0),
            (2, 7, 1, 5, 0),
        ] {
            assert_eq!(
                verdict(&program, kind, access, major, minor),
                expected,
                "{kind} {access} {major}:{minor}"
            );
        }
        assert_eq!(verdict(&assemble(&[]), 2, 2, 1, 3), 0);
    }
}
