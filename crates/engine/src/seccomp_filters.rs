//! Compiled system call filters, one a set of capabilities, made once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use seccomp::{Arch, Context, Filter, Profile};

use crate::container::Spec;
use crate::container::spec::Seccomp;
use crate::host::Host;
use crate::{Error, Result, bundle};

/// The filters of Docker's default profile.
#[derive(Debug)]
pub(crate) struct Filters {
    profile: Profile,
    kernel: (u32, u32),
    capabilities: u64,
    compiled: Mutex<HashMap<u64, Arc<Filter>>>,
}

impl Filters {
    /// Compiles the filter of containers that ask for nothing special.
    pub(crate) fn new(host: &Host) -> Self {
        let filters = Self {
            profile: Profile::docker_default(),
            kernel: host.kernel_version,
            capabilities: host.capabilities,
            compiled: Mutex::default(),
        };
        if let Err(error) = filters.of(&Spec::default()) {
            tracing::error!(%error, "the default seccomp profile does not compile");
        }
        filters
    }

    /// The filter of a container.
    pub(crate) fn of(&self, spec: &Spec) -> Result<Filter> {
        let caps = bundle::capability_mask(spec) & self.capabilities;
        match &spec.security.seccomp {
            Seccomp::Unconfined => Ok(Filter::default()),
            Seccomp::Default if spec.privileged => Ok(Filter::default()),
            Seccomp::Default => {
                let known = self
                    .compiled
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .get(&caps)
                    .cloned();
                if let Some(filter) = known {
                    return Ok((*filter).clone());
                }
                let filter = Arc::new(self.compile(&self.profile, caps)?);
                self.compiled
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .insert(caps, filter.clone());
                Ok((*filter).clone())
            }
            Seccomp::Profile(json) => {
                let wrong =
                    |error| Error::Invalid(format!("Decoding seccomp profile failed: {error}"));
                self.compile(&Profile::parse(json.as_bytes()).map_err(wrong)?, caps)
            }
        }
    }

    fn compile(&self, profile: &Profile, caps: u64) -> Result<Filter> {
        let names = sys::caps::names(caps);
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let context = Context {
            caps: &names,
            arch: Arch::NATIVE,
            kernel: self.kernel,
        };
        profile
            .compile(&context)
            .map_err(|error| Error::Invalid(format!("compile seccomp profile: {error}")))
    }
}
