//! One task a running container: the only place that leaves `Running`.
//!
//! ```text
//! monitor ──Exited──> release the address ─> Exited (waiters wake) ─> die ─> auto-remove ─> destroy
//!         ──gone without a word──> its exit.json, else: kill what is left, exit code 255 and why
//!         ──gone──> clean up behind the answers
//! ```

use std::sync::Arc;
use std::time::SystemTime;

use monitor::protocol::{Event, Exit};

use crate::blocking::{Class, blocking};
use crate::container::record::{Paths, Run};
use crate::container::state::{Exited, time_from_nanos};
use crate::container::{Container, Published, State};
use crate::steps::step;
use crate::task::Events;
use crate::{Engine, cgroups, naming, ports};

/// What dockerd reports when it cannot know how a container ended.
pub(crate) const LOST: i32 = 255;
/// An exit.json is a few numbers.
const MAX_EXIT: u64 = 4096;

/// Follows a container to its end.
pub(crate) async fn supervise(engine: Arc<Engine>, container: Arc<Container>, mut events: Events) {
    let mut ended_already = false;
    while let Some(event) = events.recv().await {
        match event {
            Event::Exited(exit) if !ended_already => {
                step("exit.received");
                ended_already = true;
                ended(&engine, &container, known(&exit)).await;
            }
            Event::ExecExited { id, code } => engine.exec_ended(&container, &id, code),
            Event::Created { .. } | Event::Failed(_) | Event::Exited(_) => {}
        }
    }
    if !ended_already {
        let exited = lost(&engine, &container).await;
        ended(&engine, &container, exited).await;
    }
    let lease = container.lease().await;
    // A start that came first has cleaned up already.
    if !container.now().state.is_running() {
        clean_up(&engine, &container).await;
    }
    drop(lease);
}

/// What an exit record says.
pub(crate) fn known(exit: &Exit) -> Exited {
    Exited {
        code: exit.code,
        oom_killed: exit.oom_killed,
        error: String::new(),
        started_at: time_from_nanos(exit.started_at),
        finished_at: time_from_nanos(exit.finished_at),
    }
}

/// Reads a monitor's exit record.
pub(crate) fn read_exit(paths: &Paths) -> Option<Exit> {
    let path = paths.exit();
    let small = std::fs::symlink_metadata(&path)
        .is_ok_and(|found| found.is_file() && found.len() <= MAX_EXIT);
    let bytes = if small {
        std::fs::read(path).ok()?
    } else {
        return None;
    };
    serde_json::from_slice(&bytes).ok()
}

/// The monitor is gone and has said nothing: its record if it wrote one of this run, else an end nobody saw.
async fn lost(engine: &Arc<Engine>, container: &Arc<Container>) -> Exited {
    let (engine, container) = (engine.clone(), container.clone());
    blocking("look after a lost monitor", Class::Kernel, move || {
        let began = container
            .now()
            .state
            .started_at()
            .unwrap_or(SystemTime::UNIX_EPOCH);
        if let Some(exit) = read_exit(&container.paths)
            .map(|exit| known(&exit))
            .filter(|exit| exit.started_at >= began)
        {
            return exit;
        }
        if let Err(error) = cgroups::end(&engine.host, &engine.config.cgroup_parent, &container.id)
        {
            tracing::warn!(container = %container.id, %error, "kill what a lost monitor left");
        }
        unknown_end(began)
    })
    .await
}

/// An end that nobody saw: never a success.
pub(crate) fn unknown_end(started_at: SystemTime) -> Exited {
    Exited {
        code: LOST,
        oom_killed: false,
        error: "the container's monitor ended unexpectedly; how the container ended is not known"
            .to_owned(),
        started_at,
        finished_at: SystemTime::now(),
    }
}

async fn ended(engine: &Arc<Engine>, container: &Arc<Container>, exited: Exited) {
    // Who connects or renames it from here on gives it nothing.
    container.publish(|now| now.ending = true);
    let before = container.now();
    release_names(engine, container, &before).await;
    let mut endpoints = Vec::new();
    container.publish(|now| endpoints = std::mem::take(&mut now.endpoints));
    engine.networks.release(&endpoints);
    step("exit.released");
    engine.forget_execs(container);
    let (code, unseen) = (exited.code, exited.code == LOST && !exited.error.is_empty());
    if exited.oom_killed {
        engine.container_event(&before, "oom", &[]);
    }
    container.retire_task();
    container.publish(|now| {
        now.state = State::Exited(exited);
        now.ending = false;
        now.ports.clear();
        now.exits += 1;
    });
    step("exit.published");
    engine.container_event(&before, "die", &[("exitCode", &code.to_string())]);
    for endpoint in &endpoints {
        engine.network_event(endpoint, "disconnect", &container.id);
    }
    if before.record.spec.auto_remove {
        remove_ended(engine, container).await;
    } else if unseen {
        // The monitor wrote nothing: this record is all there will ever be.
        let (path, stored) = (container.paths.record(), container.now().stored());
        let saved = blocking("record a lost exit", Class::Disk, move || {
            store::save(&path, &stored, true)
        })
        .await;
        if let Err(error) = saved {
            tracing::warn!(container = %container.id, %error, "record a lost exit");
        }
    }
}

/// Removes a container that goes with its end, unless it is about to run again, or does already.
pub(crate) async fn remove_ended(engine: &Arc<Engine>, container: &Arc<Container>) {
    if !container.now().record.spec.auto_remove {
        return;
    }
    let lease = container.lease().await;
    let now = container.now();
    let over = matches!(now.state, State::Exited(_)) && !now.removed && !container.is_kept();
    if over && let Err(error) = crate::ops::container::remove::erase(engine, &lease).await {
        tracing::warn!(container = %container.id, %error, "remove a container that ended");
    }
}

/// Lets go of ports and names, before the addresses: nothing may lead to one that another container has by then.
async fn release_names(engine: &Arc<Engine>, container: &Arc<Container>, before: &Published) {
    let named = engine.names.knows(&container.id);
    let spec = &before.record.spec;
    if spec.ports.is_empty() && !spec.publish_all && !named {
        return;
    }
    let (engine, id) = (engine.clone(), container.id.clone());
    blocking("release ports and names", Class::Kernel, move || {
        ports::unpublish(&engine, &id);
        naming::forget(&engine, &id);
    })
    .await;
}

/// Removes what a run leaves outside the container's own directory. Only under the lease, with the monitor gone.
pub(crate) async fn clean_up(engine: &Arc<Engine>, container: &Arc<Container>) {
    container.forget_tasks();
    let (engine, container) = (engine.clone(), container.clone());
    blocking("clean up after a run", Class::Kernel, move || {
        if let Err(error) = cgroups::end(&engine.host, &engine.config.cgroup_parent, &container.id) {
            tracing::warn!(container = %container.id, %error, "remove the container's control groups");
        }
        if let Err(error) = store::remove_tree(&container.paths.run_dir) {
            tracing::warn!(container = %container.id, %error, "remove the run directory");
        }
    })
    .await;
}

/// What was noted of a run.
pub(crate) fn read_run(paths: &Paths) -> Option<Run> {
    store::load(&paths.run()).ok()
}
