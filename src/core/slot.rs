//! Typed state that a module hangs on a session or an account: found by index, freed with its owner.

use std::any::Any;
use std::marker::PhantomData;

use smallvec::SmallVec;

/// The place of a module's state in every [`Slots`] of one kind. Made by the registrar only.
pub struct Slot<T> {
    index: usize,
    state: PhantomData<fn() -> T>,
}

impl<T> Slot<T> {
    pub(crate) fn new(index: usize) -> Self {
        Self { index, state: PhantomData }
    }
}

impl<T> Clone for Slot<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Slot<T> {}

impl<T> std::fmt::Debug for Slot<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Slot({})", self.index)
    }
}

/// The states hung on one owner. Costs nothing until something is put in.
#[derive(Default)]
pub struct Slots(SmallVec<[Option<Box<dyn Any + Send>>; 0]>);

impl Slots {
    /// The state, if there is one.
    pub fn get<T: Send + 'static>(&self, slot: Slot<T>) -> Option<&T> {
        self.0.get(slot.index)?.as_ref()?.downcast_ref()
    }

    /// The state, made by default where there was none.
    pub fn get_or_default<T: Default + Send + 'static>(&mut self, slot: Slot<T>) -> &mut T {
        if self.0.len() <= slot.index {
            self.0.resize_with(slot.index + 1, || None);
        }
        let place = &mut self.0[slot.index];
        if place.as_ref().is_none_or(|state| !state.is::<T>()) {
            *place = Some(Box::<T>::default());
        }
        // the line above put a T there
        place
            .as_mut()
            .and_then(|state| state.downcast_mut())
            .unwrap_or_else(|| unreachable!("slot holds its type"))
    }

    /// Takes the state out.
    pub fn take<T: Send + 'static>(&mut self, slot: Slot<T>) -> Option<T> {
        self.0.get_mut(slot.index)?.take()?.downcast().ok().map(|state| *state)
    }
}

impl std::fmt::Debug for Slots {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Slots({})", self.0.iter().flatten().count())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_slot_holds_its_own_type() {
        let (numbers, words) = (Slot::<u32>::new(0), Slot::<String>::new(3));
        let mut slots = Slots::default();
        assert_eq!(slots.get(words), None);
        *slots.get_or_default(numbers) += 2;
        slots.get_or_default(words).push('x');
        assert_eq!(slots.get(numbers), Some(&2));
        assert_eq!(slots.take(words).as_deref(), Some("x"));
        assert_eq!(slots.get(words), None);
    }
}
