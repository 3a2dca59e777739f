//! Images: pulled, pushed, loaded, saved and listed. Everyone has registries on its own loopback; contestants take turns
//! within each round.

mod tools;
mod variants;

use anyhow::{Context, Result};

use crate::Options;
use crate::contestants::{Engine, Place};
use crate::suites::Row;
use tools::{TARGET, Tool, Verb, source};

/// The names that `--suite` takes.
pub(crate) const NAMES: [&str; 5] = ["pull", "push", "load", "changed", "images"];

/// The image of `cargo xtask fixtures`, as the archive calls it.
const LOADED: &str = "layered:latest";
/// Rounds of what takes many seconds each, at most.
const ROUNDS: usize = 10;

/// Runs the chosen suites with the engines that run, and the other tools that this machine has.
pub(crate) fn run(place: &Place, engines: Vec<Engine>, options: &Options) -> Vec<Row> {
    if !NAMES.iter().any(|name| options.wants(name)) {
        return Vec::new();
    }
    let mut rows = Vec::new();
    match prepare(place, engines, options) {
        Ok((mut tools, archive)) => {
            let rounds = options.rounds.min(ROUNDS);
            if options.wants("pull") || options.wants("push") {
                rows.extend(pull(&mut tools, options, rounds));
            }
            if options.wants("load") || options.wants("push") {
                rows.extend(load(place, &mut tools, &archive, options, rounds));
            }
            if options.wants("changed") {
                rows.extend(changed(place, &mut tools));
            }
            if options.wants("images") {
                rows.push(list(place, &mut tools, options.rounds));
            }
        }
        Err(error) => eprintln!("bench: no images: {error:#}"),
    }
    rows
}

/// Everyone who can move images, and the archive of the image, once the registry has it.
fn prepare(place: &Place, engines: Vec<Engine>, options: &Options) -> Result<(Vec<Tool>, String)> {
    let fixture = place.tree.as_ref().and_then(|tree| tree.parent());
    let fixture = fixture.context("no tree of clients")?.join("layered.tar");
    let archive = variants::for_all(place, &fixture.to_string_lossy())
        .with_context(|| format!("prepare {}", fixture.display()))?;
    let mut skopeo = Tool::skopeo(place).context("the registry is filled by skopeo")?;
    let zstd = ["--format", "oci", "--dest-compress-format", "zstd"];
    skopeo.publish(&archive, "gzip", &[])?;
    skopeo.publish(&archive, "zstd", &zstd)?;
    if options.wants("changed") {
        let changed = variants::with_another_layer(place, &archive)?;
        skopeo.publish(&changed, "changed", &[])?;
    }
    let mut tools = Vec::new();
    let mut admit = |name: &str, tool: Result<Tool>| match tool {
        Ok(tool) => tools.push(tool),
        Err(error) => eprintln!("bench: images: without {name}: {error:#}"),
    };
    for engine in engines {
        admit(engine.name, Tool::engine(place, engine));
    }
    if options.invites("podman") {
        admit("podman", Tool::podman(place));
    }
    if options.invites("ctr") {
        admit("ctr", Tool::ctr(place));
    }
    if options.invites("skopeo") {
        admit("skopeo", Ok(skopeo));
    }
    if options.invites("floor") {
        admit("floor", Tool::floor(place));
    }
    Ok((tools, archive))
}

/// What one verb costs.
struct Cost {
    time: Row,
    processor: Row,
    memory: Row,
}

impl Cost {
    fn new(verb: &str) -> Self {
        Self {
            time: Row::new(verb, "ms"),
            processor: Row::new(&format!("{verb}: processor"), "ms"),
            memory: Row::new(&format!("{verb}: daemon's highest resident"), "MiB"),
        }
    }

    fn add(&mut self, tool: &mut Tool, verb: Verb<'_>) {
        match tool
            .measure(verb)
            .map(|values| (values[0], values[1], values[2]))
        {
            Ok((time, processor, memory)) => {
                self.time.add(tool.name, Ok(time));
                self.processor.add(tool.name, Ok(processor));
                if memory > 0.0 {
                    self.memory.add(tool.name, Ok(memory / 1024.0));
                }
            }
            Err(error) => self.time.add(tool.name, Err(error)),
        }
    }

    fn rows(self) -> [Row; 3] {
        [self.time, self.processor, self.memory]
    }
}

/// Does what is not measured, and says what went wrong.
fn quietly(tool: &mut Tool, verb: Verb<'_>) {
    if let Err(error) = tool.verb(verb) {
        eprintln!("bench: {}: {verb:?}: {error:#}", tool.name);
    }
}

