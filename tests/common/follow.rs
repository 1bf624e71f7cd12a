//! An interpreter of the few A64 instructions that references go through (Arm ARM C4.1, C6.2), written from the manual and
//! not from the crate.

/// The state that such code can see.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct State {
    /// x0 to x30, and the stack pointer.
    pub x: [u64; 32],
    pub pc: u64,
    /// N, Z, C, V in bits 3 to 0.
    pub nzcv: u8,
}

/// An instruction that is none of the few.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Unknown {
    pub pc: u64,
    pub word: u32,
}

/// Little-endian memory.
pub trait Memory {
    fn byte(&self, addr: u64) -> u8;

    /// The number in the `size` bytes at `addr`.
    fn number(&self, addr: u64, size: u64) -> u64 {
        (0..size).rev().fold(0, |number, at| number << 8 | u64::from(self.byte(addr.wrapping_add(at))))
    }
}

impl State {
    /// Executes one instruction; `Some` address where it was an indirect branch, which landed there.
    pub fn step(&mut self, memory: &impl Memory) -> Result<Option<u64>, Unknown> {
        let pc = self.pc;
        let word = memory.number(pc, 4) as u32;
        let mut next = pc.wrapping_add(4);
        let mut landed = None;
        let rd = (word & 31) as usize;
        let rn = (word >> 5 & 31) as usize;
        let imm12 = u64::from(word >> 10 & 0xfff);
        let relative = |high: u32, low: u32, unit: i64| pc.wrapping_add_signed(signed(word, high, low) * unit);
        match word {
            _ if word & 0xfc00_0000 == 0x1400_0000 => next = relative(25, 0, 4),
            _ if word & 0xfc00_0000 == 0x9400_0000 => {
                self.x[30] = next;
                next = relative(25, 0, 4);
            }
            _ if takes(word, self).is_some() => {
                if takes(word, self) == Some(true) {
                    next = if word >> 24 & 0x7e == 0x36 { relative(18, 5, 4) } else { relative(23, 5, 4) };
                }
            }
            _ if word & 0x1f00_0000 == 0x1000_0000 => {
                let distance = signed(word, 23, 5) << 2 | i64::from(word >> 29 & 3);
                let is_page = word >> 31 == 1;
                let to = if is_page {
                    (pc & !0xfff).wrapping_add_signed(distance << 12)
                } else {
                    pc.wrapping_add_signed(distance)
                };
                self.set(rd, to);
            }
            _ if word & 0x7f80_0000 == 0x1100_0000 => {
                let sum = self.x[rn].wrapping_add(imm12 << ((word >> 22 & 1) * 12));
                self.x[rd] = if word >> 31 == 1 { sum } else { sum & 0xffff_ffff };
            }
            _ if word & 0x1f80_0000 == 0x1280_0000 && word >> 29 & 3 != 1 => {
                let shift = (word >> 21 & 3) * 16;
                let imm = u64::from(word >> 5 & 0xffff) << shift;
                let value = match word >> 29 & 3 {
                    0 => !imm,
                    2 => imm,
                    _ => self.get(rd) & !(0xffff << shift) | imm,
                };
                self.set(rd, if word >> 31 == 1 { value } else { value & 0xffff_ffff });
            }
            _ if word & 0xffc0_0000 == 0xf940_0000 => {
                self.set(rd, memory.number(self.x[rn].wrapping_add(imm12 * 8), 8))
            }
            _ if word & 0xffc0_0000 == 0xb940_0000 => {
                self.set(rd, memory.number(self.x[rn].wrapping_add(imm12 * 4), 4))
            }
            _ if word & 0xffc0_0000 == 0xb980_0000 => {
                self.set(rd, extend(memory.number(self.x[rn].wrapping_add(imm12 * 4), 4)));
            }
            _ if word & 0xff00_0000 == 0x5800_0000 => self.set(rd, memory.number(relative(23, 5, 4), 8)),
            _ if word & 0xff00_0000 == 0x1800_0000 => self.set(rd, memory.number(relative(23, 5, 4), 4)),
            _ if word & 0xff00_0000 == 0x9800_0000 => self.set(rd, extend(memory.number(relative(23, 5, 4), 4))),
            _ if word & 0xffff_fc1f == 0xd61f_0000 => {
                next = self.get(rn);
                landed = Some(next);
            }
            // NOP; BTI, of any kind.
            0xd503_201f | 0xd503_241f | 0xd503_245f | 0xd503_249f | 0xd503_24df => {}
            _ => return Err(Unknown { pc, word }),
        }
        self.pc = next;
        Ok(landed)
    }

    /// Register 31 is zero.
    fn get(&self, register: usize) -> u64 {
        if register == 31 { 0 } else { self.x[register] }
    }

    fn set(&mut self, register: usize, value: u64) {
        if register != 31 {
            self.x[register] = value;
        }
    }
}

/// Whether the conditional branch `word` is taken in `state`; `None` for any other instruction.
pub fn takes(word: u32, state: &State) -> Option<bool> {
    let register = state.get((word & 31) as usize);
    let inverted = word >> 24 & 1 == 1;
    match word >> 24 {
        0x54 => {
            let [n, z, c, v] = [8, 4, 2, 1].map(|flag| state.nzcv & flag != 0);
            let holds = match word >> 1 & 7 {
                0 => z,
                1 => c,
                2 => n,
                3 => v,
                4 => c && !z,
                5 => n == v,
                6 => n == v && !z,
                _ => true,
            };
            // Condition 15 is always, too.
            Some(if word & 15 == 15 { true } else { holds != (word & 1 == 1) })
        }
        0x34 | 0x35 => Some((register & 0xffff_ffff == 0) != inverted),
        0xb4 | 0xb5 => Some((register == 0) != inverted),
        0x36 | 0x37 | 0xb6 | 0xb7 => {
            let bit = word >> 31 << 5 | word >> 19 & 31;
            Some((register >> bit & 1 == 0) != inverted)
        }
        _ => None,
    }
}

/// Bits `high` to `low` of `word` as a signed number.
fn signed(word: u32, high: u32, low: u32) -> i64 {
    i64::from(word.cast_signed() << (31 - high) >> (31 - high + low))
}

fn extend(word: u64) -> u64 {
    i64::from((word as u32).cast_signed()).cast_unsigned()
}
