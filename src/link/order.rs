//! What input sections are called once they are put together, and in which order that is done.

use super::parts::FULL;
use crate::arena::Prot;

/// Output sections that collect the input sections named `.text.main` and so on.
const COLLECTED: [&str; 11] = [
    ".text",
    ".rodata",
    ".data.rel.ro",
    ".data",
    ".bss",
    ".init_array",
    ".fini_array",
    ".preinit_array",
    ".ctors",
    ".dtors",
    ".gcc_except_table",
];

/// Arrays of functions to be called at the start or the end. Each is one run of output sections, in the order of their
/// priorities: `.init_array.00101` before `.init_array.00102` before `.init_array`.
pub(super) const ARRAYS: [&str; 5] = [".preinit_array", ".init_array", ".fini_array", ".ctors", ".dtors"];

/// The output section that collects input sections called `name`: one with a priority stays its own.
pub(super) fn output_name(name: &str) -> &str {
    if priority(name).is_some() {
        return name;
    }
    COLLECTED.into_iter().find(|output| suffix(name, output).is_some()).unwrap_or(name)
}

/// When an output section is placed, among those of its protection.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Step(u32);

/// Before all others.
pub(super) const FIRST: Step = Step(0);
/// All that is neither below.
const PLAIN: Step = FIRST;
/// What the blocks of thread-local storage begin as: bytes, then zeros of their own.
pub(super) const TEMPLATE: Step = Step(u32::MAX - 3);
/// Zeros, which a file need not hold.
pub(super) const ZEROS: Step = Step(u32::MAX - 2);
/// The veneers, whose number is known last.
pub(super) const VENEERS: Step = Step(u32::MAX - 1);

/// Sorts `numbers` by their steps, those of one step in the order that they have: a byte of the step at a time (radix
/// sort), with `room` for as many.
pub(super) fn sort(numbers: &mut [u64], room: &mut [u64], step: impl Fn(u32) -> Step) {
    for shift in [0, 8, 16, 24] {
        let digit = |number: u64| usize::from((step(number as u32).0 >> shift) as u8);
        let mut starts = [0_usize; 257];
        for &number in &*numbers {
            starts[digit(number) + 1] += 1;
        }
        let mut sum = 0;
        for start in &mut starts {
            sum += *start;
            *start = sum;
        }
        for &number in &*numbers {
            let start = &mut starts[digit(number)];
            if let Some(place) = room.get_mut(*start) {
                *place = number;
            }
            *start += 1;
        }
        numbers.iter_mut().zip(&*room).for_each(|(number, sorted)| *number = *sorted);
    }
}

/// The step of an output section called `name`.
pub(super) fn of(name: &str) -> Step {
    let Some((family, array)) = family_of(name) else { return PLAIN };
    // 65536 priorities, and none.
    let place = match (priority(name), array) {
        (Some(priority), ".ctors" | ".dtors") => 1 + u32::from(priority),
        (None, ".ctors" | ".dtors") => 0,
        (Some(priority), _) => u32::from(priority),
        (None, _) => 1 << 16,
    };
    Step(1 + (family << 17) + place)
}

/// Which of [`ARRAYS`] the output section `name` belongs to.
pub(super) fn array_of(name: &str) -> Option<&'static str> {
    family_of(name).map(|(_, array)| array)
}

/// The same, with its index there.
fn family_of(name: &str) -> Option<(u32, &'static str)> {
    (0..).zip(ARRAYS).find(|(_, array)| suffix(name, array).is_some())
}

/// The protection of what the output section `name` collects. An array is one run, and what some objects have of it is writable.
pub(super) fn prot_of(name: &str, prot: Prot) -> Prot {
    if prot == Prot::Read && array_of(name).is_some() { Prot::ReadWrite } else { prot }
}

/// The priority that a section of an array has in its name.
fn priority(name: &str) -> Option<u16> {
    if FULL { suffix(name, array_of(name)?)?.strip_prefix('.')?.parse().ok() } else { None }
}

/// Whether a section of an array may have a priority in its name.
pub(super) fn may_have_priority(name: &str) -> bool {
    let rest = array_of(name).and_then(|array| suffix(name, array)).unwrap_or_default();
    matches!(rest.as_bytes(), [b'.', b'+' | b'0'..=b'9', ..])
}

/// What follows `prefix` in `name`: nothing, or a dot and more.
fn suffix<'n>(name: &'n str, prefix: &str) -> Option<&'n str> {
    name.strip_prefix(prefix).filter(|rest| rest.is_empty() || rest.starts_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;
    extern crate std;
    use std::vec::Vec;

    #[test]
    fn sections_are_collected_by_their_first_name() {
        assert_eq!(output_name(".text.unlikely.main"), ".text");
        assert_eq!(output_name(".data.rel.ro.local"), ".data.rel.ro");
        assert_eq!(output_name(".data.table"), ".data");
        assert_eq!(output_name(".textual"), ".textual");
        assert_eq!(output_name("mine"), "mine");
    }

    #[test]
    #[cfg_attr(not(feature = "full"), ignore = "priorities are left out")]
    fn priorities_come_in_order_and_before_none() {
        let run = [".init_array.00101", ".init_array.102", ".init_array.65535", ".init_array"];
        assert!(run.map(of).is_sorted());
        assert_eq!(output_name(run[0]), run[0]);
        // Old constructors are called from the last to the first.
        let run = [".ctors", ".ctors.00001", ".ctors.65535"];
        assert!(run.map(of).is_sorted());
        assert_eq!(output_name(".init_array.early"), ".init_array");
    }

    #[test]
    fn plain_sections_come_first_and_veneers_last() {
        assert!(of(".data") < of(".preinit_array.0"));
        assert!(of(".dtors.65535") < ZEROS && ZEROS < VENEERS);
    }

    #[test]
    fn a_sort_keeps_the_order_of_equals() {
        // The steps of the numbers 0 to 999: few, far apart, in no order.
        let step = |number: u32| Step(((number * 7919 % 13) << 24) + number * 31 % 5);
        let mut numbers: Vec<u64> = (0..1000).rev().collect();
        let mut expected = numbers.clone();
        expected.sort_by_key(|&number| step(number as u32));
        sort(&mut numbers, &mut [0; 1000], step);
        assert_eq!(numbers, expected);
    }
}
