//! Execs.

use api::exec::{ExecCreateRequest, ExecInspect, ExecStartRequest, ProcessConfig};
use engine::ops::container::exec::{Create, Exec, Progress, Start};

use super::{create, invalid, keys};
use crate::error::Result;

/// Body of `POST /containers/{id}/exec`.
pub fn create(body: ExecCreateRequest) -> Result<Create> {
    let command = body.cmd.unwrap_or_default();
    if command.is_empty() {
        return invalid("No exec command specified");
    }
    let env = body.env.unwrap_or_default();
    create::check_env(&env)?;
    create::check_working_dir(&body.working_dir)?;
    Ok(Create {
        command,
        env,
        user: body.user,
        working_dir: body.working_dir,
        tty: body.tty,
        stdin: body.attach_stdin,
        stdout: body.attach_stdout,
        stderr: body.attach_stderr,
        privileged: body.privileged,
        detach_keys: keys::parse(&body.detach_keys)?,
        console_size: create::console_size(body.console_size)?,
    })
}

/// Body of `POST /exec/{id}/start`.
pub fn start(body: &ExecStartRequest) -> Result<Start> {
    if body.console_size.is_some() && !body.tty {
        return invalid("console size is only supported when TTY is enabled");
    }
    Ok(Start {
        detach: body.detach,
        console_size: create::console_size(body.console_size)?,
    })
}

/// `GET /exec/{id}/json`.
pub fn inspect(exec: &Exec, progress: Progress) -> ExecInspect {
    let (program, arguments) = exec
        .create
        .command
        .split_first()
        .map_or((String::new(), Vec::new()), |(program, rest)| {
            (program.clone(), rest.to_vec())
        });
    let (running, exit_code, pid) = match progress {
        Progress::Created => (false, None, 0),
        Progress::Running(pid) => (true, None, pid),
        Progress::Exited(code, pid) => (false, Some(i64::from(code)), pid),
    };
    ExecInspect {
        id: exec.id.clone(),
        running,
        exit_code,
        process_config: ProcessConfig {
            tty: exec.create.tty,
            entrypoint: program,
            arguments,
            privileged: Some(exec.create.privileged),
            user: exec.create.user.clone(),
        },
        open_stdin: exec.create.stdin,
        open_stderr: exec.create.stderr,
        open_stdout: exec.create.stdout,
        can_remove: false,
        container_id: exec.container.clone(),
        detach_keys: String::new(),
        pid: i64::from(pid),
    }
}
