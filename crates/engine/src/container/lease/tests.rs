//! Which transitions are allowed, and what a dropped token leaves.

use std::path::Path;
use std::time::SystemTime;

use super::*;
use crate::container::name::Names;
use crate::container::record::{Effective, Paths, Record};
use crate::container::{Published, Spec};

fn container(state: State) -> Arc<Container> {
    let names = Names::default();
    let reservation = names.reserve("web".parse().unwrap(), "1").unwrap();
    let record = Record {
        id: "1".into(),
        created: SystemTime::UNIX_EPOCH,
        image_id: String::new(),
        spec: Spec::default(),
        effective: Effective::default(),
        request: serde_json::Value::Null,
        os: "linux".into(),
        architecture: "amd64".into(),
    };
    let published = Published {
        name: reservation.name().clone(),
        record: Arc::new(record),
        state,
        attachments: Vec::new(),
        endpoints: Vec::new(),
        ports: Vec::new(),
        exits: 0,
        ending: false,
        removed: false,
        execs: Vec::new(),
    };
    Container::new(
        reservation,
        Paths::new(Path::new("/s"), Path::new("/r")),
        published,
    )
}

fn running() -> Running {
    Running {
        pid: 1,
        started_at: SystemTime::UNIX_EPOCH,
    }
}

#[tokio::test]
async fn a_start_that_is_dropped_has_not_happened() {
    let container = container(State::Created(None));
    drop(container.lease().await.begin_start("web").unwrap());
    assert_eq!(container.now().state, State::Created(None));
    drop(container.lease().await.begin_start("web").unwrap().commit(
        running(),
        Vec::new(),
        Vec::new(),
    ));
    assert_eq!(container.now().state, State::Running(running()));
}

#[tokio::test]
async fn a_running_container_is_neither_started_nor_removed() {
    let container = container(State::Running(running()));
    let error = container.lease().await.begin_start("web").unwrap_err();
    assert_eq!(error.kind(), stdx::ErrorKind::NotModified);
    let error = container.lease().await.begin_remove("web").unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot remove container \"web\": container is running: stop the container before removing or force remove"
    );
}

#[tokio::test]
async fn a_failed_start_leaves_the_reason() {
    let container = container(State::Created(None));
    let starting = container.lease().await.begin_start("web").unwrap();
    drop(starting.fail(StartFailure {
        code: 127,
        error: "x".into(),
    }));
    assert_eq!(
        (
            container.now().state.docker_status(),
            container.now().state.exit_code()
        ),
        ("created", 127)
    );
}

#[tokio::test]
async fn one_writer_at_a_time_and_readers_do_not_wait() {
    let container = container(State::Created(None));
    let lease = container.lease().await;
    assert!(
        tokio::time::timeout(std::time::Duration::from_millis(10), container.lease())
            .await
            .is_err()
    );
    assert_eq!(container.now().state.docker_status(), "created");
    drop(lease);
    container.lease().await;
}
