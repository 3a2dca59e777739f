//! Capabilities: Docker's default set, changed by what was added and dropped.

use oci::runtime::Capabilities;
use sys::caps;

use crate::container::Spec;
use crate::container::spec::defaults;
use crate::{Error, Result};

/// Fails if a capability does not exist, in Docker's words.
pub fn check(spec: &Spec) -> Result<()> {
    for (list, words) in [
        ("CapAdd", &spec.capabilities.add),
        ("CapDrop", &spec.capabilities.drop),
    ] {
        for word in words {
            if word != "ALL" && bit(word).is_none() {
                return Err(Error::Invalid(format!(
                    "invalid {list}: unknown capability: \"CAP_{word}\""
                )));
            }
        }
    }
    Ok(())
}

/// The container's capabilities, one bit each.
pub fn mask(spec: &Spec) -> u64 {
    if spec.privileged {
        return caps::ALL;
    }
    let all = |words: &[String]| words.iter().any(|word| word == "ALL");
    let bits = |words: &[String]| {
        words
            .iter()
            .filter_map(|word| bit(word))
            .fold(0, |mask, bit| mask | bit)
    };
    let (add, drop) = (&spec.capabilities.add, &spec.capabilities.drop);
    if all(add) {
        caps::ALL & !bits(drop)
    } else if all(drop) {
        bits(add)
    } else {
        let default = defaults::CAPABILITIES
            .iter()
            .filter_map(|name| bit(name))
            .fold(0, |mask, bit| mask | bit);
        default & !bits(drop) | bits(add)
    }
}

/// The sets of a process: no ambient and no inheritable ones (CVE-2022-24769).
pub(super) fn sets(mask: u64) -> Capabilities {
    let names = caps::names(mask);
    Capabilities {
        bounding: names.clone(),
        effective: names.clone(),
        permitted: names,
        inheritable: Vec::new(),
        ambient: Vec::new(),
    }
}

fn bit(word: &str) -> Option<u64> {
    caps::by_name(&format!("CAP_{word}"))
}
