//! A classic-BPF assembler that works from the end to the beginning, so that every jump's target is known.

/// Where an instruction stands, counted from the end of the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Label(usize);

/// `struct sock_filter` (linux/filter.h).
#[derive(Clone, Copy, Debug)]
struct Instruction {
    code: u16,
    if_true: u8,
    if_false: u8,
    operand: u32,
}

/// A comparison of the accumulator with a constant.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Compare {
    Equal,
    Greater,
    GreaterOrEqual,
}

const LOAD: u16 = 0x20; // BPF_LD | BPF_W | BPF_ABS
const AND: u16 = 0x54; // BPF_ALU | BPF_AND | BPF_K
const JUMP: u16 = 0x05; // BPF_JMP | BPF_JA
const RETURN: u16 = 0x06; // BPF_RET | BPF_K
const REACH: usize = 255; // a conditional jump's offset is one byte

/// A program, last instruction first.
#[derive(Debug, Default)]
pub(crate) struct Assembler {
    reversed: Vec<Instruction>,
    returns: Vec<(u32, Label)>,
}

impl Assembler {
    fn push(&mut self, code: u16, if_true: u8, if_false: u8, operand: u32) -> Label {
        self.reversed.push(Instruction {
            code,
            if_true,
            if_false,
            operand,
        });
        Label(self.reversed.len() - 1)
    }

    /// Instructions so far.
    pub(crate) fn len(&self) -> usize {
        self.reversed.len()
    }

    /// Returns `value`; an earlier one is used again while a conditional jump can reach it.
    pub(crate) fn ret(&mut self, value: u32) -> Label {
        let near = self.reversed.len().saturating_sub(REACH / 2);
        if let Some((_, label)) = self
            .returns
            .iter()
            .find(|(known, label)| *known == value && label.0 >= near)
        {
            return *label;
        }
        let label = self.push(RETURN, 0, 0, value);
        self.returns.retain(|(known, _)| *known != value);
        self.returns.push((value, label));
        label
    }

    /// Loads the 32-bit word at `offset` of `struct seccomp_data`, then goes on at the instruction pushed before.
    pub(crate) fn load(&mut self, offset: u32) -> Label {
        self.push(LOAD, 0, 0, offset)
    }

    /// Masks the accumulator, then goes on at the instruction pushed before.
    pub(crate) fn and(&mut self, mask: u32) -> Label {
        self.push(AND, 0, 0, mask)
    }

    /// Compares the accumulator with `operand`.
    pub(crate) fn compare(
        &mut self,
        compare: Compare,
        operand: u32,
        if_true: Label,
        if_false: Label,
    ) -> Label {
        let code = match compare {
            Compare::Equal => 0x15,
            Compare::Greater => 0x25,
            Compare::GreaterOrEqual => 0x35,
        };
        let if_true = self.near(if_true);
        let if_false = self.near(if_false);
        let at = self.reversed.len();
        let offset =
            |label: Label| u8::try_from(at - label.0 - 1).expect("near() keeps targets in reach");
        self.push(code, offset(if_true), offset(if_false), operand)
    }

    /// Goes to `target`; nothing is pushed where the target is the next instruction anyway.
    pub(crate) fn jump(&mut self, target: Label) -> Label {
        if target.0 + 1 == self.reversed.len() {
            return target;
        }
        let distance = self.reversed.len() - target.0 - 1;
        self.push(
            JUMP,
            0,
            0,
            u32::try_from(distance).expect("a program has at most 4096 instructions"),
        )
    }

    /// `target`, or a jump to it, that is in reach of a conditional jump even when one more jump is put between.
    fn near(&mut self, target: Label) -> Label {
        if self.reversed.len() - target.0 + 1 > REACH {
            return self.jump(target);
        }
        target
    }

    /// The program in native byte order; `start` must be the last instruction pushed.
    pub(crate) fn finish(mut self, start: Label) -> Vec<u8> {
        self.jump(start);
        let mut bytes = Vec::with_capacity(self.reversed.len() * 8);
        for instruction in self.reversed.iter().rev() {
            bytes.extend(instruction.code.to_ne_bytes());
            bytes.extend([instruction.if_true, instruction.if_false]);
            bytes.extend(instruction.operand.to_ne_bytes());
        }
        bytes
    }
}
