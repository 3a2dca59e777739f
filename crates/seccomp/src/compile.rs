//! Rules to a program: one section an architecture, a binary search over the system call numbers in each.
//!
//! ```text
//! load arch ── == native? ── load nr ── >= middle? ── … ── verdict, or a chain of argument tests ending in verdicts
//!          └─ == other? ──── load nr ── …
//!          └─ kill the process
//! ```
//!
//! Where it differs from libseccomp, on purpose:
//! - Garbage in the upper half of an argument that the kernel reads as a 32-bit int evades no rule (`socket` with AF_ALG or
//!   AF_VSOCK): a test looks at the lower half alone where all 64 bits would let more calls pass.
//! - A call newer than every one the profile names answers ENOSYS, not the default errno, as runc does, so that C
//!   libraries fall back.
//! - A rule without conditions decides after those with conditions, whatever their order in the profile.

use std::collections::BTreeMap;

use crate::assembler::{Assembler, Compare, Label};
use crate::profile::{Action, Arch, Arg, Error, Operator, Rule};
use crate::table;

const NR: u32 = 0; // offsets into struct seccomp_data (linux/seccomp.h)
const ARCH: u32 = 4;
const ARGS: u32 = 16;
const ENOSYS: u32 = 38;
const X32_BIT: u32 = 0x4000_0000;
const MAX_INSTRUCTIONS: usize = 4096;

/// What happens to one system call, or to a range of numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Verdict {
    Always(Action),
    /// The first whose conditions all hold, else the last.
    Tests(Vec<(Vec<Test>, Action)>, Action),
}

/// A condition, with what the kernel makes of the argument.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Test {
    arg: Arg,
    low_half_only: bool,
}

impl Test {
    /// A condition of a rule that lets calls pass, or denies them.
    fn new(arg: Arg, is_int: bool, lets_pass: bool) -> Self {
        // Garbage makes values unequal: that may only keep a call from passing, or have it denied.
        let stricter_as_a_whole = match arg.operator {
            Operator::Equal | Operator::MaskedEqual => lets_pass,
            Operator::NotEqual => !lets_pass,
            _ => false,
        };
        Self {
            arg,
            low_half_only: is_int && !stricter_as_a_whole,
        }
    }

    /// The bits that are looked at.
    fn mask(&self) -> u64 {
        if self.low_half_only {
            u64::from(u32::MAX)
        } else {
            u64::MAX
        }
    }
}

pub(crate) fn compile(default: Action, arches: &[Arch], rules: &[Rule]) -> Result<Vec<u8>, Error> {
    let mut sections: Vec<(u32, BTreeMap<u32, Verdict>)> = Vec::new();
    for arch in arches {
        let ranges = ranges(default, *arch, rules);
        match sections
            .iter_mut()
            .find(|(audit, _)| *audit == arch.audit())
        {
            // x32 follows x86_64: same audit number, numbers from X32_BIT on.
            Some((_, known)) => known.extend(
                ranges
                    .range(X32_BIT..)
                    .map(|(start, verdict)| (*start, verdict.clone())),
            ),
            None => sections.push((arch.audit(), ranges)),
        }
    }
    let mut assembler = Assembler::default();
    let mut next = assembler.ret(Action::KILL_PROCESS.0);
    for (audit, ranges) in sections.iter().rev() {
        let ranges: Vec<_> = merged(ranges);
        search(&mut assembler, &ranges);
        let section = assembler.load(NR);
        next = assembler.compare(Compare::Equal, *audit, section, next);
    }
    let start = assembler.load(ARCH);
    debug_assert_ne!(start, next);
    if assembler.len() > MAX_INSTRUCTIONS {
        return Err(Error::TooLong(assembler.len()));
    }
    Ok(assembler.finish(start))
}

/// Verdicts by the first number of the range they hold for.
fn ranges(default: Action, arch: Arch, rules: &[Rule]) -> BTreeMap<u32, Verdict> {
    let mut calls: BTreeMap<u32, Verdict> = BTreeMap::new();
    for rule in rules {
        for name in &rule.names {
            let Some(number) = table::number(arch, name) else {
                continue;
            };
            let verdict = calls
                .entry(number)
                .or_insert_with(|| Verdict::Tests(Vec::new(), default));
            let Verdict::Tests(tests, otherwise) = verdict else {
                unreachable!("only Tests are entered above")
            };
            if rule.args.is_empty() {
                *otherwise = rule.action;
            } else {
                let test = |arg: &Arg| {
                    let is_int = !arch.is_wide() || table::is_int(name, arg.index);
                    Test::new(*arg, is_int, rule.action.lets_pass())
                };
                tests.push((rule.args.iter().map(test).collect(), rule.action));
            }
        }
    }
    let newest = calls.keys().next_back().copied().unwrap_or(0);
    let mut ranges = BTreeMap::from([(0, Verdict::Always(default))]);
    if arch == Arch::X32 {
        ranges.insert(X32_BIT, Verdict::Always(default));
    }
    for (number, verdict) in calls {
        ranges.insert(number, simplified(verdict));
        ranges.entry(number + 1).or_insert(Verdict::Always(default));
    }
    if !default.lets_pass() && newest > 0 {
        ranges.insert(newest + 1, Verdict::Always(Action::errno(ENOSYS)));
    }
    if arch == Arch::X86_64 {
        // Without x32 in the profile, its numbers belong to no architecture.
        ranges.insert(X32_BIT, Verdict::Always(Action::KILL_PROCESS));
    }
    // -1: a tracer skipped the call.
    ranges.insert(u32::MAX, Verdict::Always(default));
    ranges
}