fn pull(tools: &mut [Tool], options: &Options, rounds: usize) -> Vec<Row> {
    let mut pulls = ["gzip", "zstd"].map(|format| (format, Cost::new(&format!("pull, {format}"))));
    let mut push = Cost::new("push of a pulled image");
    let target = format!("{TARGET}/layered:gzip");
    for _ in 0..rounds {
        for (format, cost) in &mut pulls {
            let name = source(format);
            for tool in tools.iter_mut() {
                if options.wants("pull") {
                    cost.add(tool, Verb::Pull(format));
                } else if *format == "gzip" && tool.is_engine() {
                    quietly(tool, Verb::Pull(format));
                } else {
                    continue;
                }
                let mut names = vec![name.as_str()];
                if options.wants("push") && *format == "gzip" && tool.is_engine() {
                    push_once(tool, &mut push, &name, &target);
                    names.push(&target);
                }
                quietly(tool, Verb::Remove(&names));
            }
        }
    }
    let [(_, gzip), (_, zstd)] = pulls;
    [gzip, zstd, push]
        .into_iter()
        .flat_map(Cost::rows)
        .collect()
}

fn push_once(tool: &mut Tool, cost: &mut Cost, image: &str, target: &str) {
    quietly(tool, Verb::Tag(image, target));
    match tool.empty_target() {
        Ok(()) => cost.add(tool, Verb::Push(target)),
        Err(error) => eprintln!("bench: {}: empty its registry: {error:#}", tool.name),
    }
}

fn load(
    place: &Place,
    tools: &mut [Tool],
    archive: &str,
    options: &Options,
    rounds: usize,
) -> Vec<Row> {
    let (mut load, mut save) = (Cost::new("load"), Cost::new("save"));
    let mut push = Cost::new("first push of a loaded image");
    let target = format!("{TARGET}/layered:loaded");
    for _ in 0..rounds {
        for tool in tools.iter_mut().filter(|tool| tool.is_engine()) {
            load.add(tool, Verb::Load(archive));
            if options.wants("load") {
                let to = place.work.join(format!("saved-{}.tar", tool.name));
                save.add(tool, Verb::Save(LOADED, &to.to_string_lossy()));
                // Podman does not write over it.
                drop(std::fs::remove_file(&to));
            }
            if options.wants("push") {
                push_once(tool, &mut push, LOADED, &target);
                quietly(tool, Verb::Remove(&[&target]));
            }
            quietly(tool, Verb::Remove(&[LOADED]));
        }
    }
    [load, save, push]
        .into_iter()
        .flat_map(Cost::rows)
        .collect()
}

/// What moves when one layer of five is another one. The floor is the length of that layer, compressed.
fn changed(place: &Place, tools: &mut [Tool]) -> Vec<Row> {
    let mut rows = ["pull", "push"].map(|verb| {
        Row::new(
            &format!("{verb} of one changed layer of five: moved"),
            "KiB",
        )
    });
    let targets = ["gzip", "changed"].map(|tag| (source(tag), format!("{TARGET}/layered:{tag}")));
    for tool in tools.iter_mut().filter(|tool| tool.is_engine()) {
        quietly(tool, Verb::Pull("gzip"));
        let moved = |values: Vec<f64>| values[3];
        rows[0].add(tool.name, tool.measure(Verb::Pull("changed")).map(moved));
        for (image, target) in &targets {
            quietly(tool, Verb::Tag(image, target));
        }
        let pushed = tool
            .empty_target()
            .and_then(|()| tool.verb(Verb::Push(&targets[0].1)))
            .and_then(|()| tool.measure(Verb::Push(&targets[1].1)));
        rows[1].add(tool.name, pushed.map(moved));
        for (image, target) in &targets {
            quietly(tool, Verb::Remove(&[image, target]));
        }
    }
    for row in &mut rows {
        row.add("floor", variants::changed_length(place));
    }
    rows.into()
}

fn list(place: &Place, tools: &mut [Tool], rounds: usize) -> Row {
    let mut row = Row::new("images with 1,000", "ms");
    let mut able = Vec::new();
    let archive = variants::thousand(place);
    for tool in tools.iter_mut().filter(|tool| tool.is_engine()) {
        let loaded = match &archive {
            Ok(archive) => tool.verb(Verb::Load(archive)),
            Err(error) => {
                eprintln!("bench: make a thousand images: {error:#}");
                return row;
            }
        };
        match loaded {
            Ok(()) => able.push(tool),
            Err(error) => eprintln!("bench: {}: load a thousand images: {error:#}", tool.name),
        }
    }
    for _ in 0..rounds {
        for tool in &mut able {
            row.add(tool.name, tool.measure(Verb::List).map(|values| values[0]));
        }
    }
    row
}
