//! A root that is mounted before a start asks for it: once, for the first one.

use std::os::fd::OwnedFd;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A container's tree, mounted or not. Its mount lives nowhere but here; whoever uses the tree otherwise takes it first.
#[derive(Debug, Default)]
pub(crate) struct Ahead(Mutex<State>);

#[derive(Debug, Default)]
enum State {
    /// It may be mounted.
    #[default]
    Wanted,
    Mounted(OwnedFd),
    /// Somebody has the tree, or had it.
    Over,
}

impl Ahead {
    /// Mounts, unless somebody has come for the tree. Who comes meanwhile waits.
    pub(crate) fn mount(&self, mount: impl FnOnce() -> Option<OwnedFd>) {
        let mut state = self.lock();
        if matches!(*state, State::Wanted) {
            *state = mount().map_or(State::Over, State::Mounted);
        }
    }

    /// Takes the mount if there is one; from here on there will be none.
    pub(crate) fn take(&self) -> Option<OwnedFd> {
        match std::mem::replace(&mut *self.lock(), State::Over) {
            State::Mounted(root) => Some(root),
            State::Wanted | State::Over => None,
        }
    }

    /// Unmounts; who comes meanwhile waits.
    pub(crate) fn end(&self) {
        *self.lock() = State::Over;
    }

    /// It is mounted.
    pub(crate) fn is_mounted(&self) -> bool {
        matches!(*self.lock(), State::Mounted(_))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some() -> OwnedFd {
        std::fs::File::open("/dev/null").unwrap().into()
    }

    #[test]
    fn is_mounted_once_and_taken_once() {
        let root = Ahead::default();
        root.mount(|| Some(some()));
        assert!(root.is_mounted());
        root.mount(|| panic!("mounted twice"));
        assert!(root.take().is_some());
        assert!(!root.is_mounted());
        root.mount(|| panic!("mounted beside whoever has the tree"));
        assert!(root.take().is_none());
    }

    #[test]
    fn a_start_that_comes_first_has_the_tree_for_itself() {
        let root = Ahead::default();
        assert!(root.take().is_none());
        root.mount(|| panic!("mounted beside the start"));
    }

    #[test]
    fn what_ended_or_failed_is_not_mounted_again() {
        for end in [true, false] {
            let root = Ahead::default();
            root.mount(|| end.then(some));
            if end {
                root.end();
            }
            assert!(!root.is_mounted());
            root.mount(|| panic!("mounted again"));
            assert!(root.take().is_none());
        }
    }
}
