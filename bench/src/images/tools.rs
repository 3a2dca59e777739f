//! Who moves images: engines, tools without a daemon, and pipes of standard programs.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::contestants::{Engine, Place, shell, words};
use crate::machine::Machine;
use crate::worker::Request;

/// Where the registry with the images listens, in every contestant's own network namespace.
pub(crate) const SOURCE: &str = "127.0.0.1:5000";
/// Where each contestant's own registry listens, to which it pushes.
pub(crate) const TARGET: &str = "127.0.0.1:5001";

/// One contestant.
#[derive(Debug)]
pub(crate) struct Tool {
    pub(crate) name: &'static str,
    pub(crate) machine: Machine,
    kind: Kind,
    /// What its target registry keeps.
    target: PathBuf,
    /// Where it puts what it pulls, when it has no store.
    scratch: PathBuf,
}

#[derive(Debug)]
enum Kind {
    /// Docker's verbs, and what it takes to trust a registry without TLS.
    Engine {
        cli: Vec<String>,
        trust: &'static [&'static str],
    },
    Ctr,
    Skopeo,
    Floor,
}

/// What it is told to do.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Verb<'a> {
    /// Pull a tag of the source's repository.
    Pull(&'a str),
    /// Remove what has these names.
    Remove(&'a [&'a str]),
    Tag(&'a str, &'a str),
    Push(&'a str),
    Load(&'a str),
    Save(&'a str, &'a str),
    List,
}

/// The full name of a tag of the source's repository.
pub(crate) fn source(tag: &str) -> String {
    format!("{SOURCE}/layered:{tag}")
}

impl Tool {
    /// An engine that runs already.
    pub(crate) fn engine(place: &Place, engine: Engine) -> Result<Self> {
        let kind = Kind::Engine {
            cli: engine.cli,
            trust: &[],
        };
        let chrooted = engine.name == "docker";
        Self::new(place, engine.name, engine.machine, kind, chrooted)
    }

    pub(crate) fn podman(place: &Place) -> Result<Self> {
        let kind = Kind::Engine {
            cli: words(
                "/usr/bin/podman",
                &["--root", "/data/root", "--runroot", "/run/podman"],
            ),
            trust: &["--tls-verify=false"],
        };
        Self::of_tree(place, "podman", kind)
    }

    pub(crate) fn skopeo(place: &Place) -> Result<Self> {
        Self::of_tree(place, "skopeo", Kind::Skopeo)
    }

    pub(crate) fn ctr(place: &Place) -> Result<Self> {
        let mut tool = Self::of_tree(place, "ctr", Kind::Ctr)?;
        let argv = words(
            "/usr/bin/containerd",
            &["--root", "/data/containerd", "--log-level", "warn"],
        );
        tool.machine.ask(&Request::Serve {
            argv,
            address: "/run/containerd/containerd.sock".into(),
            log: place.work.join("containerd.log"),
            foreign: false,
        })?;
        Ok(tool)
    }

    pub(crate) fn floor(place: &Place) -> Result<Self> {
        Self::new(place, "floor", Machine::plain()?, Kind::Floor, false)
    }

    fn of_tree(place: &Place, name: &'static str, kind: Kind) -> Result<Self> {
        let tree = place.tree.as_ref().context("no tree of clients")?;
        ensure!(
            tree.join("usr/bin").join(name).exists(),
            "the tree of clients has no {name}"
        );
        let private = place.work.join(format!("{name}-images"));
        let machine = Machine::chrooted(tree, &private, &place.work)?;
        Self::new(place, name, machine, kind, true)
    }

    /// Brings up the two registries beside it: the first with the images of all, the second for it alone.
    fn new(
        place: &Place,
        name: &'static str,
        machine: Machine,
        kind: Kind,
        chrooted: bool,
    ) -> Result<Self> {
        let target = place.work.join(format!("target-{name}"));
        let mut tool = Self {
            name,
            machine,
            kind,
            target: target.clone(),
            scratch: place.work.join(format!("pulled-{name}")),
        };
        for (address, data) in [(SOURCE, place.work.join("source")), (TARGET, target)] {
            let argv = registry(place, address, &data, chrooted)?;
            tool.machine.ask(&Request::Serve {
                argv,
                address: address.into(),
                log: place.work.join("registry.log"),
                foreign: true,
            })?;
        }
        Ok(tool)
    }

    /// Empties the registry to which it pushes.
    pub(crate) fn empty_target(&self) -> Result<()> {
        if self.target.exists() {
            fs::remove_dir_all(&self.target)?;
        }
        Ok(fs::create_dir_all(&self.target)?)
    }

    /// Whether it knows more than to pull.
    pub(crate) fn is_engine(&self) -> bool {
        matches!(self.kind, Kind::Engine { .. })
    }

    /// Does something that is not measured.
    pub(crate) fn verb(&mut self, verb: Verb<'_>) -> Result<()> {
        if let (Verb::Remove(_), Kind::Skopeo | Kind::Floor) = (verb, &self.kind) {
            return Ok(fs::remove_dir_all(&self.scratch)?);
        }
        match self.argv(verb) {
            Some(argv) => self.machine.run(&argv).map(drop),
            None => Ok(()),
        }
    }

    /// Does something and tells what it cost, see [`crate::measure`].
    pub(crate) fn measure(&mut self, verb: Verb<'_>) -> Result<Vec<f64>> {
        let argv = self.argv(verb).context("it cannot do that")?;
        // What others have written before is not to be waited for.
        shell(&["sync"])?;
        self.machine.ask(&Request::Measure { argv })
    }

    fn argv(&self, verb: Verb<'_>) -> Option<Vec<String>> {
        let (scratch, address) = (self.scratch.to_str()?, "/run/containerd/containerd.sock");
        Some(match &self.kind {
            Kind::Engine { cli, trust } => {
                let name;
                let arguments = match verb {
                    Verb::Pull(tag) => {
                        name = source(tag);
                        [&["pull", "--quiet"], *trust, &[&name]].concat()
                    }
                    Verb::Remove(names) => [&["rmi", "--force"], names].concat(),
                    Verb::Tag(from, to) => vec!["tag", from, to],
                    Verb::Push(name) => [&["push", "--quiet"], *trust, &[name]].concat(),
                    Verb::Load(path) => vec!["load", "--quiet", "--input", path],
                    Verb::Save(name, path) => vec!["save", "--output", path, name],
                    Verb::List => vec!["images"],
                };
                let arguments = arguments.into_iter().map(str::to_owned);
                cli.iter().cloned().chain(arguments).collect()
            }
            Kind::Ctr => {
                let arguments: &[&str] = match verb {
                    Verb::Pull(tag) => &["pull", "--plain-http", &source(tag)],
                    Verb::Remove(names) => &[&["rm", "--sync"], names].concat(),
                    _ => return None,
                };
                words(
                    "/usr/bin/ctr",
                    &[&["--address", address, "images"], arguments].concat(),
                )
            }
            Kind::Skopeo => match verb {
                Verb::Pull(tag) => {
                    let (from, to) = (
                        format!("docker://{}", source(tag)),
                        format!("dir:{scratch}"),
                    );
                    let options = ["copy", "--quiet", "--src-tls-verify=false", &from, &to];
                    words("/usr/bin/skopeo", &options)
                }
                _ => return None,
            },
            Kind::Floor => match verb {
                Verb::Pull(tag) => {
                    let url = format!("http://{SOURCE}/v2/layered");
                    let unpack = if tag == "zstd" {
                        "zstd -dc"
                    } else {
                        "gzip -dc"
                    };
                    let script = include_str!("floor.sh");
                    words("sh", &["-c", script, "floor", &url, tag, scratch, unpack])
                }
                _ => return None,
            },
        })
    }

    /// Puts an archive's image into the registry of all. Only for skopeo.
    pub(crate) fn publish(&mut self, archive: &str, tag: &str, options: &[&str]) -> Result<()> {
        let from = format!("docker-archive:{archive}");
        let to = format!("docker://{}", source(tag));
        let arguments = [
            &["copy", "--quiet", "--dest-tls-verify=false"],
            options,
            &[&from, &to],
        ];
        let argv = words("/usr/bin/skopeo", &arguments.concat());
        self.machine.run(&argv).map(drop)
    }
}

/// The command of a registry that keeps its files in `data`.
fn registry(place: &Place, address: &str, data: &Path, chrooted: bool) -> Result<Vec<String>> {
    fs::create_dir_all(data)?;
    let settings = data.with_extension("yml");
    let text = format!(
        "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {}}}, delete: {{enabled: true}}}}\n\
         http: {{addr: \"{address}\", secret: bench}}\n",
        data.display()
    );
    fs::write(&settings, text)?;
    let settings = settings.to_string_lossy();
    if chrooted {
        return Ok(words("/usr/bin/docker-registry", &["serve", &settings]));
    }
    let tree = place.tree.as_ref().context("no tree of clients")?;
    let (loader, libraries) = match std::env::consts::ARCH {
        "aarch64" => ("usr/lib/ld-linux-aarch64.so.1", "usr/lib/aarch64-linux-gnu"),
        _ => ("usr/lib64/ld-linux-x86-64.so.2", "usr/lib/x86_64-linux-gnu"),
    };
    let inside = |path: &str| tree.join(path).to_string_lossy().into_owned();
    Ok(words(
        &inside(loader),
        &[
            "--library-path",
            &inside(libraries),
            &inside("usr/bin/docker-registry"),
            "serve",
            &settings,
        ],
    ))
}
