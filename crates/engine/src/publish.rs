//! Events as Docker words them.

use std::collections::BTreeMap;

use network::Endpoint;

use crate::Engine;
use crate::container::Published;
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

    /// A container joined a network or left it.
    pub(crate) fn network_event(&self, endpoint: &Endpoint, action: &str, container: &str) {
        let driver = self.networks.find(&endpoint.network_id);
        let driver = driver.map_or("", |network| network.record.driver.as_str());
        let attributes = [
            ("container", container),
            ("name", &endpoint.network),
            ("type", driver),
        ];
        let attributes = attributes.map(|(key, value)| (key.to_owned(), value.to_owned()));
        self.events.publish(
            Kind::Network,
            action,
            &endpoint.network_id,
            BTreeMap::from(attributes),
        );
    }

    /// A network came or went.
    pub(crate) fn network_changed(&self, network: &network::Network, action: &str) {
        let record = &network.record;
        let attributes = [
            ("name", record.name.as_str()),
            ("type", record.driver.as_str()),
        ];
        let attributes = attributes.map(|(key, value)| (key.to_owned(), value.to_owned()));
        self.events.publish(
            Kind::Network,
            action,
            &record.id,
            BTreeMap::from(attributes),
        );
    }

    /// Something happened to an image.
    pub(crate) fn image_event(&self, action: &str, id: &str, name: &str) {
        let attributes = BTreeMap::from([("name".to_owned(), name.to_owned())]);
        self.events.publish(Kind::Image, action, id, attributes);
    }

    /// Everything of a kind that nobody used has been removed.
    pub(crate) fn prune_event(&self, kind: Kind, freed: u64) {
        let attributes = BTreeMap::from([("reclaimed".to_owned(), freed.to_string())]);
        self.events.publish(kind, "prune", "", attributes);
    }
}
