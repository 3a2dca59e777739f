//! Events as Docker words them.

use std::collections::BTreeMap;

use crate::Engine;
use crate::container::Published;
use crate::container::spec::NetworkMode;
use crate::events::Kind;

impl Engine {
    /// Something happened to a container: its labels, image and name go along.
    pub(crate) fn container_event(&self, now: &Published, action: &str, more: &[(&str, &str)]) {
        let mut attributes = now.record.effective.labels.clone();
        attributes.insert("image".to_owned(), now.record.spec.image.clone());
        attributes.insert("name".to_owned(), now.name.to_string());
        attributes.extend(
            more.iter()
                .map(|(key, value)| ((*key).to_owned(), (*value).to_owned())),
        );
        self.events
            .publish(Kind::Container, action, now.id(), attributes);
    }

    /// A container joined its network or left it.
    pub(crate) fn network_event(&self, now: &Published, action: &str) {
        let name = match now.record.spec.network {
            NetworkMode::Bridge => "bridge",
            NetworkMode::Host => "host",
            NetworkMode::None => "none",
        };
        let attributes = [
            ("container", now.id()),
            ("name", name),
            ("type", if name == "none" { "null" } else { name }),
        ];
        let attributes = attributes.map(|(key, value)| (key.to_owned(), value.to_owned()));
        self.events.publish(
            Kind::Network,
            action,
            &self.network_id(name),
            BTreeMap::from(attributes),
        );
    }

    /// The id of a predefined network: stable for this data root, as `network inspect` shows it.
    pub fn network_id(&self, name: &str) -> String {
        let seed = self
            .id
            .bytes()
            .chain(name.bytes())
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
                (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
            });
        let word = |turn: u32| {
            seed.rotate_left(turn * 13 + 1)
                .wrapping_mul(0x9e37_79b9_7f4a_7c15 ^ u64::from(turn))
        };
        format!(
            "{:016x}{:016x}{:016x}{:016x}",
            word(0),
            word(1),
            word(2),
            word(3)
        )
    }

    /// Something happened to an image.
    pub(crate) fn image_event(&self, action: &str, id: &str, name: &str) {
        let attributes = BTreeMap::from([("name".to_owned(), name.to_owned())]);
        self.events.publish(Kind::Image, action, id, attributes);
    }
}
