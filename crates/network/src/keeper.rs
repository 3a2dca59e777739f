//! The engine's hold on netd: spawned at first need, adopted from an earlier daemon, replaced when it dies.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use netd::client::Client;
use netd::protocol::{self, Reply, Request};
use sys::spawn::Groups;

use crate::names::Naming;
use crate::publish::Again;
use crate::{Error, Result, names};

/// How netd is started and found.
#[derive(Debug)]
pub struct Keeper {
    exec_root: PathBuf,
    executable: OwnedFd,
    groups: Arc<Groups>,
    client: Mutex<Option<Client>>,
    /// The present netd may lack what another held, or there should be one and is none. Changed with the client locked.
    behind: AtomicBool,
}

impl Keeper {
    /// Nothing runs until something is needed.
    pub fn new(exec_root: PathBuf, executable: OwnedFd, groups: Arc<Groups>) -> Self {
        Self {
            exec_root,
            executable,
            groups,
            client: Mutex::default(),
            behind: AtomicBool::new(false),
        }
    }

    /// Asks netd, which is started if it does not run.
    pub(crate) fn call(&self, request: &Request, fds: &[OwnedFd]) -> Result<()> {
        let mut client = self.lock();
        let fds: Vec<BorrowedFd<'_>> = fds.iter().map(AsFd::as_fd).collect();
        if let Some(running) = client.take() {
            match running.call(request, &fds) {
                Ok(reply) => {
                    *client = Some(running);
                    return done(reply);
                }
                // It went away for want of work, or died; whoever watches it gives its successor what it held. That one
                // may be dead by then, and a third have nobody who knows of it.
                Err(_) => {
                    running.bury();
                    self.behind.store(true, Ordering::Relaxed);
                }
            }
        }
        let started = client.insert(self.start()?);
        let reply = started.call(request, &fds).map_err(Error::io("ask netd"))?;
        done(reply)
    }

    /// Asks netd if it runs; else there is nothing to be asked.
    pub(crate) fn call_if_running(&self, request: &Request) -> Result<()> {
        match &*self.lock() {
            // One that is gone holds nothing: its successor is given what is wanted by then.
            Some(running) => running.call(request, &[]).map_or(Ok(()), done),
            None => Ok(()),
        }
    }

    /// Whether netd is to be brought to hold what it should.
    pub fn is_behind(&self) -> bool {
        self.behind.load(Ordering::Relaxed)
    }

    /// A descriptor that is readable once the present netd has ended; `None`: there is none.
    pub fn process(&self) -> Option<OwnedFd> {
        let client = self.lock();
        client.as_ref()?.process().try_clone_to_owned().ok()
    }

    /// Brings netd to hold what it should: so many ports of each container, and these names. Without anything to hold,
    /// and without a netd, none is started.
    pub(crate) fn restore(
        &self,
        wanted: &BTreeMap<String, usize>,
        names: &BTreeMap<String, Naming>,
        bind_again: impl Fn(&str) -> Again,
        namespace: impl Fn(&str) -> Option<OwnedFd>,
    ) -> Vec<String> {
        let mut warnings = Vec::new();
        let mut client = self.lock();
        self.behind.store(false, Ordering::Relaxed);
        let running = client
            .take()
            .and_then(|running| match running.call(&Request::State, &[]) {
                Ok(Reply::State(held)) => Some((running, held)),
                _ => {
                    running.bury();
                    None
                }
            })
            .or_else(|| self.adopt());
        let (running, held) = match running {
            Some(found) => found,
            None if wanted.is_empty() && names.is_empty() => return warnings,
            None => match self.start() {
                Ok(started) => (started, Vec::new()),
                Err(error) => {
                    self.behind.store(true, Ordering::Relaxed);
                    return vec![error.to_string()];
                }
            },
        };
        let mut missing: BTreeSet<String> = wanted.keys().cloned().collect();
        let mut resolving = BTreeSet::new();
        for one in held {
            let has_view = names
                .get(&one.container)
                .is_some_and(|naming| naming.view.is_some());
            let ports = wanted.get(&one.container).copied().unwrap_or(0);
            if ports == one.ports && (has_view || !one.resolves) {
                missing.remove(&one.container);
                if one.resolves {
                    resolving.insert(one.container);
                }
                continue;
            }
            let container = one.container;
            drop(running.call(&Request::Forget { container }, &[]));
        }
        for container in missing {
            let again = bind_again(&container);
            warnings.extend(again.warnings);
            if let Err(error) = give(&running, &container, &again.leads, &again.fds) {
                warnings.push(format!(
                    "give ports of container {container} to netd: {error}"
                ));
            }
        }
        warnings.extend(names::hand_over(names, &running, &resolving, namespace));
        *client = Some(running);
        warnings
    }

    fn adopt(&self) -> Option<(Client, Vec<protocol::Held>)> {
        let client = Client::adopt(&self.exec_root)?;
        match client.call(&Request::State, &[]) {
            Ok(Reply::State(held)) => Some((client, held)),
            _ => None,
        }
    }

    fn start(&self) -> Result<Client> {
        Client::spawn(&self.exec_root, &self.executable, &self.groups)
            .map_err(Error::io("start netd"))
    }

    fn lock(&self) -> MutexGuard<'_, Option<Client>> {
        self.client.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn give(
    client: &Client,
    container: &str,
    ports: &[protocol::Port],
    fds: &[OwnedFd],
) -> io::Result<()> {
    for (ports, fds) in ports
        .chunks(protocol::PORTS)
        .zip(fds.chunks(protocol::PORTS))
    {
        let request = Request::Publish {
            container: container.to_owned(),
            ports: ports.to_vec(),
        };
        let fds: Vec<BorrowedFd<'_>> = fds.iter().map(AsFd::as_fd).collect();
        if let Reply::Failed(why) = client.call(&request, &fds)? {
            return Err(io::Error::other(why));
        }
    }
    Ok(())
}

fn done(reply: Reply) -> Result<()> {
    match reply {
        Reply::Failed(why) => Err(Error::Netd { why }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    /// A keeper whose netd would be this program.
    fn keeper(directory: &tempfile::TempDir, program: &str) -> Keeper {
        let program = File::open(program).unwrap().into();
        Keeper::new(directory.path().to_owned(), program, Arc::default())
    }

    fn restore(keeper: &Keeper, names: &[&str]) -> Vec<String> {
        let named = |name: &&str| ((*name).to_owned(), Naming::default());
        let names = names.iter().map(named).collect();
        keeper.restore(&BTreeMap::new(), &names, |_| Again::default(), |_| None)
    }

    #[test]
    fn a_netd_that_cannot_be_started_now_is_still_wanted() {
        let directory = tempfile::tempdir().unwrap();
        let keeper = keeper(&directory, "/dev/null");
        assert_eq!(restore(&keeper, &["web"]).len(), 1);
        assert!(keeper.is_behind());
        assert_eq!(restore(&keeper, &[]), Vec::<String>::new());
        assert!(!keeper.is_behind());
    }

    #[test]
    fn who_follows_a_dead_netd_is_to_be_given_what_that_held() {
        let directory = tempfile::tempdir().unwrap();
        // It ends at once.
        let keeper = keeper(&directory, "/bin/true");
        restore(&keeper, &["web"]);
        assert!(!keeper.is_behind());
        keeper.call(&Request::State, &[]).unwrap_err();
        assert!(keeper.is_behind());
    }
}
