//! Images of registries: pull and push.
//!
//! A pull resolves a name to a manifest for one platform, downloads its layers (three at a time), unpacks each while it
//! comes and before those below it are there, and writes the image's record and names last. What was verified stays when a
//! pull is cancelled or cut off, and the next one goes on from there; what is wrong leaves nothing.
//!
//! The only user of [`registry::client`].

mod ahead;
mod arrival;
mod download;
mod layer;
mod login;
mod pull;
mod push;
mod resolve;
mod schema1;
mod step;
mod unpack;
mod upload;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};

pub use registry::client::{CERTS, Credentials, Options, Proxies, Search, SearchResult};
use registry::client::{Client, Repository, Scope};

pub use pull::{Pull, Pulled};
pub use push::Push;
pub use resolve::Distribution;
pub use step::{Progress, Step};

use crate::{Error, Images};

/// Downloads, and likewise uploads, that run at once.
const AT_ONCE: usize = 3;

/// Registries, and the images that come from them and go to them.
pub struct Remote {
    images: Arc<Images>,
    client: Client,
    downloads: download::Downloads,
    /// Held while a layer is unpacked, so that no two pulls do the same one.
    unpacking: Mutex<HashMap<String, Weak<tokio::sync::Mutex<()>>>>,
    /// Bounds the threads that unpack.
    unpackers: Arc<tokio::sync::Semaphore>,
}

impl Remote {
    /// Reads the trusted certificates; asks nobody.
    pub fn new(images: Arc<Images>, options: Options) -> Result<Self, Error> {
        Ok(Self {
            images,
            client: Client::new(options)?,
            downloads: download::Downloads::new(AT_ONCE),
            unpacking: Mutex::default(),
            unpackers: Arc::new(tokio::sync::Semaphore::new(AT_ONCE + 1)),
        })
    }

    fn repository(
        &self,
        reference: &oci::Reference,
        credentials: &Credentials,
        scope: Scope,
    ) -> Repository {
        self.client
            .repository(reference, credentials.clone(), scope)
    }

    /// The lock of one layer.
    fn chain_lock(&self, chain: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut locks = self
            .unpacking
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        locks.retain(|_, lock| lock.strong_count() > 0);
        if let Some(lock) = locks.get(chain).and_then(Weak::upgrade) {
            return lock;
        }
        let lock = Arc::new(tokio::sync::Mutex::new(()));
        locks.insert(chain.to_owned(), Arc::downgrade(&lock));
        lock
    }
}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Remote").finish_non_exhaustive()
    }
}

/// Runs blocking work on a thread where it may block.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    #[expect(
        clippy::disallowed_methods,
        reason = "bounded by the downloads and unpackers that run at once"
    )]
    match tokio::task::spawn_blocking(work).await {
        Ok(value) => value,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(error) => panic!("blocking work was cut off: {error}"),
        },
    }
}
