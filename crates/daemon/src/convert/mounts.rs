//! Binds, tmpfs and `--mount`.

use std::collections::BTreeSet;
use std::path::PathBuf;

use api::host_config::{HostConfig, Mount as WireMount};
use api::version::ApiVersion;
use engine::container::spec::{Mount, Propagation};

use super::{invalid, refused};
use crate::error::{Error, Result};

/// All mounts of a request, in the order binds, `--mount`, tmpfs.
pub fn convert(host: &HostConfig, version: ApiVersion) -> Result<Vec<Mount>> {
    // To older clients a read-only bind leaves the mounts below it writable, as all of them did once.
    let recursive = version.at_least(44);
    let mut mounts = Vec::new();
    for text in host.binds.iter().flatten() {
        mounts.push(bind(text, recursive)?);
    }
    for mount in host.mounts.iter().flatten() {
        mounts.push(from_mount(mount, recursive)?);
    }
    for (target, options) in &host.tmpfs {
        let target = destination(target)
            .map_err(|why| Error::Invalid(format!("invalid mount path: {why}")))?;
        mounts.push(Mount::Tmpfs {
            target,
            options: tmpfs_options(options)?,
        });
    }
    let mut seen = BTreeSet::new();
    match mounts
        .iter()
        .find(|mount| !seen.insert(mount.target().to_owned()))
    {
        Some(twice) => invalid(format!("Duplicate mount point: {}", twice.target())),
        None => Ok(mounts),
    }
}

/// A bind's text apart: source, destination, mode.
pub fn split(text: &str) -> Option<(Option<&str>, &str, &str)> {
    let parts: Vec<&str> = text.split(':').collect();
    match parts.as_slice() {
        [""] | ["", ..] => None,
        [target] => Some((None, target, "")),
        [source, target] if !valid_mode(target) => Some((Some(source), target, "")),
        [source, target, mode] => Some((Some(source), target, mode)),
        _ => None,
    }
}

/// `-v SOURCE:TARGET[:MODE]`.
fn bind(text: &str, recursive: bool) -> Result<Mount> {
    let specification = format!("invalid volume specification: '{text}'");
    let Some((source, target, mode)) = split(text) else {
        return invalid(specification);
    };
    if !valid_mode(mode) {
        return invalid(format!("invalid mode: {mode}"));
    }
    let wrong = |why: String| Error::Invalid(format!("{specification}: {why}"));
    let target = destination(target)
        .map_err(|why| wrong(format!("invalid mount config for type \"bind\": {why}")))?;
    let Some(source) = source else {
        return refused(format!("anonymous volume {target}"));
    };
    if !source.starts_with('/') {
        return named_volume(source);
    }
    let words: Vec<&str> = mode.split(',').collect();
    if words.contains(&"nocopy") {
        return invalid(format!("invalid mode: {mode}"));
    }
    let propagation = words
        .iter()
        .find_map(|word| propagation(word))
        .unwrap_or_default();
    let read_only = words.contains(&"ro");
    Ok(Mount::Bind {
        source: PathBuf::from(clean(source)),
        target,
        read_only,
        recursive_read_only: read_only && recursive,
        create_source: true,
        non_recursive: false,
        propagation,
    })
}

/// A source that is no path names a volume.
fn named_volume<T>(name: &str) -> Result<T> {
    let valid = name.len() >= 2
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte));
    if valid {
        return refused(format!("named volume {name}"));
    }
    invalid(format!(
        "create {name}: \"{name}\" includes invalid characters for a local volume name, only \
         \"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are allowed. If you intended to pass a host directory, use absolute path"
    ))
}

/// `--mount`.
fn from_mount(mount: &WireMount, recursive: bool) -> Result<Mount> {
    let wrong = |why: String| {
        Error::Invalid(format!(
            "invalid mount config for type \"{}\": {why}",
            mount.kind
        ))
    };
    match mount.kind.as_str() {
        "bind" | "tmpfs" => {}
        "volume" | "image" | "cluster" | "npipe" => {
            return refused(format!("mount type {}", mount.kind));
        }
        _ => return Err(wrong("mount type unknown".to_owned())),
    }
    if mount.target.is_empty() {
        return Err(wrong("field Target must not be empty".to_owned()));
    }
    let target = destination(&mount.target).map_err(wrong)?;
    let (bind, tmpfs) = (mount.kind == "bind", mount.kind == "tmpfs");
    let foreign = [
        ("BindOptions", mount.bind_options.is_some() && !bind),
        ("VolumeOptions", mount.volume_options.is_some()),
        ("ImageOptions", mount.image_options.is_some()),
        ("TmpfsOptions", mount.tmpfs_options.is_some() && !tmpfs),
        ("ClusterOptions", mount.cluster_options.is_some()),
    ];
    if let Some((field, _)) = foreign.iter().find(|(_, set)| *set) {
        return Err(wrong(format!("field {field} must not be specified")));
    }
    if bind {
        bind_mount(mount, target, recursive, wrong)
    } else {
        tmpfs_mount(mount, target, wrong)
    }
}

