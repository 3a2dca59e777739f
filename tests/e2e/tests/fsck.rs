//! `image fsck`, and what a pull or a push in progress holds: neither it nor `rmi` nor pruning takes anything from under
//! them or a running container.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use testkit::command::{self, eventually};
use testkit::registry::{Answer, Real};
use testkit::{Context, fixtures};

use crate::images::load_layers;
use crate::registry_evil::{Repository, digest, filter, serve, tar};

/// A directory of the daemon's whose name begins so.
fn entry(context: &Context, directory: &str, prefix: &str) -> PathBuf {
    let directory = context.directory().join("data").join(directory);
    let mut entries = fs::read_dir(directory).expect("the directory").flatten();
    let named = |entry: &fs::DirEntry| entry.file_name().to_string_lossy().starts_with(prefix);
    entries.find(named).expect("an entry").path()
}

#[test]
fn damage_is_told_and_mended() {
    let mut context = Context::busybox();
    let sound = context.corten(&["image", "fsck"]);
    assert!(
        sound.ok().starts_with("1 images, 1 layers, 2 blobs (") && sound.ok().ends_with("): sound"),
        "{sound:?}"
    );
    let id = context.inspect("busybox", "{{.Id}}");
    let record = context
        .directory()
        .join(format!("data/images/{}.json", &id["sha256:".len()..]));
    fs::write(&record, "{").expect("damage the record");
    fs::remove_dir_all(entry(&context, "snapshots", "sha256@")).expect("damage the layer");

    let found = context.corten(&["image", "fsck"]);
    let text = format!("{}\n", found.stdout.trim_end());
    assert_eq!(found.code, 1, "{found:?}");
    assert!(text.contains(&format!("image {id}: ")), "{text}");
    assert!(text.contains(": its files are gone\n"), "{text}");
    assert!(text.ends_with("): 2 problems\n"), "{text}");

    let mended = context.corten(&["image", "fsck", "--repair"]);
    let text = mended.ok();
    assert!(text.contains("\n  repaired: written anew\n"), "{text}");
    assert!(
        text.contains("\n  repaired: unpacked again from its archive\n"),
        "{text}"
    );
    assert!(text.ends_with("): 2 problems, all repaired"), "{text}");
    context.corten(&["image", "fsck"]).ok();
    let run = context.corten(&["run", "--rm", "busybox", "echo", "whole"]);
    assert_eq!(run.ok(), "whole");

    // The same while no daemon runs: the next one puts aside what it cannot use.
    context.stop_daemon();
    fs::remove_dir_all(entry(&context, "snapshots", "sha256@")).expect("damage the layer");
    context.start_daemon();
    assert_eq!(context.corten(&["images", "-q"]).ok(), "");
    context.corten(&["image", "fsck"]).fails(1);
    context.corten(&["image", "fsck", "--repair"]).ok();
    let run = context.corten(&["run", "--rm", "busybox", "echo", "restored"]);
    assert_eq!(run.ok(), "restored");
    assert!(context.corten(&["image", "--help"]).ok().contains("fsck"));
}

#[test]
fn an_image_that_cannot_be_mended_goes_and_the_next_load_makes_it_anew() {
    let context = Context::busybox();
    let id = context.inspect("busybox", "{{.Id}}");
    let hex = &id["sha256:".len()..];
    fs::write(entry(&context, "content/blobs/sha256", hex), "{}").expect("damage");
    let mended = context.corten(&["image", "fsck", "--repair"]);
    assert!(
        mended
            .ok()
            .contains("repaired: removed busybox:latest: pull or load it again"),
        "{mended:?}"
    );
    assert_eq!(context.corten(&["images", "-aq"]).ok(), "");
    context.load("busybox");
    let run = context.corten(&["run", "--rm", "busybox", "echo", "anew"]);
    assert_eq!(run.ok(), "anew");
}

#[test]
fn what_a_running_container_stands_on_stays() {
    let context = Context::busybox();
    context
        .corten(&["run", "-d", "--name", "runs", "busybox", "sleep", "1000"])
        .ok();
    let id = context.inspect("busybox", "{{.Id}}");
    let hex = &id["sha256:".len()..];
    fs::write(entry(&context, "content/blobs/sha256", hex), "{}").expect("damage");
    let left = context.corten(&["image", "fsck", "--repair"]);
    assert_eq!(left.code, 1, "{left:?}");
    assert!(
        left.stdout.contains("\n  left: the running container ")
            && left.stdout.ends_with("): 1 problems\n"),
        "{left:?}"
    );
    context.corten(&["exec", "runs", "true"]).ok();
    context.corten(&["rm", "-f", "runs"]).ok();
    context.corten(&["image", "fsck", "--repair"]).ok();
}

