//! Power cuts: the machine with a disk of its own, killed in the middle of pulls, loads, creates and removals, and booted
//! again.
//!
//! Every boot first proves what the last one has left: the daemon starts, `ps -a` and `images` answer, `image fsck` finds
//! every image's bytes and files whole, every image that is named runs, what was answered before the cut is there (or gone),
//! and nothing is in quarantine. Then it works until the power goes: at another moment each round, from the seed that is
//! printed. Containers, and images of several layers beside them, come and go; the registry is on the machine itself.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::guest::{self, Work};
use super::machine::{End, Machine};
use super::{Scratch, kernel, make_disk};
use crate::{fixtures, packages, shell};

/// A line of the guest's: a container was created, and that has been answered.
const CREATED: &str = "=== corten created ";
/// A line of the guest's: a removal is about to be asked for; until it is answered, the container may be there or not.
const ASKED: &str = "=== corten asked ";
/// A line of the guest's: the removal was answered.
const REMOVED: &str = "=== corten removed ";
/// A line of the guest's: what is being done to an image now.
const IMAGE: &str = "=== corten image ";
/// A line of the guest's: what the last cut has left is good; now it works.
const WHOLE: &str = "=== corten whole";
/// A line of the guest's: it is not.
const BROKEN: &str = "=== corten broken";

/// `cargo xtask vm --power [N] [SEED]`.
pub(super) fn run(cuts: u64, seed: u64) -> Result<()> {
    packages::install()?;
    fixtures::make_all()?;
    shell::cargo(&["build", "--quiet", "--release", "--package", "corten"])?;
    let kernel = kernel::find()?;
    let scratch = Scratch::new()?;
    let disk = scratch.0.join("disk");
    let tree = scratch.0.join("tree");
    prepare_registry(&tree.join("registry"))?;
    make_disk(&disk, &tree)?;
    let accelerator = kernel::accelerator(&scratch.0, &kernel)?;
    // One log of all boots: what a cut has left was begun before it.
    File::create(log())?;
    println!("   {cuts} cuts, seed {seed}, accelerator {accelerator}");
    let mut random = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut known = Known::default();
    for round in 0..=cuts {
        // xorshift64: moments that are spread and can be had again.
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let moment = Duration::from_millis(random % 20_000);
        let last = round == cuts;
        boot(
            &scratch.0,
            (&kernel, accelerator, &disk),
            &mut known,
            (round, (!last).then_some(moment)),
        )?;
    }
    println!("   {cuts} power cuts: everything whole");
    for (what, count) in &known.cut {
        println!("   {count} of them in the middle of: image {what}");
    }
    Ok(())
}

/// A registry with what it needs to run, and the image that is to be pushed to it.
fn prepare_registry(directory: &Path) -> Result<()> {
    std::fs::create_dir_all(directory)?;
    let clients = fixtures::directory().join("clients/usr");
    for (from, to) in [
        ("bin/docker-registry", "docker-registry"),
        ("lib64/ld-linux-x86-64.so.2", "loader"),
        ("lib/x86_64-linux-gnu/libc.so.6", "libc.so.6"),
    ] {
        std::fs::copy(clients.join(from), directory.join(to))
            .with_context(|| format!("copy {from} of the clients"))?;
    }
    std::fs::write(directory.join("settings.yml"), SETTINGS)?;
    fixtures::make_pieces(&directory.join("pieces.tar"))
}

/// The registry's.
const SETTINGS: &str = r#"
version: 0.1
log: {level: error}
storage: {filesystem: {rootdirectory: /disk/registry/data}}
http: {addr: "127.0.0.1:5000", secret: power}
"#;

/// What has been answered, and must hold after a cut.
#[derive(Debug, Default)]
struct Known {
    there: BTreeSet<String>,
    gone: BTreeSet<String>,
    /// What is being done to an image.
    image: Option<String>,
    /// In the middle of what the power was cut, how often.
    cut: BTreeMap<String, u32>,
}

impl Known {
    /// Takes a line of the guest's; whether it was an answer.
    fn learn(&mut self, line: &str) -> bool {
        if let Some(name) = line.strip_prefix(CREATED) {
            return self.there.insert(name.to_owned());
        }
        if let Some(name) = line.strip_prefix(ASKED) {
            self.there.remove(name);
        }
        if let Some(what) = line.strip_prefix(IMAGE) {
            self.image = Some(what.to_owned());
        }
        line.strip_prefix(REMOVED)
            .is_some_and(|name| self.gone.insert(name.to_owned()))
    }
}

fn join(names: &BTreeSet<String>) -> String {
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    names.join(" ")
}

