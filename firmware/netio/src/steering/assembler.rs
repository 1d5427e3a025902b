//! A small assembler for the kernel's BPF machine: just the instructions that steering needs,
//! jumps to labels, and the stack.
//!
//! Reading list: Linux `Documentation/bpf/standardization/instruction-set.rst`, `linux/bpf.h`.

use crate::sys::bpf::Instruction;

/// A register. R0 holds results, R1–R5 arguments (lost in calls), R6–R9 stay, R10 is the frame
/// pointer, below which the stack lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Register {
    /// Result of calls and of the program.
    R0 = 0,
    /// First argument.
    R1,
    /// Second argument.
    R2,
    /// Third argument.
    R3,
    /// Fourth argument.
    R4,
    /// Kept over calls.
    R6 = 6,
    /// Kept over calls.
    R7,
    /// Kept over calls.
    R8,
    /// Kept over calls.
    R9,
    /// Frame pointer.
    R10,
}

/// Octets of a memory access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Size {
    /// Four octets.
    Word = 0x00,
    /// Two octets.
    Half = 0x08,
    /// One octet.
    Byte = 0x10,
    /// Eight octets.
    Double = 0x18,
}

/// A place to jump to, forwards only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Label(usize);

/// When to jump: comparisons of 64 bits with a constant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum When {
    /// Equal.
    Equal = 0x10,
    /// Not equal.
    NotEqual = 0x50,
    /// Some bit in common.
    Common = 0x40,
    /// Less, unsigned.
    Below = 0xa0,
    /// Greater, unsigned.
    Above = 0x20,
    /// Less, signed.
    Negative = 0xc0,
}

/// Arithmetic on 32 bits (the upper half becomes zero) or 64.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Arithmetic {
    /// Sum.
    Add = 0x00,
    /// Product.
    Multiply = 0x20,
    /// Shift left.
    Left = 0x60,
    /// Shift right, filling with zeroes.
    Right = 0x70,
    /// Bits that differ.
    Xor = 0xa0,
    /// Copy.
    Move = 0xb0,
}

const CLASS_LOAD_CONSTANT: u8 = 0x18; // a 64-bit constant, in two instructions
const CLASS_LOAD: u8 = 0x61;
const CLASS_STORE_CONSTANT: u8 = 0x62;
const CLASS_STORE: u8 = 0x63;
const CLASS_ARITHMETIC_32: u8 = 0x04;
const CLASS_ARITHMETIC_64: u8 = 0x07;
const CLASS_JUMP: u8 = 0x05;
const FROM_REGISTER: u8 = 0x08;
const TO_BIG_ENDIAN: u8 = 0xdc;
const CALL: u8 = 0x80;
const EXIT: u8 = 0x90;
const SOURCE_IS_MAP: u8 = 1;

/// Collects instructions.
#[derive(Debug, Default)]
pub struct Assembler {
    code: Vec<Instruction>,
    labels: Vec<Option<usize>>,
    jumps: Vec<(usize, Label)>,
}

impl Assembler {
    /// A label that is not placed yet.
    pub fn label(&mut self) -> Label {
        self.labels.push(None);
        Label(self.labels.len() - 1)
    }

    /// Places a label at the next instruction.
    pub fn place(&mut self, label: Label) {
        if let Some(slot) = self.labels.get_mut(label.0) {
            *slot = Some(self.code.len());
        }
    }

    /// `to op= constant`, on 64 bits.
    pub fn constant(&mut self, operation: Arithmetic, to: Register, constant: i32) {
        self.push(CLASS_ARITHMETIC_64 | operation as u8, to, Register::R0, 0, constant);
    }

    /// `to op= constant`, on 32 bits.
    pub fn constant_32(&mut self, operation: Arithmetic, to: Register, constant: i32) {
        self.push(CLASS_ARITHMETIC_32 | operation as u8, to, Register::R0, 0, constant);
    }

    /// `to op= from`, on 64 bits.
    pub fn register(&mut self, operation: Arithmetic, to: Register, from: Register) {
        self.push(CLASS_ARITHMETIC_64 | FROM_REGISTER | operation as u8, to, from, 0, 0);
    }

    /// Turns big-endian octets as loaded into the number they are; `bits` is 16 or 32.
    pub fn read_big_endian(&mut self, register: Register, bits: i32) {
        self.push(TO_BIG_ENDIAN, register, Register::R0, 0, bits);
    }

    /// `to = *(base + offset)`, zero-extended.
    pub fn load(&mut self, size: Size, to: Register, base: Register, offset: i16) {
        self.push(CLASS_LOAD | size as u8, to, base, offset, 0);
    }

    /// `*(R10 + offset) = from`.
    pub fn store(&mut self, size: Size, offset: i16, from: Register) {
        self.push(CLASS_STORE | size as u8, Register::R10, from, offset, 0);
    }

    /// `*(R10 + offset) = constant`, sign-extended.
    pub fn store_constant(&mut self, size: Size, offset: i16, constant: i32) {
        self.push(CLASS_STORE_CONSTANT | size as u8, Register::R10, Register::R0, offset, constant);
    }

    /// Calls a helper of the kernel, which leaves its result in R0 and loses R1–R5.
    pub fn call(&mut self, helper: i32) {
        self.push(CLASS_JUMP | CALL, Register::R0, Register::R0, 0, helper);
    }

    /// `to = the map behind this descriptor`.
    pub fn load_map(&mut self, to: Register, descriptor: i32) {
        let registers = SOURCE_IS_MAP << 4 | to as u8;
        let code = CLASS_LOAD_CONSTANT;
        self.code.push(Instruction { code, registers, offset: 0, immediate: descriptor });
        self.code.push(Instruction { code: 0, registers: 0, offset: 0, immediate: 0 });
    }

    /// Jumps when the comparison holds.
    pub fn jump_when(&mut self, when: When, register: Register, constant: i32, label: Label) {
        self.jumps.push((self.code.len(), label));
        self.push(CLASS_JUMP | when as u8, register, Register::R0, 0, constant);
    }

    /// Jumps.
    pub fn jump(&mut self, label: Label) {
        self.jumps.push((self.code.len(), label));
        self.push(CLASS_JUMP, Register::R0, Register::R0, 0, 0);
    }

    /// Ends the program; R0 is its result.
    pub fn exit(&mut self) {
        self.push(CLASS_JUMP | EXIT, Register::R0, Register::R0, 0, 0);
    }

    /// The program. A jump to a label that was never placed goes to itself, which the kernel's
    /// verifier refuses.
    pub fn finish(mut self) -> Vec<Instruction> {
        for (at, label) in self.jumps {
            let target = self.labels.get(label.0).copied().flatten().unwrap_or(at);
            if let Some(instruction) = self.code.get_mut(at) {
                let distance = target.saturating_sub(at + 1);
                let backwards = target <= at;
                instruction.offset =
                    if backwards { -1 } else { i16::try_from(distance).unwrap_or(-1) };
            }
        }
        self.code
    }

    fn push(&mut self, code: u8, to: Register, from: Register, offset: i16, immediate: i32) {
        let registers = (from as u8) << 4 | to as u8;
        self.code.push(Instruction { code, registers, offset, immediate });
    }
}
