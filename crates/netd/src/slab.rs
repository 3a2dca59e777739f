//! Things by number, where a number is never mistaken for that of an earlier thing in the same place.

/// A place and the times it was used: an epoll token.
pub(crate) type Token = u64;

/// Values in numbered places.
#[derive(Debug)]
pub(crate) struct Slab<T> {
    places: Vec<(u32, Option<T>)>,
    free: Vec<u32>,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self {
            places: Vec::new(),
            free: Vec::new(),
        }
    }
}

impl<T> Slab<T> {
    /// Puts a value in and says where.
    pub(crate) fn insert(&mut self, value: T) -> Token {
        let place = self.free.pop().unwrap_or_else(|| {
            self.places.push((0, None));
            u32::try_from(self.places.len() - 1).expect("fewer than descriptors")
        });
        let (used, slot) = &mut self.places[place as usize];
        *used = used.wrapping_add(1);
        *slot = Some(value);
        u64::from(*used) << 32 | u64::from(place)
    }

    /// The value, if it is still the one the token was made for.
    pub(crate) fn get_mut(&mut self, token: Token) -> Option<&mut T> {
        let (used, slot) = self.places.get_mut(place(token))?;
        (u64::from(*used) == token >> 32).then_some(slot.as_mut()?)
    }

    /// Takes it out.
    pub(crate) fn remove(&mut self, token: Token) -> Option<T> {
        self.get_mut(token)?;
        self.free
            .push(u32::try_from(token & u64::from(u32::MAX)).ok()?);
        self.places[place(token)].1.take()
    }

    /// All that is in it.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (Token, &mut T)> {
        self.places
            .iter_mut()
            .enumerate()
            .filter_map(|(place, (used, slot))| {
                Some((u64::from(*used) << 32 | place as u64, slot.as_mut()?))
            })
    }
}

fn place(token: Token) -> usize {
    usize::try_from(token & u64::from(u32::MAX)).expect("32 bits")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reused_place_has_another_token() {
        let mut slab = Slab::default();
        let first = slab.insert('a');
        assert_eq!(slab.remove(first), Some('a'));
        let second = slab.insert('b');
        assert_ne!(first, second);
        assert_eq!(slab.get_mut(first), None);
        assert_eq!(slab.remove(first), None);
        assert_eq!(slab.get_mut(second), Some(&mut 'b'));
        assert_eq!(slab.iter_mut().count(), 1);
    }
}
