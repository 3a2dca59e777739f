//! Run one more process in a running container: create, start, inspect, resize.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use monitor::protocol::{Attach, ExecLaunch, Reply, Request, Stdio};
use sys::root::RootDir;

use super::start::{exec_failed, exec_process};
use crate::blocking::{Class, blocking};
use crate::container::{Container, State};
use crate::detached::detached;
use crate::users::{Accounts, Identity};
use crate::{Engine, Error, Result};

/// How long an exec that has ended can still be asked about.
const KEPT: Duration = Duration::from_mins(5);

/// No such process.
const ESRCH: i32 = 3;

/// What to run.
#[derive(Clone, Debug, Default)]
pub struct Create {
    /// Program and arguments, at least one.
    pub command: Vec<String>,
    /// `NAME=value`, over the container's.
    pub env: Vec<String>,
    /// `user[:group]`; empty: the container's.
    pub user: String,
    /// Absolute; empty: the container's.
    pub working_dir: String,
    /// A pseudo-terminal.
    pub tty: bool,
    /// Wants input.
    pub stdin: bool,
    /// Wants stdout.
    pub stdout: bool,
    /// Wants stderr.
    pub stderr: bool,
    /// All capabilities.
    pub privileged: bool,
    /// Instead of ctrl-p ctrl-q; parsed bytes.
    pub detach_keys: Option<Vec<u8>>,
    /// Rows and columns.
    pub console_size: Option<(u16, u16)>,
}

/// How to start it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Start {
    /// Nobody is connected.
    pub detach: bool,
    /// Rows and columns, instead of those of its creation.
    pub console_size: Option<(u16, u16)>,
}

/// A process that was asked for.
#[derive(Debug)]
pub struct Exec {
    /// 64 hex digits.
    pub id: String,
    /// The container's id.
    pub container: String,
    /// What to run.
    pub create: Create,
    identity: Identity,
    progress: Mutex<(Progress, Option<Instant>)>,
}

/// How an exec stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Not started.
    Created,
    /// Running, with its pid on the host.
    Running(i32),
    /// Ended, with its code and the pid it had.
    Exited(i32, i32),
}

impl Progress {
    /// The step after this one. The end of a short exec may be told before its beginning: the pid counts even then.
    fn followed_by(self, to: Self) -> Self {
        match (self, to) {
            (Self::Running(pid), Self::Exited(code, 0))
            | (Self::Exited(code, 0), Self::Running(pid)) => Self::Exited(code, pid),
            (Self::Exited(..), _) => self,
            (_, to) => to,
        }
    }
}

/// An exec about to be started.
#[derive(Debug)]
pub struct Prepared {
    /// It has a terminal: the stream is raw.
    pub tty: bool,
    engine: Arc<Engine>,
    container: Arc<Container>,
    exec: Arc<Exec>,
    how: Start,
}

/// All execs that can be asked about.
#[derive(Debug, Default)]
pub(crate) struct Execs(Mutex<HashMap<String, Arc<Exec>>>);

impl Exec {
    /// How it stands.
    pub fn progress(&self) -> Progress {
        self.progress
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .0
    }

    /// Takes the next step; an end is final.
    fn advance(&self, to: Progress) {
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        progress.0 = progress.0.followed_by(to);
        if progress.1.is_none() && matches!(progress.0, Progress::Exited(..)) {
            progress.1 = Some(Instant::now());
        }
    }

    fn is_live(&self) -> bool {
        !matches!(self.progress(), Progress::Exited(..))
    }

    fn is_kept(&self) -> bool {
        let ended = self
            .progress
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .1;
        ended.is_none_or(|ended| ended.elapsed() < KEPT)
    }
}

impl Execs {
    fn find(&self, id: &str) -> Result<Arc<Exec>> {
        self.lock()
            .get(id)
            .cloned()
            .ok_or_else(|| Error::NoSuchExec(id.to_owned()))
    }

    fn add(&self, exec: Arc<Exec>) {
        let mut execs = self.lock();
        execs.retain(|_, exec| exec.is_kept());
        execs.insert(exec.id.clone(), exec);
    }