fn simplified(verdict: Verdict) -> Verdict {
    match verdict {
        Verdict::Tests(tests, otherwise)
            if tests.iter().all(|(_, action)| *action == otherwise) =>
        {
            Verdict::Always(otherwise)
        }
        verdict => verdict,
    }
}

/// Neighbours with the same verdict become one range.
fn merged(ranges: &BTreeMap<u32, Verdict>) -> Vec<(u32, Verdict)> {
    let mut merged: Vec<(u32, Verdict)> = Vec::new();
    for (start, verdict) in ranges {
        if merged.last().is_none_or(|(_, last)| last != verdict) {
            merged.push((*start, verdict.clone()));
        }
    }
    merged
}

/// Finds the range that the accumulator is in.
fn search(assembler: &mut Assembler, ranges: &[(u32, Verdict)]) -> Label {
    if let [(_, verdict)] = ranges {
        return decide(assembler, verdict);
    }
    let (left, right) = ranges.split_at(ranges.len() / 2);
    let above = search(assembler, right);
    let below = search(assembler, left);
    assembler.compare(Compare::GreaterOrEqual, right[0].0, above, below)
}

fn decide(assembler: &mut Assembler, verdict: &Verdict) -> Label {
    match verdict {
        Verdict::Always(action) => assembler.ret(action.0),
        Verdict::Tests(tests, otherwise) => {
            let mut next = assembler.ret(otherwise.0);
            for (conditions, action) in tests.iter().rev() {
                let mut then = assembler.ret(action.0);
                for condition in conditions.iter().rev() {
                    then = test(assembler, condition, then, next);
                }
                next = then;
            }
            next
        }
    }
}

/// Goes to `hit` if the condition holds, else to `miss`.
fn test(assembler: &mut Assembler, test: &Test, hit: Label, miss: Label) -> Label {
    let Arg {
        index,
        operator,
        value,
        value_two,
    } = test.arg;
    let mask = test.mask();
    match operator {
        Operator::Equal => equal(assembler, index, mask, value & mask, hit, miss),
        Operator::NotEqual => equal(assembler, index, mask, value & mask, miss, hit),
        Operator::MaskedEqual => equal(assembler, index, value & mask, value_two & mask, hit, miss),
        Operator::Greater => order(assembler, test, Compare::Greater, hit, miss),
        Operator::GreaterOrEqual => order(assembler, test, Compare::GreaterOrEqual, hit, miss),
        Operator::Less => order(assembler, test, Compare::GreaterOrEqual, miss, hit),
        Operator::LessOrEqual => order(assembler, test, Compare::Greater, miss, hit),
    }
}

fn equal(
    assembler: &mut Assembler,
    index: u32,
    mask: u64,
    value: u64,
    hit: Label,
    miss: Label,
) -> Label {
    let (mask_high, mask_low) = halves(mask);
    let (high, low) = halves(value);
    assembler.compare(Compare::Equal, low, hit, miss);
    if mask_low != u32::MAX {
        assembler.and(mask_low);
    }
    let low_matches = assembler.load(low_half(index));
    if mask_high == 0 && high == 0 {
        return low_matches;
    }
    assembler.compare(Compare::Equal, high, low_matches, miss);
    if mask_high != u32::MAX {
        assembler.and(mask_high);
    }
    assembler.load(low_half(index) + 4)
}

fn order(
    assembler: &mut Assembler,
    test: &Test,
    compare: Compare,
    hit: Label,
    miss: Label,
) -> Label {
    let (high, low) = halves(test.arg.value);
    assembler.compare(compare, low, hit, miss);
    let low_decides = assembler.load(low_half(test.arg.index));
    if test.low_half_only {
        return low_decides;
    }
    let not_above = assembler.compare(Compare::Equal, high, low_decides, miss);
    assembler.compare(Compare::Greater, high, hit, not_above);
    assembler.load(low_half(test.arg.index) + 4)
}

/// Offset of an argument's lower half; every architecture here is little-endian.
fn low_half(index: u32) -> u32 {
    ARGS + 8 * index
}

fn halves(value: u64) -> (u32, u32) {
    (
        u32::try_from(value >> 32).expect("32 bits are left"),
        u32::try_from(value & 0xFFFF_FFFF).expect("masked to 32 bits"),
    )
}
