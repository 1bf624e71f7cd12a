//! What a link needs, told in two ways.

use aarch64_reloc::link::{Input, Needs, Object, bound, measure};

/// The bounds that are found without reading the objects, each of which is to be no less than the one that is measured.
pub fn most<'data, O: Object<'data>>(inputs: &[Input<'data, O>], pins: usize) -> Needs {
    let (most, measured) = (bound(inputs, pins), measure(inputs, pins));
    let all = |needs: Needs| {
        let Needs { objects, sections, symbols, names, output_names, groups, ordered, .. } = needs;
        let Needs { outputs, segments, slots, islands, veneers, fixups, .. } = needs;
        [objects, sections, symbols, names, output_names, groups, ordered]
            .into_iter()
            .chain([outputs, segments, slots, islands, veneers, fixups])
    };
    assert!(all(most).zip(all(measured)).all(|(most, measured)| most >= measured), "{most:?}\n{measured:?}");
    most
}
