//! What an account's messages wait for when one of its sessions is ending: until it is known what that session wrote,
//! nothing newer may be given to anybody, since the rest has to find another way first (RFC 6120 §10.1).

use std::collections::VecDeque;

use crate::limits::SESSION_QUEUE_BYTES_MAX;
use crate::outbox::{Item, Rejected};

/// Stanzas that wait for the ends of sessions.
#[derive(Debug, Default)]
pub struct Late {
    /// What sessions gave back, in the order in which they did.
    back: VecDeque<Item>,
    /// What was given back or new before, and found no room in the store.
    rest: VecDeque<Item>,
    /// What has come since.
    new: VecDeque<Item>,
    new_bytes: usize,
}

impl Late {
    /// Something new.
    ///
    /// # Errors
    /// [`Rejected::Full`] if too much waits already.
    pub(crate) fn push(&mut self, item: Item) -> Result<(), Rejected> {
        let weight = item.stanza.weight_bytes();
        if self.new_bytes > 0 && self.new_bytes + weight > SESSION_QUEUE_BYTES_MAX {
            return Err(Rejected::Full);
        }
        self.new_bytes += weight;
        self.new.push_back(item);
        Ok(())
    }

    /// What a session did not write: before everything new.
    pub(crate) fn give_back(&mut self, mut items: VecDeque<Item>) {
        self.back.append(&mut items);
    }

    /// All of it, in order.
    pub(crate) fn into_items(mut self) -> VecDeque<Item> {
        self.back.append(&mut self.rest);
        self.back.append(&mut self.new);
        self.back
    }

    /// What is left of all of it.
    pub(crate) fn rest(rest: VecDeque<Item>) -> Self {
        Self { rest, ..Self::default() }
    }

    /// Whether something like this waits.
    pub(crate) fn has(&self, what: impl FnMut(&Item) -> bool) -> bool {
        self.back.iter().chain(&self.rest).chain(&self.new).any(what)
    }

    /// Stanzas that wait, and their bytes.
    pub(crate) fn load(&self) -> (usize, usize) {
        let old = || self.back.iter().chain(&self.rest);
        let bytes: usize = old().map(|item| item.stanza.weight_bytes()).sum();
        (old().count() + self.new.len(), bytes + self.new_bytes)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use hearth_wire::{Kind, MessageType, Stanza, XmlWriter};

    use super::*;

    fn item(id: &str, bytes: usize) -> Item {
        let mut writer = XmlWriter::new();
        writer.open_content("body").text(&"x".repeat(bytes)).close();
        let mut stanza = Stanza::new(Kind::Message(MessageType::Chat), writer.into_payload());
        stanza.id = Some(id.into());
        Item::new(Arc::new(stanza))
    }

    #[test]
    fn what_comes_back_is_before_what_is_new() {
        let mut late = Late::default();
        late.push(item("d", 1)).unwrap();
        late.give_back([item("a", 1), item("b", 1)].into());
        late.push(item("e", 1)).unwrap();
        late.give_back([item("c", 1)].into());
        assert_eq!(late.load().0, 5);
        let ids = late.into_items().into_iter().filter_map(|item| item.stanza.id.clone());
        assert_eq!(ids.collect::<String>(), "abcde");
    }

    #[test]
    fn what_found_no_room_is_behind_what_comes_back() {
        let mut late = Late::rest([item("b", 1)].into());
        late.push(item("c", 1)).unwrap();
        late.give_back([item("a", 1)].into());
        let ids = late.into_items().into_iter().filter_map(|item| item.stanza.id.clone());
        assert_eq!(ids.collect::<String>(), "abc");
    }

    #[test]
    fn what_is_new_is_bounded() {
        let mut late = Late::default();
        let quarter = SESSION_QUEUE_BYTES_MAX / 4;
        for id in ["a", "b", "c"] {
            late.push(item(id, quarter)).unwrap();
        }
        assert_eq!(late.push(item("d", quarter)), Err(Rejected::Full));
    }
}
