//! A container in the engine's memory: a published snapshot for readers, a lease for the one writer.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use network::{Attachment, Endpoint, Port};
use tokio::sync::watch;

use super::ahead::Ahead;
use super::name::Reservation;
use super::record::{Paths, Record, Stored};
use super::{ContainerName, State};
use crate::ops::container::attach::Pending;
use crate::task::Task;

/// What readers see: a container at one moment.
#[derive(Clone, Debug)]
pub struct Published {
    /// The unchanging part.
    pub record: Arc<Record>,
    /// Its name.
    pub name: ContainerName,
    /// How it stands.
    pub state: State,
    /// The networks it belongs to, that of its mode first.
    pub attachments: Vec<Attachment>,
    /// Its places on networks while it runs.
    pub endpoints: Vec<Endpoint>,
    /// Its published ports while it runs.
    pub ports: Vec<Port>,
    /// How often it has ended: `wait` for the next exit compares this.
    pub exits: u64,
    /// Its run has ended, and what it has is being taken back; its state says so when that is done.
    pub ending: bool,
    /// It has been removed; only waiters still see it.
    pub removed: bool,
    /// Ids of execs that run or wait to be started.
    pub execs: Vec<String>,
}

impl Published {
    /// Its id.
    pub fn id(&self) -> &str {
        &self.record.id
    }

    /// It runs, and may be given places and names: what it is given later nobody takes back.
    pub(crate) fn goes_on(&self) -> bool {
        self.state.is_running() && !self.ending
    }

    /// It runs with an address of its own: its ports mean something.
    pub fn reaches_out(&self) -> bool {
        self.endpoints
            .iter()
            .any(|one| one.ipv4.is_some() || one.ipv6.is_some())
    }

    /// The file's content.
    pub fn stored(&self) -> Stored {
        Stored {
            name: self.name.clone(),
            state: self.state.clone(),
            attachments: Some(self.attachments.clone()),
            endpoints: self.endpoints.clone(),
            record: self.record.clone(),
        }
    }
}

/// A container. Readers call [`Container::now`] and never wait; writers hold the lease.
#[derive(Debug)]
pub struct Container {
    /// Its id.
    pub id: String,
    /// Where its files are.
    pub paths: Paths,
    /// Its tree, mounted before its first start.
    pub(crate) root: Ahead,
    published: watch::Sender<Arc<Published>>,
    pub(super) lease: Arc<tokio::sync::Mutex<()>>,
    name: Mutex<Option<Reservation>>,
    task: Mutex<Option<Arc<Task>>>,
    former: Mutex<Option<Arc<Task>>>,
    pending: Mutex<Vec<Pending>>,
    kept: AtomicUsize,
}

/// An end is not the last one while this is there: whoever has it starts the container again.
#[derive(Debug)]
pub(crate) struct Kept(Arc<Container>);

impl Container {
    /// A container that is recorded.
    pub(crate) fn new(name: Reservation, paths: Paths, published: Published) -> Arc<Self> {
        Arc::new(Self {
            id: published.record.id.clone(),
            paths,
            published: watch::Sender::new(Arc::new(published)),
            lease: Arc::default(),
            name: Mutex::new(Some(name)),
            task: Mutex::default(),
            former: Mutex::default(),
            pending: Mutex::default(),
            kept: AtomicUsize::new(0),
            root: Ahead::default(),
        })
    }

    /// The container as it stands.
    pub fn now(&self) -> Arc<Published> {
        self.published.borrow().clone()
    }

    /// Told of every change.
    pub fn subscribe(&self) -> watch::Receiver<Arc<Published>> {
        self.published.subscribe()
    }

    /// The other end of its monitor, while it runs.
    pub fn task(&self) -> Option<Arc<Task>> {
        lock(&self.task).clone()
    }

    /// Changes what readers see. Private to writers: the lease's holder and `supervise`.
    pub(crate) fn publish(&self, change: impl FnOnce(&mut Published)) {
        self.published
            .send_modify(|published| change(Arc::make_mut(published)));
    }

    pub(crate) fn set_task(&self, task: Option<Arc<Task>>) {
        *lock(&self.task) = task;
    }

    /// Its run has ended, and its monitor is on its way out: nobody asks it for anything any more, a client that attaches
    /// from here on waits for the next start.
    pub(crate) fn retire_task(&self) {
        let task = lock(&self.task).take();
        *lock(&self.former) = task;
    }

    /// The monitor of the former run, until it was cleaned up after.
    pub(crate) fn former(&self) -> Option<Arc<Task>> {
        lock(&self.former).clone()
    }

    /// There is no monitor, neither of this run nor of a former one.
    pub(crate) fn forget_tasks(&self) {
        self.set_task(None);
        *lock(&self.former) = None;
    }

    /// Takes another name; the former is free again.
    pub(crate) fn rename(&self, reservation: Reservation) {
        let name = reservation.name().clone();
        *lock(&self.name) = Some(reservation);
        self.publish(|published| published.name = name);
    }

    /// Keeps it beyond an end that would remove it, until the value is dropped.
    pub(crate) fn keep(self: &Arc<Self>) -> Kept {
        self.kept.fetch_add(1, Ordering::SeqCst);
        Kept(self.clone())
    }

    /// Somebody is about to start it again.
    pub(crate) fn is_kept(&self) -> bool {
        self.kept.load(Ordering::SeqCst) > 0
    }

    pub(crate) fn add_pending(&self, pending: Pending) {
        lock(&self.pending).push(pending);
    }

    /// The clients that attached before the start.
    pub(crate) fn take_pending(&self) -> Vec<Pending> {
        std::mem::take(&mut *lock(&self.pending))
    }

    /// It is gone: its name is free, its waiters are told, clients that wait for a start are let go.
    pub(crate) fn removed(&self) {
        drop(lock(&self.name).take());
        drop(self.take_pending());
        self.publish(|now| now.removed = true);
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.0.kept.fetch_sub(1, Ordering::SeqCst);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