fn bind_mount(
    mount: &WireMount,
    target: String,
    recursive: bool,
    wrong: impl Fn(String) -> Error,
) -> Result<Mount> {
    let options = mount.bind_options.clone().unwrap_or_default();
    if mount.source.is_empty() {
        return Err(wrong("field Source must not be empty".to_owned()));
    }
    let source = absolute(&mount.source).map_err(&wrong)?;
    let propagation = match options.propagation.as_str() {
        "" => Propagation::default(),
        word => {
            propagation(word).ok_or_else(|| wrong(format!("invalid propagation mode: {word}")))?
        }
    };
    let advanced = [
        ("ReadOnlyNonRecursive", options.read_only_non_recursive),
        ("ReadOnlyForceRecursive", options.read_only_force_recursive),
    ];
    if let Some((field, _)) = advanced.iter().find(|(_, set)| *set)
        && !mount.read_only
    {
        return Err(wrong(format!(
            "mount options conflict: !ReadOnly && BindOptions.{field}"
        )));
    }
    if advanced.iter().all(|(_, set)| *set) {
        return Err(wrong(
            "mount options conflict: ReadOnlyNonRecursive && BindOptions.ReadOnlyForceRecursive"
                .to_owned(),
        ));
    }
    if !options.create_mountpoint && std::fs::metadata(&source).is_err() {
        return Err(Error::BindSource(source.into()));
    }
    Ok(Mount::Bind {
        source: source.into(),
        target,
        read_only: mount.read_only,
        // There is nothing to force: where the kernel cannot do it (before 5.12), no container is made at all.
        recursive_read_only: mount.read_only && recursive && !options.read_only_non_recursive,
        create_source: options.create_mountpoint,
        non_recursive: options.non_recursive,
        propagation,
    })
}

fn tmpfs_mount(
    mount: &WireMount,
    target: String,
    wrong: impl Fn(String) -> Error,
) -> Result<Mount> {
    if !mount.source.is_empty() {
        return Err(wrong("field Source must not be specified".to_owned()));
    }
    let wanted = mount.tmpfs_options.clone().unwrap_or_default();
    if wanted.options.is_some_and(|options| !options.is_empty()) {
        return refused("Mounts.TmpfsOptions.Options");
    }
    let mut options = Vec::new();
    if mount.read_only {
        options.push("ro".to_owned());
    }
    if wanted.mode != 0 {
        options.push(format!("mode={:o}", wanted.mode));
    }
    match wanted.size_bytes {
        0 => {}
        size if size < 0 => return Err(wrong("size must be positive".to_owned())),
        size => options.push(format!("size={size}")),
    }
    Ok(Mount::Tmpfs { target, options })
}

/// `--tmpfs` options: mount flags, and what tmpfs knows.
fn tmpfs_options(text: &str) -> Result<Vec<String>> {
    const FLAGS: &[&str] = &[
        "defaults",
        "ro",
        "rw",
        "suid",
        "nosuid",
        "dev",
        "nodev",
        "exec",
        "noexec",
        "sync",
        "async",
        "dirsync",
        "remount",
        "mand",
        "nomand",
        "atime",
        "noatime",
        "diratime",
        "nodiratime",
        "relatime",
        "norelatime",
        "strictatime",
        "nostrictatime",
        "bind",
        "rbind",
        "private",
        "rprivate",
        "shared",
        "rshared",
        "slave",
        "rslave",
        "unbindable",
        "runbindable",
    ];
    const DATA: &[&str] = &[
        "size",
        "mode",
        "uid",
        "gid",
        "nr_inodes",
        "nr_blocks",
        "mpol",
    ];
    let mut options = Vec::new();
    for word in text.split(',').filter(|word| !word.is_empty()) {
        let known = word
            .split_once('=')
            .is_some_and(|(name, _)| DATA.contains(&name))
            || FLAGS.contains(&word);
        if !known {
            return invalid(format!("invalid tmpfs option \"{word}\""));
        }
        options.push(word.to_owned());
    }
    Ok(options)
}

/// Modes of a bind, each kind at most once.
fn valid_mode(mode: &str) -> bool {
    let mut counts = [0; 4];
    for word in mode.split(',').filter(|_| !mode.is_empty()) {
        let kind = match word {
            "ro" | "rw" => 0,
            "z" | "Z" => 1,
            "nocopy" => 2,
            word if propagation(word).is_some() => 3,
            _ => return false,
        };
        counts[kind] += 1;
    }
    counts.iter().all(|count| *count <= 1)
}

fn propagation(word: &str) -> Option<Propagation> {
    let all = [
        Propagation::RPrivate,
        Propagation::Private,
        Propagation::RSlave,
        Propagation::Slave,
        Propagation::RShared,
        Propagation::Shared,
    ];
    all.into_iter()
        .find(|propagation| propagation.as_str() == word)
}

/// A place in the container: absolute, not its root.
fn destination(path: &str) -> std::result::Result<String, String> {
    let cleaned = absolute(path)?;
    if cleaned == "/" {
        Err("invalid specification: destination can't be '/'".to_owned())
    } else {
        Ok(cleaned)
    }
}

fn absolute(path: &str) -> std::result::Result<String, String> {
    if path.starts_with('/') {
        Ok(clean(path))
    } else {
        Err(format!(
            "invalid mount path: '{path}' mount path must be absolute"
        ))
    }
}

/// Go's `path.Clean` of an absolute path.
fn clean(path: &str) -> String {
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

#[cfg(test)]
mod tests;
