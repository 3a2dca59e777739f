//! Spawning `/bin/sh` from threads, with overlapping descriptors.

use super::*;
use std::fs::File;
use std::io::Read;

fn sh(script: &str, fds: &[(BorrowedFd<'_>, i32)]) -> Spawned {
    let exe = OwnedFd::from(File::open("/bin/sh").expect("a shell"));
    let args = [
        c"sh".to_owned(),
        c"-c".to_owned(),
        CString::new(script).expect("no NUL"),
    ];
    spawn(
        &exe,
        &args,
        &[c"A=b".to_owned()],
        fds,
        true,
        &Groups::default(),
    )
    .expect("spawns")
}

fn wait(child: &Spawned) -> i32 {
    let mut status = 0;
    // SAFETY: our own child, a valid place for the status.
    let waited = unsafe { libc::waitpid(child.pid, &raw mut status, 0) };
    assert_eq!(waited, child.pid);
    libc::WEXITSTATUS(status)
}

#[test]
fn descriptors_are_placed_and_all_others_closed() {
    let (mut reader, writer) = io::pipe().expect("a pipe");
    let child = sh(
        "ls /proc/self/fd | tr '\\n' ' ' >&5; echo $A >&5; exit 3",
        &[(writer.as_fd(), 5)],
    );
    drop(writer);
    let mut text = String::new();
    reader.read_to_string(&mut text).expect("reads");
    assert_eq!(wait(&child), 3);
    // 3 is ls's own directory handle.
    assert_eq!(text, "0 1 2 3 5 b\n");
}

#[test]
fn overlapping_descriptors_do_not_overwrite_each_other() {
    let (mut reader_a, a) = io::pipe().expect("a pipe");
    let (mut reader_b, b) = io::pipe().expect("a pipe");
    let (a_number, b_number) = (a.as_raw_fd(), b.as_raw_fd());
    let script =
        format!("echo from-b >/proc/self/fd/{a_number}; echo from-a >/proc/self/fd/{b_number}");
    let child = sh(&script, &[(a.as_fd(), b_number), (b.as_fd(), a_number)]);
    drop((a, b));
    let mut text = (String::new(), String::new());
    reader_a.read_to_string(&mut text.0).expect("reads");
    reader_b.read_to_string(&mut text.1).expect("reads");
    assert_eq!(wait(&child), 0);
    assert_eq!(text, ("from-a\n".into(), "from-b\n".into()));
}

#[test]
fn what_is_started_has_the_limit_of_descriptors_that_was_given() {
    let (_, hard) = rlimit::get(rlimit::NOFILE).expect("a limit");
    rlimit::set(rlimit::NOFILE, 1000, hard).expect("less than all");
    rlimit::raise_descriptors().expect("raised");
    assert!(rlimit::get(rlimit::NOFILE).expect("a limit").0 >= hard);
    let (mut reader, writer) = io::pipe().expect("a pipe");
    let child = sh("ulimit -Sn >&5; ulimit -Hn >&5", &[(writer.as_fd(), 5)]);
    drop(writer);
    let mut text = String::new();
    reader.read_to_string(&mut text).expect("reads");
    assert_eq!((wait(&child), text), (0, format!("1000\n{hard}\n")));
}

#[test]
fn failure_to_execute_is_the_callers_error() {
    let not_a_program = OwnedFd::from(File::open("/etc/passwd").expect("a file"));
    let error = spawn(
        &not_a_program,
        &[c"x".to_owned()],
        &[],
        &[],
        false,
        &Groups::default(),
    )
    .expect_err("not executable");
    assert_eq!(error.raw_os_error(), Some(libc::EACCES));
    let missing = PathBuf::from("/sys/fs/cgroup/none/cgroup.procs");
    assert!(Groups::open(&[missing]).is_err());
}

#[test]
fn many_threads_spawn_at_once() {
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for code in 0..20 {
                    assert_eq!(wait(&sh(&format!("exit {code}"), &[])), code);
                }
            });
        }
    });
}

#[test]
fn a_child_is_born_in_its_cgroup2_group() {
    let Ok(layout) = crate::cgroup::Layout::detect() else {
        return;
    };
    let Some(group) = layout
        .v2
        .map(|mount| mount.join(format!("spawn-test-{}", std::process::id())))
    else {
        return;
    };
    if std::fs::create_dir(&group).is_err() {
        return;
    }
    let (mut reader, writer) = io::pipe().expect("a pipe");
    let exe = OwnedFd::from(File::open("/bin/sh").expect("a shell"));
    let args = [
        c"sh".to_owned(),
        c"-c".to_owned(),
        c"cat /proc/self/cgroup >&5".to_owned(),
    ];
    let groups = Groups::open(&[group.join("cgroup.procs")]).expect("opens");
    let child = spawn(&exe, &args, &[], &[(writer.as_fd(), 5)], true, &groups).expect("spawns");
    drop(writer);
    let mut text = String::new();
    reader.read_to_string(&mut text).expect("reads");
    assert_eq!(wait(&child), 0);
    std::fs::remove_dir(&group).expect("nothing is left in it");
    assert!(text.contains("/spawn-test-"), "{text}");
}
