//! Who is called what on which network, and what each container's resolver sees: known here, answered by netd.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};

use netd::client::Client;
pub use netd::protocol::{Member, View};
use netd::protocol::{Reply, Request};

use crate::keeper::Keeper;
use crate::{Result, resolver};

/// What the names of one container are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Naming {
    /// What its resolver sees; `None`: it has none.
    pub view: Option<View>,
    /// What others call it, by network.
    pub members: BTreeMap<String, Member>,
}

/// The names of all containers that have some.
#[derive(Debug, Default)]
pub struct Names {
    known: Mutex<BTreeMap<String, Naming>>,
}

impl Names {
    /// Makes a container known, and gives it a resolver in its namespace if it is to have one and has none. `look` gives what
    /// its names are once nobody else tells or forgets any; `None`: nobody would forget what it is given now.
    pub fn set(
        &self,
        keeper: &Keeper,
        container: &str,
        netns: Option<&OwnedFd>,
        look: impl FnOnce() -> Option<Naming>,
    ) -> Result<()> {
        let mut known = self.lock();
        let had_names = known.contains_key(container);
        let Some(naming) = look().filter(|one| had_names || !one.members.is_empty()) else {
            return Ok(());
        };
        // Known while it is told: what fails half-way is forgotten like the rest.
        let told = known.entry(container.to_owned()).or_default();
        let mut left: Vec<String> = told.members.keys().cloned().collect();
        left.retain(|network| !naming.members.contains_key(network));
        for network in left {
            let request = Request::Leave {
                network: network.clone(),
                container: container.to_owned(),
            };
            keeper.call_if_running(&request)?;
            told.members.remove(&network);
        }
        for (network, member) in naming.members {
            if told.members.get(&network) == Some(&member) {
                continue;
            }
            let request = Request::Join {
                network: network.clone(),
                member: member.clone(),
            };
            keeper.call(&request, &[])?;
            told.members.insert(network, member);
        }
        if let Some(view) = &naming.view {
            let sockets = match netns {
                Some(netns) if told.view.is_none() => resolver::open(netns.as_fd())?,
                _ => Vec::new(),
            };
            let request = Request::Resolve {
                container: container.to_owned(),
                view: view.clone(),
            };
            keeper.call(&request, &sockets)?;
        }
        told.view = naming.view;
        Ok(())
    }

    /// Whether a container has names.
    pub fn knows(&self, container: &str) -> bool {
        self.lock().contains_key(container)
    }

    /// A container has ended.
    pub fn forget(&self, keeper: &Keeper, container: &str) -> Result<()> {
        let mut known = self.lock();
        if known.remove(container).is_none() {
            return Ok(());
        }
        keeper.call_if_running(&Request::Forget {
            container: container.to_owned(),
        })
    }

    /// A container that an earlier daemon started.
    pub fn adopt(&self, container: &str, naming: Naming) {
        self.lock().insert(container.to_owned(), naming);
    }

    /// What is known, for the length of a handing over.
    pub(crate) fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Naming>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells netd all names, and gives it the resolvers that it does not have; what could not be done is told. `namespace`
/// opens a running container's.
pub(crate) fn hand_over(
    known: &BTreeMap<String, Naming>,
    client: &Client,
    resolving: &BTreeSet<String>,
    namespace: impl Fn(&str) -> Option<OwnedFd>,
) -> Vec<String> {
    let mut warnings = Vec::new();
    for (container, naming) in known {
        let told = tell(client, container, naming, resolving, &namespace);
        if let Err(error) = told {
            warnings.push(format!(
                "give names of container {container} to netd: {error}"
            ));
        }
    }
    warnings
}

fn tell(
    client: &Client,
    container: &str,
    naming: &Naming,
    resolving: &BTreeSet<String>,
    namespace: impl Fn(&str) -> Option<OwnedFd>,
) -> io::Result<()> {
    let ask = |request: &Request, sockets: &[OwnedFd]| {
        let fds: Vec<_> = sockets.iter().map(AsFd::as_fd).collect();
        match client.call(request, &fds)? {
            Reply::Failed(why) => Err(io::Error::other(why)),
            _ => Ok(()),
        }
    };
    for (network, member) in &naming.members {
        let request = Request::Join {
            network: network.clone(),
            member: member.clone(),
        };
        ask(&request, &[])?;
    }
    let Some(view) = &naming.view else {
        return Ok(());
    };
    let sockets = match namespace(container) {
        Some(netns) if !resolving.contains(container) => {
            resolver::open(netns.as_fd()).map_err(io::Error::other)?
        }
        _ => Vec::new(),
    };
    let request = Request::Resolve {
        container: container.to_owned(),
        view: view.clone(),
    };
    ask(&request, &sockets)
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::sync::Arc;
    use std::sync::mpsc::channel;
    use std::time::Duration;

    use super::*;

    /// A keeper of a netd that cannot be started.
    fn keeper(directory: &tempfile::TempDir) -> Keeper {
        let nothing = File::open("/dev/null").unwrap().into();
        Keeper::new(directory.path().to_owned(), nothing, Arc::default())
    }

    #[test]
    fn what_was_told_before_a_failure_is_forgotten_with_the_container() {
        let directory = tempfile::tempdir().unwrap();
        let keeper = keeper(&directory);
        let names = Names::default();
        let member = Member {
            container: "c".to_owned(),
            names: vec!["web".to_owned()],
            domain: "shop".to_owned(),
            addresses: Vec::new(),
        };
        let naming = Naming {
            view: None,
            members: [("shop".to_owned(), member)].into(),
        };
        names.set(&keeper, "c", None, || Some(naming)).unwrap_err();
        assert!(names.knows("c"));
        assert_eq!(names.lock()["c"], Naming::default());
        names.forget(&keeper, "c").unwrap();
        assert!(!names.knows("c"));
    }

    #[test]
    fn a_container_that_ends_while_its_names_are_told_is_forgotten_after_that() {
        let directory = tempfile::tempdir().unwrap();
        // It holds nothing that netd answers for, so that none is started.
        let keeper = keeper(&directory);
        let names = Names::default();
        names.adopt("c", Naming::default());
        let (looked, has_looked) = channel();
        let (forgot, has_forgotten) = channel();
        std::thread::scope(|scope| {
            let (names, keeper) = (&names, &keeper);
            scope.spawn(move || {
                has_looked.recv().unwrap();
                names.forget(keeper, "c").unwrap();
                forgot.send(()).unwrap();
            });
            let runs = || {
                looked.send(()).unwrap();
                let early = has_forgotten.recv_timeout(Duration::from_millis(200));
                assert!(
                    early.is_err(),
                    "what was seen is told before it is forgotten"
                );
                Some(Naming::default())
            };
            names.set(keeper, "c", None, runs).unwrap();
            has_forgotten.recv().unwrap();
        });
        assert!(!names.knows("c"));
    }
}