    fn of(&self, container: &str) -> Vec<Arc<Exec>> {
        self.lock()
            .values()
            .filter(|exec| exec.container == container)
            .cloned()
            .collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Arc<Exec>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Engine {
    /// An exec has ended, says the container's monitor.
    pub(crate) fn exec_ended(&self, container: &Container, id: &str, code: i32) {
        let Ok(exec) = self.execs.find(id) else {
            return;
        };
        exec.advance(Progress::Exited(code, 0));
        container.publish(|now| now.execs.retain(|known| known != id));
        self.container_event(
            &container.now(),
            "exec_die",
            &[("execID", id), ("exitCode", &code.to_string())],
        );
    }

    /// Its container has ended: so have all its execs.
    pub(crate) fn forget_execs(&self, container: &Container) {
        for exec in self.execs.of(&container.id) {
            if exec.is_live() {
                exec.advance(Progress::Exited(128 + 9, 0));
            }
        }
        container.publish(|now| now.execs.clear());
    }
}

/// Creates an exec in a running container, as a user that exists there, and returns its id.
pub async fn create(engine: &Arc<Engine>, reference: &str, request: Create) -> Result<String> {
    let container = engine.containers.find(reference)?;
    check_running(&container)?;
    if request.command.is_empty() || request.command[0].is_empty() {
        return Err(Error::Invalid("No exec command specified".to_owned()));
    }
    let (subject, user) = (container.clone(), request.user.clone());
    let identity = blocking("read an exec's user", Class::Kernel, move || {
        identify(&subject, &user)
    })
    .await?;
    let id = stdx::id::random_hex();
    let action = format!("exec_create: {}", request.command.join(" "));
    let exec = Exec {
        id: id.clone(),
        container: container.id.clone(),
        create: request,
        identity,
        progress: Mutex::new((Progress::Created, None)),
    };
    engine.execs.add(Arc::new(exec));
    container.publish(|now| now.execs.push(id.clone()));
    engine.container_event(&container.now(), &action, &[("execID", &id)]);
    Ok(id)
}

fn check_running(container: &Container) -> Result<()> {
    match &container.now().state {
        State::Running(_) => Ok(()),
        State::Paused(_) => Err(Error::Conflict(format!(
            "container {} is paused, unpause the container before exec",
            container.id
        ))),
        _ => Err(Error::Conflict(format!(
            "container {} is not running",
            container.id
        ))),
    }
}

/// Checks that an exec can be started: before the connection is upgraded.
pub fn prepare(engine: &Arc<Engine>, id: &str, how: Start) -> Result<Prepared> {
    let exec = engine.execs.find(id)?;
    match exec.progress() {
        Progress::Created => {}
        Progress::Running(_) => {
            return Err(Error::Conflict(format!(
                "exec command {id} is already running"
            )));
        }
        Progress::Exited(..) => {
            return Err(Error::Conflict(format!(
                "exec command {id} has already run"
            )));
        }
    }
    let container = engine.containers.find(&exec.container)?;
    check_running(&container)?;
    Ok(Prepared {
        tty: exec.create.tty,
        engine: engine.clone(),
        container,
        exec,
        how,
    })
}

impl Prepared {
    /// Starts it; the connection (none: detached) goes to the monitor.
    pub async fn start(self, connection: Option<OwnedFd>, early_input: Vec<u8>) -> Result<()> {
        detached(async move {
            let started = self.launch(connection, early_input).await;
            if let Err(error) = &started {
                let code = if let Error::Start { code, .. } = error {
                    *code
                } else {
                    126
                };
                self.engine.exec_ended(&self.container, &self.exec.id, code);
            }
            started
        })
        .await
    }

    async fn launch(&self, connection: Option<OwnedFd>, early_input: Vec<u8>) -> Result<()> {
        let Self {
            engine,
            container,
            exec,
            ..
        } = self;
        let not_running = || Error::Conflict(format!("container {} is not running", container.id));
        let task = container.task().ok_or_else(not_running)?;
        let launch = self.compile(connection.is_some(), early_input).await?;
        let action = format!("exec_start: {}", exec.create.command.join(" "));
        engine.container_event(&container.now(), &action, &[("execID", &exec.id)]);
        let fds = connection.into_iter().collect();
        let reply = match task.call(Request::Exec(Box::new(launch)), fds).await {
            // The container's end is about to be told.
            Err(_) if task.is_gone() => Reply::NotRunning,
            reply => reply?,
        };
        match reply {
            Reply::Started { pid } => {
                exec.advance(Progress::Running(pid));
                Ok(())
            }
            // Its first process ended while the exec was on its way in.
            Reply::Failed(failure) if failure.errno == ESRCH => Err(not_running()),
            Reply::Failed(failure) => Err(exec_failed(&failure)),
            Reply::NotRunning => Err(not_running()),
            other => Err(Error::Monitor {
                id: container.id.clone(),
                why: format!("it answered {other:?}"),
            }),
        }
    }

    async fn compile(&self, connected: bool, early_input: Vec<u8>) -> Result<ExecLaunch> {
        let (engine, container, exec) = (
            self.engine.clone(),
            self.container.clone(),
            self.exec.clone(),
        );
        let how = self.how;
        blocking("prepare an exec", Class::Kernel, move || {
            let create = &exec.create;
            Ok(ExecLaunch {
                id: exec.id.clone(),
                process: exec_process(&engine, &container, create, &exec.identity)?,
                stdio: Stdio {
                    tty: create.tty,
                    open_stdin: create.stdin && connected,
                    stdin_once: true,
                    console_size: how.console_size.or(create.console_size),
                },
                attach: Attach {
                    stdin: create.stdin,
                    stdout: create.stdout,
                    stderr: create.stderr,
                    detach_keys: create.detach_keys.clone(),
                    early_input,
                },
            })
        })
        .await
    }
}

/// Who it runs as, by the container's own files.
fn identify(container: &Container, user: &str) -> Result<Identity> {
    let now = container.now();
    let user = if user.is_empty() {
        &now.record.effective.user
    } else {
        user
    };
    Accounts::read(&root(container)?)?.identify(user, &now.record.spec.group_add)
}

/// The root that the container's first process sees.
fn root(container: &Container) -> Result<RootDir> {
    let pid = container.now().state.pid();
    let path = PathBuf::from(format!("/proc/{pid}/root"));
    let not_running = || Error::Conflict(format!("container {} is not running", container.id));
    let root = match RootDir::open_path(&path) {
        // Its end is about to be told.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(not_running()),
        opened => opened.map_err(Error::io(format!(
            "open the root of container {}",
            container.id
        )))?,
    };
    // The process may have ended before it was opened and its number be another's.
    if container.now().state.pid() == pid && pid != 0 {
        Ok(root)
    } else {
        Err(not_running())
    }
}

/// An exec and how it stands: ended, if its client could have seen that.
pub async fn inspect(engine: &Arc<Engine>, id: &str) -> Result<(Arc<Exec>, Progress)> {
    let exec = engine.execs.find(id)?;
    if exec.is_live()
        && let Some(task) = engine
            .containers
            .find(&exec.container)
            .ok()
            .and_then(|container| container.task())
    {
        task.settle().await;
    }
    let progress = exec.progress();
    Ok((exec, progress))
}

/// Resizes its terminal.
pub async fn resize(engine: &Arc<Engine>, id: &str, rows: u16, columns: u16) -> Result<()> {
    let exec = engine.execs.find(id)?;
    let container = engine.containers.find(&exec.container)?;
    let not_running = || Error::Conflict(format!("exec process {id} is not running"));
    let task = container
        .task()
        .filter(|_| exec.is_live())
        .ok_or_else(not_running)?;
    match task
        .call(
            Request::Resize {
                exec: Some(id.to_owned()),
                rows,
                columns,
            },
            Vec::new(),
        )
        .await?
    {
        Reply::Done => Ok(()),
        Reply::NotRunning => Err(not_running()),
        Reply::Failed(failure) => Err(Error::Monitor {
            id: container.id.clone(),
            why: failure.message,
        }),
        other => Err(Error::Monitor {
            id: container.id.clone(),
            why: format!("it answered {other:?}"),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::Progress::{Created, Exited, Running};

    #[test]
    fn an_end_is_final_and_knows_the_pid_in_whatever_order_both_are_told() {
        assert_eq!(
            Created.followed_by(Running(7)).followed_by(Exited(3, 0)),
            Exited(3, 7)
        );
        assert_eq!(
            Created.followed_by(Exited(3, 0)).followed_by(Running(7)),
            Exited(3, 7)
        );
        assert_eq!(Exited(3, 7).followed_by(Exited(9, 0)), Exited(3, 7));
        assert_eq!(Exited(3, 7).followed_by(Running(8)), Exited(3, 7));
        assert_eq!(Created.followed_by(Exited(126, 0)), Exited(126, 0));
    }
}
