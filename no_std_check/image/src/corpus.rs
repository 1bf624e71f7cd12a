//! Modules that must be refused, as `corpus.py` packs them: each a good one, cut off or with some bytes changed.

/// A bad module.
#[derive(Clone, Copy)]
pub struct Bad<'a> {
    pub name: &'a str,
    /// The good module that it is made of.
    pub of: u8,
    /// How it is to be refused.
    pub refusal: u8,
    /// The bytes of it that are there.
    len: u32,
    edits: &'a [u8],
}

/// The modules of a corpus.
pub struct Corpus<'a>(pub &'a [u8]);

impl<'a> Corpus<'a> {
    fn bytes(&mut self, len: usize) -> Option<&'a [u8]> {
        let (head, tail) = self.0.split_at_checked(len)?;
        self.0 = tail;
        Some(head)
    }

    fn number(&mut self) -> Option<u32> {
        self.bytes(4)?.first_chunk().copied().map(u32::from_le_bytes)
    }
}

impl<'a> Iterator for Corpus<'a> {
    type Item = Bad<'a>;

    fn next(&mut self) -> Option<Bad<'a>> {
        let &[of, refusal] = self.bytes(2)?.first_chunk()?;
        let [len, name_len, edits_len] = [self.number()?, self.number()?, self.number()?];
        let name = core::str::from_utf8(self.bytes(name_len as usize)?).ok()?;
        Some(Bad { name, of, refusal, len, edits: self.bytes(edits_len as usize)? })
    }
}

impl Bad<'_> {
    /// Makes it of the good module in `room`; `None` where there is too little.
    pub fn make<'r>(&self, good: &[u8], room: &'r mut [u8]) -> Option<&'r [u8]> {
        let room = room.get_mut(..good.len())?;
        room.iter_mut().zip(good).for_each(|(to, from)| *to = *from);
        let mut edits = Corpus(self.edits);
        while let Some(at) = edits.number() {
            let len = edits.number()? as usize;
            let new = edits.bytes(len)?;
            room.get_mut(at as usize..)?.get_mut(..len)?.iter_mut().zip(new).for_each(|(to, from)| *to = *from);
        }
        room.get(..self.len as usize)
    }
}