/// One boot: the proof, then work until the moment of the cut (none: the proof alone).
fn boot(
    scratch: &Path,
    (kernel, accelerator, disk): (&Path, &'static str, &Path),
    known: &mut Known,
    (round, moment): (u64, Option<Duration>),
) -> Result<()> {
    let script = format!(
        "round={round} work={} there='{}' gone='{}'\n{SCRIPT}",
        u8::from(moment.is_some()),
        join(&known.there),
        join(&known.gone),
    );
    let payload = scratch.join("payload");
    let corten = program();
    guest::fill(&payload, kernel, &corten, &Work::Script(&script), &[])?;
    let initramfs = scratch.join("initramfs");
    kernel::pack(&payload, &initramfs)?;
    std::fs::remove_dir_all(&payload)?;
    let machine = Machine {
        scratch,
        kernel,
        accelerator,
        initramfs: &initramfs,
        disk: Some(disk),
        lanes: 1,
        limit: Duration::from_mins(10),
        log: log(),
    };
    let mut whole = None;
    let mut broken = Vec::new();
    let mut answers = 0;
    let cut_after = moment.unwrap_or(Duration::MAX).as_secs_f64();
    let (end, _) = machine.run(|time, line| {
        match line {
            Some(WHOLE) => whole = Some(time),
            Some(line) if line.starts_with(BROKEN) => broken.push(line.to_owned()),
            Some(line) => answers += u32::from(known.learn(line)),
            None => {}
        }
        whole
            .is_some_and(|whole| time > whole + cut_after)
            .then_some(End::Cut)
    })?;
    if whole.is_none() || !broken.is_empty() {
        bail!(
            "after {round} power cuts: {}; the log: {}",
            broken.join("; "),
            machine.log.display()
        );
    }
    match end {
        End::Cut => {
            let image = known.image.take().unwrap_or_else(|| "nothing".to_owned());
            println!(
                "   boot {round}: whole; cut after {cut_after:.1} s and {answers} answers, image {image}"
            );
            *known.cut.entry(image).or_default() += 1;
        }
        End::Off => println!("   boot {round}: whole"),
    }
    Ok(())
}

fn log() -> PathBuf {
    shell::cache().join("vm-power.log")
}

/// The program, as cargo builds it for release.
fn program() -> PathBuf {
    let own = std::env::var_os("CARGO_TARGET_DIR");
    let target = own.map_or_else(|| shell::root().join("target"), Into::into);
    let tripled = target
        .join(format!("{}-unknown-linux-gnu", std::env::consts::ARCH))
        .join("release/corten");
    if tripled.exists() {
        tripled
    } else {
        target.join("release/corten")
    }
}

/// The guest's part. It never syncs: what is durable, is so by our own doing.
const SCRIPT: &str = r#"
export DOCKER_HOST=unix:///run/corten.sock DOCKER_CONFIG=/run/config
# Straight to the port, as all of these: through a pipe they would come in another order.
say() { echo "=== corten $*" >/dev/ttyS1; }
broken() { say broken: $*; cat /run/daemon.log; ls -R /disk/corten/quarantine; exit 1; }
remove() {
  # Past the port before the question is asked.
  say asked $1; sleep 0.2
  /corten rm $1 >/dev/null || broken $1 cannot be removed
  say removed $1
}
/corten daemon --host $DOCKER_HOST --data-root /disk/corten --exec-root /run/corten --bridge ct0 --bip 10.219.1.1/24 \
  >/run/daemon.log 2>&1 &
(cd /disk/registry; exec ./loader --library-path . ./docker-registry serve settings.yml >/run/registry.log 2>&1) &
pieces=127.0.0.1:5000/pieces:latest
i=0; until /corten version >/dev/null 2>&1; do i=$((i+1)); [ $i -lt 300 ] || broken no daemon; sleep 0.1; done
/corten ps -a --format '{{.Names}}' >/run/names || broken ps
# By their ids: a removal that was cut off may have taken the last name and not yet the image.
/corten images -a -q --no-trunc >/run/images || broken images
[ -z "$(ls -A /disk/corten/quarantine 2>/dev/null)" ] || broken something is in quarantine
for name in $there; do grep -qx $name /run/names || broken $name was created and is gone; done
for name in $gone; do ! grep -qx $name /run/names || broken $name was removed and is back; done
/corten image fsck >/run/fsck || broken $(cat /run/fsck)
for image in $(sort -u /run/images); do
  code=$(/corten run --rm --network none $image sh -c 'exit 7' 2>/run/error; echo $?)
  [ $code = 7 ] || broken $image: $code $(cat /run/error)
done
for name in $(cat /run/names); do
  /corten start $name >/dev/null && /corten wait $name >/dev/null || broken $name does not start
  remove $name
done
left=$(ls /disk/corten/containers /disk/corten/content/ingest 2>/dev/null | grep -v :)
[ -z "$left" ] || broken left behind: $left
i=0; until wget -q -O /dev/null http://127.0.0.1:5000/v2/; do
  i=$((i+1)); [ $i -lt 300 ] || broken no registry: $(cat /run/registry.log); sleep 0.1
done
if [ ! -e /disk/registry/filled ]; then
  /corten load -q -i /disk/registry/pieces.tar && /corten tag pieces $pieces && /corten push -q $pieces || broken push
  /corten rmi -f $pieces pieces >/dev/null || broken rmi of pieces
  # The registry syncs nothing by itself.
  sync; : >/disk/registry/filled; sync
fi
say whole
[ $work = 1 ] || exit 0
while true; do
  say image pull; /corten pull -q $pieces >/dev/null || broken pull
  say image remove; /corten rmi -f $pieces >/dev/null || broken rmi after pull
  say image load; /corten load -q -i /disk/registry/pieces.tar >/dev/null || broken load of pieces
  say image remove; /corten rmi -f pieces >/dev/null || broken rmi after load
done &
n=0
while true; do
  n=$((n+1)) name=r$round.$n
  /corten load -q -i /root/.cache/corten/fixtures/busybox.tar >/dev/null || broken load
  /corten tag busybox:latest other:$n || broken tag
  /corten create --name $name --network none busybox:latest sh -c 'exit 3' >/dev/null || broken create
  say created $name
  [ $((n%2)) = 0 ] || continue
  remove $name
  /corten rmi -f other:$n other:$((n-1)) busybox:latest >/dev/null || broken rmi
done
"#;
