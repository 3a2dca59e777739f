//! Create a container: find its image, take its name, prepare its tree, record it, say so.

use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime};

use image::{Image, platform};
use network::Attachment;
use oci::image::Platform;
use stdx::Undo;

use super::start;
use crate::blocking::{Class, blocking, blocking_then};
use crate::container::merge::merge;
use crate::container::name::Reservation;
use crate::container::record::{Paths, Record};
use crate::container::spec::NetworkMode;
use crate::container::{Container, Published, Spec, State};
use crate::detached::detached;
use crate::steps::step;
use crate::{Engine, Error, Result, bundle, hello, links};

mod check;

/// How long a root that was mounted ahead waits for its start.
const MOUNTED: Duration = Duration::from_secs(2);

/// A create request, validated.
#[derive(Clone, Debug)]
pub struct Create {
    /// The name asked for, with or without a slash; `None` or empty: a random one.
    pub name: Option<String>,
    /// What is asked.
    pub spec: Spec,
    /// The machine that its image has to be for; `None`: any.
    pub platform: Option<Platform>,
    /// The request as it came, for `inspect`.
    pub request: serde_json::Value,
}

/// A created container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Created {
    /// Its id.
    pub id: String,
    /// What Docker would warn of.
    pub warnings: Vec<String>,
}

/// Creates a container.
pub async fn create(engine: &Arc<Engine>, request: Create) -> Result<Created> {
    let engine = engine.clone();
    detached(async move {
        let (created, container) = blocking_then("create a container", Class::Disk, move || {
            let made = make(&engine, request);
            let made_one = made.as_ref().ok().map(|(_, container)| container.clone());
            let after = move || {
                if let Some(container) = made_one {
                    mount_ahead(&engine, &container);
                }
            };
            (made, after)
        })
        .await?;
        if goes_with_its_end(&container) {
            tokio::spawn(unmount_later(Arc::downgrade(&container)));
        }
        Ok(created)
    })
    .await
}

/// Mounts the root of a container that goes with its end: it is created to be started, and whoever does so is on the way
/// back with the next request.
fn mount_ahead(engine: &Engine, container: &Container) {
    if goes_with_its_end(container) {
        // A start meets the same failure, and tells it.
        container
            .root
            .mount(|| start::mount_root(engine, container).ok());
    }
}

/// A start that has not come by then mounts for itself.
async fn unmount_later(container: Weak<Container>) {
    tokio::time::sleep(MOUNTED).await;
    if let Some(container) = container.upgrade()
        && container.root.is_mounted()
    {
        blocking("unmount a root", Class::Kernel, move || {
            container.root.end();
        })
        .await;
    }
}

fn goes_with_its_end(container: &Container) -> bool {
    container.now().record.spec.auto_remove
}

fn make(engine: &Arc<Engine>, request: Create) -> Result<(Created, Arc<Container>)> {
    let Create {
        name,
        mut spec,
        platform,
        request,
    } = request;
    let warnings = check::check(&spec, &engine.host)?;
    bundle::check_capabilities(&spec)?;
    links::resolve(engine, &mut spec.links)?;
    let image = hello::resolve(engine, &spec.image)?;
    platform::check(&image, &spec.image, platform.as_slice())?;
    let id = stdx::id::random_hex();
    let record = record(engine, &id, spec, request, &image)?;
    let name = match name.as_deref().filter(|name| !name.is_empty()) {
        Some(name) => engine.containers.names.reserve(name.parse()?, &id)?,
        None => engine.containers.names.reserve_random(&id)?,
    };
    step("create.named");
    let mut undo = Undo::default();
    match keep(engine, record, name, &image, &mut undo) {
        Ok(container) => {
            undo.keep();
            engine.containers.insert(container.clone());
            engine.container_event(&container.now(), "create", &[]);
            Ok((Created { id, warnings }, container))
        }
        Err(error) => Err(error.undone(undo)),
    }
}

fn record(
    engine: &Engine,
    id: &str,
    spec: Spec,
    request: serde_json::Value,
    image: &Image,
) -> Result<Record> {
    let hostname = match (spec.hostname.as_str(), &spec.network, spec.host_uts) {
        ("", NetworkMode::Host, _) | ("", _, true) => engine.host.hostname.clone(),
        ("", NetworkMode::Container(other), _) => engine.containers.find(other).map_or_else(
            |_| id[..12].to_owned(),
            |other| other.now().record.effective.hostname.clone(),
        ),
        ("", _, _) => id[..12].to_owned(),
        (own, _, _) => own.to_owned(),
    };
    let effective = merge(&spec, &image.config.config, hostname)?;
    Ok(Record {
        id: id.to_owned(),
        created: SystemTime::now(),
        image_id: image.id.to_string(),
        effective,
        request,
        os: image.config.os.clone(),
        architecture: image.config.architecture.clone(),
        spec,
    })
}

/// The part that leaves traces: a snapshot, a directory, and last the record that makes it a container.
fn keep(
    engine: &Arc<Engine>,
    record: Record,
    name: Reservation,
    image: &Image,
    undo: &mut Undo<'static>,
) -> Result<Arc<Container>> {
    let id = record.id.clone();
    engine.snapshots.prepare(&id, image.chain.as_deref())?;
    let (snapshots, key) = (engine.snapshots.clone(), id.clone());
    undo.push("remove snapshot", move || {
        snapshots.remove(&key).map_err(|error| error.to_string())
    });
    step("create.prepared");
    let paths = Paths::new(&engine.config.state_dir(&id), &engine.config.run_dir(&id));
    store::create_dir(&paths.state_dir)?;
    let directory = paths.state_dir.clone();
    undo.push("remove directory", move || {
        store::remove_tree(&directory).map_err(|error| error.to_string())
    });
    store::create_dir(&paths.state_dir.join("log"))?;
    step("create.directory");
    let durable = !record.spec.auto_remove;
    let attachments = canonical(engine, record.spec.attachments());
    let published = Published {
        name: name.name().clone(),
        record: Arc::new(record),
        state: State::Created(None),
        attachments,
        endpoints: Vec::new(),
        ports: Vec::new(),
        exits: 0,
        ending: false,
        removed: false,
        execs: Vec::new(),
    };
    store::save(&paths.record(), &published.stored(), durable)?;
    step("create.recorded");
    Ok(Container::new(name, paths, published))
}

/// Networks by their names where they exist already, each once: a container may name one in several ways.
fn canonical(engine: &Engine, attachments: Vec<Attachment>) -> Vec<Attachment> {
    let mut kept: Vec<Attachment> = Vec::new();
    for mut attachment in attachments {
        if let Ok(network) = engine.networks.find(&attachment.network) {
            attachment.network.clone_from(&network.record.name);
        }
        match kept
            .iter_mut()
            .find(|one| one.network == attachment.network)
        {
            Some(same) if same.settings == network::Settings::default() => *same = attachment,
            Some(_) => {}
            None => kept.push(attachment),
        }
    }
    kept
}

impl Error {
    /// Takes back what was done, and tells what could not be.
    pub(crate) fn undone(self, undo: Undo<'_>) -> Self {
        let failures = undo.run();
        if failures.is_empty() {
            self
        } else {
            Self::Undo {
                error: Box::new(self),
                failures,
            }
        }
    }
}