#[test]
fn what_is_in_a_layer_and_not_in_its_archive_is_found_and_goes() {
    let context = Context::busybox();
    context.sleeper("runs", &["--network", "none"]);
    let extra = entry(&context, "snapshots", "sha256@").join("fs/bin/extra");
    fs::write(&extra, "nobody's").expect("write");
    for repair in [&["image", "fsck"][..], &["image", "fsck", "--repair"]] {
        let found = context.corten(repair);
        assert_eq!(found.code, 1, "{found:?}");
        let told = "1 of its files are not as in its archive: /bin/extra (not in its archive)";
        assert!(found.stdout.contains(told), "{found:?}");
    }
    assert!(extra.exists(), "a running container stands on it");
    context.corten(&["rm", "-f", "runs"]).ok();
    let mended = context.corten(&["image", "fsck", "--repair"]);
    assert!(
        mended
            .ok()
            .contains("\n  repaired: unpacked again from its archive\n"),
        "{mended:?}"
    );
    assert!(!extra.exists());
    context.corten(&["image", "fsck"]).ok();
    let run = context.corten(&["run", "--rm", "busybox", "ls", "/bin/extra"]);
    assert_eq!(run.code, 1, "{run:?}");
}

#[test]
fn nothing_takes_away_what_a_pull_needs() {
    let context = Context::new();
    let tree = context.directory().join("tree");
    let good = tar(&tree, &["bin"]);
    let large = filter("head", &["-c", "1000000", "/dev/urandom"], b"");
    fs::write(tree.join("large"), large).expect("write");
    let mut first = Repository::default();
    first.layer(&good);
    let mut second = first.clone();
    let slow = second.layer(&tar(&tree, &["large"]));
    let (asked, waits) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicBool::new(true)),
    );
    let first = serve(first, |_, _, _| None);
    let second = {
        let (asked, waits) = (asked.clone(), waits.clone());
        serve(second, move |name, request, bytes| {
            if name == slow {
                asked.store(true, Ordering::SeqCst);
                let goes_on = || !waits.load(Ordering::SeqCst);
                eventually(Duration::from_secs(40), goes_on);
            }
            Some(Answer::range(request, bytes))
        })
    };
    let (lower, both) = (
        format!("{}/lower", first.host()),
        format!("{}/both", second.host()),
    );
    context.corten(&["pull", "-q", &lower]).ok();
    let pull = context.corten_start(&["pull", &both]);
    assert!(eventually(Duration::from_secs(20), || asked.load(Ordering::SeqCst)));
    // The layer is there, its image goes: only the pull needs it now.
    context.corten(&["rmi", &lower]).ok();
    context.corten(&["image", "prune", "-af"]).ok();
    context.corten(&["system", "prune", "-af"]).ok();
    context.corten(&["image", "fsck", "--repair"]).ok();
    assert_eq!(context.corten(&["images", "-aq"]).ok(), "");
    waits.store(false, Ordering::SeqCst);
    let output = pull.wait(command::LIMIT).expect("the pull ends");
    assert!(output.ok().contains("Already exists"), "{output:?}");
    assert_eq!(context.corten(&["run", "--rm", &both]).ok(), "whole");
    context.corten(&["image", "fsck"]).ok();
    if fixtures::docker().is_some() {
        // What nobody needs any more does go.
        context.docker(&["system", "prune", "-af"]).ok();
        let left = context.corten(&["image", "fsck"]);
        assert!(
            left.ok().starts_with("0 images, 0 layers, 0 blobs"),
            "{left:?}"
        );
    }
}

#[test]
fn nothing_takes_away_what_a_push_has_made() {
    let registry = Real::start();
    let context = Context::new();
    let tree = context.directory().join("tree");
    let lower = tar(&tree, &["bin"]);
    fs::write(tree.join("upper"), "upper").expect("write");
    let upper = tar(&tree, &["upper"]);
    let name = format!("{}/made:v1", registry.host());
    load_layers(&context, &name, &[(&lower, &lower), (&upper, &upper)]);
    // A pipe in the place of the second layer: the push has compressed the first one, and waits.
    let blobs = context.directory().join("data/content/blobs/sha256");
    let pipe = blobs.join(&digest(&upper)["sha256:".len()..]);
    fs::remove_file(&pipe).expect("remove the blob");
    command::run(Command::new("mkfifo").arg(&pipe)).ok();
    let count = || fs::read_dir(&blobs).expect("the blobs").count();
    let before = count();
    let push = context.corten_start(&["push", &name]);
    assert!(eventually(Duration::from_secs(20), || count() > before));
    context.corten(&["image", "prune", "-af"]).ok();
    context.corten(&["system", "prune", "-af"]).ok();
    fs::write(&pipe, &upper).expect("write the layer");
    let pushed = push.wait(command::LIMIT).expect("the push ends");
    assert!(pushed.ok().contains("v1: digest: "), "{pushed:?}");

    context.corten(&["image", "fsck"]).ok();
    let archive = context.directory().join("saved.tar");
    context
        .corten(&["save", "-o", &archive.to_string_lossy(), &name])
        .ok();
    let other = format!("{}/again:v1", registry.host());
    context.corten(&["tag", &name, &other]).ok();
    context.corten(&["push", "-q", &other]).ok();
    context.corten(&["rmi", "-f", &name, &other]).ok();
    context.corten(&["pull", "-q", &other]).ok();
    assert_eq!(context.corten(&["run", "--rm", &other]).ok(), "whole");
}
