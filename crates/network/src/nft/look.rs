//! What the kernel has of a table: its rules by number, its elements as they are.

use std::collections::BTreeSet;

use sys::netlink::{DUMP, Message, Refused, Socket, attributes};

use super::{Chain, ELEMENT_INTERVAL_END, Element, GETRULE, GETSETELEM, Table, attribute, header};

impl Table<'_> {
    /// Whether the table is there with all rules of these chains.
    pub(crate) fn has(self, socket: &Socket, chains: &[Chain]) -> Result<bool, Refused> {
        let request = Message::new(GETRULE, DUMP)
            .raw(&header(self.family.number(), 0))
            .string(1, self.name);
        let complete: usize = chains.iter().map(|chain| chain.rules.len()).sum();
        Ok(socket.query(&request)?.len() == complete)
    }

    /// Whether a set or a map has exactly these elements.
    pub(crate) fn holds(
        self,
        socket: &Socket,
        set: &str,
        elements: impl IntoIterator<Item = Element>,
    ) -> Result<bool, Refused> {
        let request = Message::new(GETSETELEM, DUMP)
            .raw(&header(self.family.number(), 0))
            .string(1, self.name)
            .string(2, set);
        let found = socket.query(&request)?;
        let found: BTreeSet<Element> = found.iter().flat_map(|part| listed(part)).collect();
        Ok(found == elements.into_iter().collect())
    }
}

/// The elements that one message of the kernel's lists.
fn listed(payload: &[u8]) -> Vec<Element> {
    let list = payload.get(4..).and_then(|facts| attribute(facts, 3));
    let list = attributes(list.unwrap_or_default());
    list.map(|(_, facts)| element(facts)).collect()
}

fn element(facts: &[u8]) -> Element {
    let value = |kind| Some(attribute(attribute(facts, kind)?, 1)?.to_vec());
    let flags = attribute(facts, 3).and_then(|bytes| bytes.try_into().ok());
    Element {
        key: value(1).unwrap_or_default(),
        last: value(10),
        after: flags.is_some_and(|bytes| u32::from_be_bytes(bytes) & ELEMENT_INTERVAL_END != 0),
        data: value(2),
    }
}
