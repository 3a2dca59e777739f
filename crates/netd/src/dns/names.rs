//! The names of all networks, and what one container sees of them.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use super::random;
use crate::protocol::{Member, View};

/// Names by network.
#[derive(Debug, Default)]
pub(crate) struct Names {
    networks: BTreeMap<String, Network>,
}

#[derive(Debug, Default)]
struct Network {
    members: HashMap<String, Member>,
    /// Members' ids by name, in the order in which they came.
    by_name: HashMap<String, Vec<String>>,
    by_address: HashMap<IpAddr, String>,
}

/// What is known of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Known {
    /// These are its addresses that were asked for.
    Addresses(Vec<IpAddr>),
    /// Nothing: others may know.
    Nothing,
}

impl Names {
    /// A container's names on a network, in place of those it had.
    pub(crate) fn join(&mut self, network: &str, member: Member) {
        self.leave(network, &member.container);
        let network = self.networks.entry(network.to_owned()).or_default();
        for name in forms(&member) {
            let ids = network.by_name.entry(name).or_default();
            if !ids.contains(&member.container) {
                ids.push(member.container.clone());
            }
        }
        for address in &member.addresses {
            network
                .by_address
                .insert(*address, member.container.clone());
        }
        network.members.insert(member.container.clone(), member);
    }

    /// A container has left a network.
    pub(crate) fn leave(&mut self, network: &str, container: &str) {
        let Some(found) = self.networks.get_mut(network) else {
            return;
        };
        let Some(member) = found.members.remove(container) else {
            return;
        };
        for name in forms(&member) {
            if let Some(ids) = found.by_name.get_mut(&name) {
                ids.retain(|id| id != container);
                if ids.is_empty() {
                    found.by_name.remove(&name);
                }
            }
        }
        for address in &member.addresses {
            if found
                .by_address
                .get(address)
                .is_some_and(|id| id == container)
            {
                found.by_address.remove(address);
            }
        }
        if found.members.is_empty() {
            self.networks.remove(network);
        }
    }

    /// A container is gone from all networks.
    pub(crate) fn forget(&mut self, container: &str) {
        let networks: Vec<String> = self.networks.keys().cloned().collect();
        for network in networks {
            self.leave(&network, container);
        }
    }

    /// The wanted addresses of a name: its own first, then those of the first network that knows it.
    pub(crate) fn look_up(
        &self,
        view: &View,
        name: &str,
        wanted: impl Fn(&IpAddr) -> bool,
    ) -> Known {
        if let Some((_, addresses)) = view.own.iter().find(|(own, _)| own == name) {
            return Known::Addresses(addresses.iter().copied().filter(wanted).collect());
        }
        let linked = view.links.iter().find(|(alias, _)| alias == name);
        let linked = linked.map(|(_, id)| vec![id.clone()]);
        for network in view.networks.iter().filter_map(|id| self.networks.get(id)) {
            let known = linked
                .as_ref()
                .filter(|ids| network.members.contains_key(&ids[0]));
            let Some(ids) = known.or_else(|| network.by_name.get(name)) else {
                continue;
            };
            let mut addresses: Vec<IpAddr> = ids
                .iter()
                .filter_map(|id| network.members.get(id))
                .flat_map(|member| member.addresses.iter().copied())
                .filter(wanted)
                .collect();
            if addresses.len() > 1 {
                // Not in turn: most ask for both families at once, or for two names after one another, and where two have
                // a name such a beat meets the same one every time.
                let first = usize::from(random()) % addresses.len();
                addresses.rotate_left(first);
            }
            return Known::Addresses(addresses);
        }
        Known::Nothing
    }

    /// What an address is called: by its container's first name and its network's.
    pub(crate) fn name_of(&self, view: &View, address: IpAddr) -> Option<String> {
        let mut networks = view.networks.iter().filter_map(|id| self.networks.get(id));
        networks.find_map(|network| {
            let member = network.members.get(network.by_address.get(&address)?)?;
            let name = member.names.first()?;
            Some(format!("{name}.{}", member.domain))
        })
    }
}

