//! Container names. A name is taken by holding its [`Reservation`]: names are unique because reservations are.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// A name that Docker allows: `[a-zA-Z0-9][a-zA-Z0-9_.-]+`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ContainerName(String);

impl ContainerName {
    /// The name, without a slash.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ContainerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for ContainerName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let name = text.strip_prefix('/').unwrap_or(text);
        let mut bytes = name.bytes();
        let first = bytes
            .next()
            .is_some_and(|byte| byte.is_ascii_alphanumeric());
        let rest = name.len() >= 2
            && bytes.all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte));
        if first && rest {
            Ok(Self(name.to_owned()))
        } else {
            Err(Error::InvalidName(text.to_owned()))
        }
    }
}

/// All names taken, by whom.
#[derive(Clone, Debug, Default)]
pub struct Names(Arc<Mutex<HashMap<ContainerName, String>>>);

/// A name that is taken; dropped, it is free again.
#[derive(Debug)]
pub struct Reservation {
    name: ContainerName,
    names: Names,
}

impl Names {
    /// Takes a name for a container.
    pub fn reserve(&self, name: ContainerName, id: &str) -> Result<Reservation> {
        let mut names = self.lock();
        if let Some(owner) = names.get(&name) {
            return Err(Error::NameInUse {
                name: name.0,
                id: owner.clone(),
            });
        }
        names.insert(name.clone(), id.to_owned());
        Ok(Reservation {
            name,
            names: self.clone(),
        })
    }

    /// Takes a random name that is free.
    pub fn reserve_random(&self, id: &str) -> Result<Reservation> {
        for attempt in 0..6 {
            if let Ok(name) = stdx::names::random(attempt).parse()
                && let Ok(reservation) = self.reserve(name, id)
            {
                return Ok(reservation);
            }
        }
        self.reserve(id.get(..12).unwrap_or(id).parse()?, id)
    }

    /// The id of the container that has this name.
    pub fn owner(&self, name: &str) -> Option<String> {
        let name = name.strip_prefix('/').unwrap_or(name).parse().ok()?;
        self.lock().get(&name).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ContainerName, String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reservation {
    /// The name that is held.
    pub fn name(&self) -> &ContainerName {
        &self.name
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.names.lock().remove(&self.name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_free_again_when_its_reservation_is_dropped() {
        let names = Names::default();
        let held = names.reserve("web".parse().unwrap(), "1").unwrap();
        let error = names
            .reserve("/web".parse().unwrap(), "2")
            .unwrap_err()
            .to_string();
        assert_eq!(
            error,
            "Conflict. The container name \"/web\" is already in use by container \"1\". \
             You have to remove (or rename) that container to be able to reuse that name."
        );
        assert_eq!(names.owner("/web").as_deref(), Some("1"));
        drop(held);
        assert!(names.reserve("web".parse().unwrap(), "2").is_ok());
    }

    #[test]
    fn only_dockers_names_are_allowed() {
        for good in ["ab", "a1_.-", "/x9"] {
            assert!(good.parse::<ContainerName>().is_ok(), "{good}");
        }
        for bad in ["", "a", "_a", "a b", "a/b", "-x", "é1"] {
            assert!(bad.parse::<ContainerName>().is_err(), "{bad}");
        }
    }
}