/// Every name alone and with its network's, in lower case.
fn forms(member: &Member) -> impl Iterator<Item = String> {
    member.names.iter().flat_map(|name| {
        let name = name.to_ascii_lowercase();
        let full = format!("{name}.{}", member.domain.to_ascii_lowercase());
        [name, full]
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn look_up(names: &Names, view: &View, name: &str) -> Known {
        names.look_up(view, name, |_| true)
    }

    fn member(container: &str, names: &[&str], addresses: &[&str]) -> Member {
        Member {
            container: container.to_owned(),
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            domain: "shop".to_owned(),
            addresses: addresses.iter().map(|text| text.parse().unwrap()).collect(),
        }
    }

    fn view(networks: &[&str]) -> View {
        View {
            networks: networks.iter().map(|id| (*id).to_owned()).collect(),
            own: vec![("db".to_owned(), vec!["10.9.9.9".parse().unwrap()])],
            links: vec![("two".to_owned(), "2".to_owned())],
            ..View::default()
        }
    }

    fn addresses(texts: &[&str]) -> Known {
        Known::Addresses(texts.iter().map(|text| text.parse().unwrap()).collect())
    }

    #[test]
    fn a_name_is_known_on_its_own_networks_alone() {
        let mut names = Names::default();
        names.join("a", member("1", &["Web", "www"], &["10.0.0.2", "fd00::2"]));
        names.join("b", member("2", &["web"], &["10.1.0.2"]));
        assert_eq!(
            look_up(&names, &view(&["b"]), "web"),
            addresses(&["10.1.0.2"])
        );
        assert_eq!(look_up(&names, &view(&["b"]), "www"), Known::Nothing);
        assert_eq!(
            look_up(&names, &view(&["b", "a"]), "web.shop"),
            addresses(&["10.1.0.2"])
        );
        assert_eq!(look_up(&names, &view(&[]), "db"), addresses(&["10.9.9.9"]));
        assert_eq!(look_up(&names, &view(&[]), "web"), Known::Nothing);
        assert_eq!(
            look_up(&names, &view(&["a", "b"]), "two"),
            addresses(&["10.1.0.2"])
        );
        assert_eq!(look_up(&names, &view(&["a"]), "two"), Known::Nothing);
        let address = "10.0.0.2".parse().unwrap();
        assert_eq!(
            names.name_of(&view(&["a"]), address),
            Some("Web.shop".to_owned())
        );
        assert_eq!(names.name_of(&view(&["b"]), address), None);
        names.forget("1");
        names.leave("b", "2");
        assert!(names.networks.is_empty());
    }

    #[test]
    fn a_shared_name_leads_to_each_of_its_owners() {
        for six in [&[][..], &["fd00::2", "fd00::3"]] {
            let mut names = Names::default();
            for (place, four) in ["10.0.0.2", "10.0.0.3"].iter().enumerate() {
                let addresses: Vec<&str> =
                    [four].into_iter().chain(six.get(place)).copied().collect();
                names.join("a", member(four, &["web", "db"], &addresses));
            }
            // As the C library asks: for both families, and here for one name after another.
            let mut firsts = [BTreeSet::new(), BTreeSet::new()];
            for _ in 0..64 {
                for name in ["web", "db"] {
                    for (firsts, is_six) in firsts.iter_mut().zip([false, true]) {
                        let of_family = |address: &IpAddr| address.is_ipv6() == is_six;
                        let Known::Addresses(found) = names.look_up(&view(&["a"]), name, of_family)
                        else {
                            panic!("two have the name");
                        };
                        assert!(found.iter().all(of_family), "{found:?}");
                        if name == "web" {
                            firsts.extend(found.first().copied());
                        }
                    }
                }
            }
            assert_eq!(firsts.map(|all| all.len()), [2, six.len()]);
        }
    }
}
