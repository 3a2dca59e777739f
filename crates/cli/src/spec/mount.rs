//! `--volume` and `--mount`.

use api::config::Set;
use api::host_config::{
    BindOptions, ImageOptions, Mount, TmpfsOptions, VolumeDriver, VolumeOptions,
};

use crate::env::Env;
use crate::flags::Given;
use crate::report::Failure;
use crate::values;

/// All `--volume` flags: binds, and paths that get an anonymous volume.
pub(crate) fn volumes(env: &Env, given: &Given) -> (Vec<String>, Set) {
    let mut binds = Vec::new();
    let mut anonymous = Vec::new();
    for volume in given.list("volume") {
        match volume.split_once(':') {
            None => anonymous.push(volume),
            Some((source, rest)) if is_relative(source) => {
                binds.push(format!(
                    "{}:{rest}",
                    clean(&env.absolute(source).to_string_lossy())
                ));
            }
            Some(_) => binds.push(volume),
        }
    }
    (binds, super::set(anonymous))
}

/// Go's `filepath.Clean` for an absolute path.
fn clean(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            name => parts.push(name),
        }
    }
    format!("/{}", parts.join("/"))
}

/// All `--mount` flags.
pub(crate) fn parse_all(env: &Env, given: &Given) -> Result<Option<Vec<Mount>>, Failure> {
    let mut mounts = Vec::new();
    for text in given.list("mount") {
        let mut mount = parse(&text).map_err(Failure::new)?;
        if mount.kind == "bind" && is_relative(&mount.source) {
            mount.source = clean(&env.absolute(&mount.source).to_string_lossy());
        }
        mounts.push(mount);
    }
    Ok(Some(mounts).filter(|mounts| !mounts.is_empty()))
}

/// A path that docker resolves against the working directory; other relative ones are names.
fn is_relative(source: &str) -> bool {
    source == "." || source == ".." || source.starts_with("./") || source.starts_with("../")
}

/// Parses `type=bind,source=…,target=…,…`, a line of comma-separated fields.
pub(crate) fn parse(text: &str) -> Result<Mount, String> {
    if text.trim().is_empty() {
        return Err("value is empty".to_owned());
    }
    let fields = fields(text);
    let mut mount = Mount {
        kind: "volume".to_owned(),
        ..Mount::default()
    };
    for field in &fields {
        let (key, value) = field
            .split_once('=')
            .map_or((field.as_str(), None), |(key, value)| (key, Some(value)));
        let key = key.trim().to_ascii_lowercase();
        match value {
            Some(value) => set(&mut mount, &key, value, field)?,
            None => switch(&mut mount, &key, field)?,
        }
    }
    finish(mount)
}

/// Splits a CSV record: fields may stand in double quotes.
fn fields(text: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut quoted = false;
    for letter in text.chars() {
        match letter {
            '"' => quoted = !quoted,
            ',' if !quoted => fields.push(String::new()),
            other => {
                if let Some(field) = fields.last_mut() {
                    field.push(other);
                }
            }
        }
    }
    fields
}

/// A field without value.
fn switch(mount: &mut Mount, key: &str, field: &str) -> Result<(), String> {
    match key {
        "readonly" | "ro" => mount.read_only = true,
        "volume-nocopy" => volume(mount).no_copy = true,
        "bind-nonrecursive" => bind(mount).non_recursive = true,
        _ => return Err(format!("invalid field '{field}' must be a key=value pair")),
    }
    Ok(())
}

fn set(mount: &mut Mount, key: &str, value: &str, field: &str) -> Result<(), String> {
    let flag = || values::boolean(value).ok_or_else(|| format!("invalid value for {key}: {value}"));
    match key {
        "type" => mount.kind = value.to_ascii_lowercase(),
        "source" | "src" => value.clone_into(&mut mount.source),
        "target" | "dst" | "destination" => value.clone_into(&mut mount.target),
        "readonly" | "ro" => mount.read_only = flag()?,
        "consistency" => mount.consistency = value.to_ascii_lowercase(),
        "bind-propagation" => bind(mount).propagation = value.to_ascii_lowercase(),
        "bind-nonrecursive" => bind(mount).non_recursive = flag()?,
        "bind-recursive" => recursive(mount, value)?,
        "volume-subpath" => value.clone_into(&mut volume(mount).subpath),
        "volume-nocopy" => volume(mount).no_copy = flag()?,
        "volume-label" => {
            let (name, value) = value.split_once('=').unwrap_or((value, ""));
            volume(mount)
                .labels
                .insert(name.to_owned(), value.to_owned());
        }
        "volume-driver" => value.clone_into(&mut driver(mount).name),
        "volume-opt" => {
            let (name, value) = value.split_once('=').unwrap_or((value, ""));
            driver(mount)
                .options
                .insert(name.to_owned(), value.to_owned());
        }
        "image-subpath" => value.clone_into(
            &mut mount
                .image_options
                .get_or_insert_with(ImageOptions::default)
                .subpath,
        ),
        "tmpfs-size" => {
            tmpfs(mount).size_bytes = stdx::size::parse_ram(value)
                .ok_or_else(|| format!("invalid value for {key}: {value}"))?;
        }
        "tmpfs-mode" => {
            tmpfs(mount).mode = u32::from_str_radix(value, 8)
                .map_err(|_| format!("invalid value for {key}: {value}"))?;
        }
        _ => return Err(format!("unexpected key '{key}' in '{field}'")),
    }
    Ok(())
}

fn recursive(mount: &mut Mount, value: &str) -> Result<(), String> {
    match value {
        "enabled" => {}
        "disabled" => bind(mount).non_recursive = true,
        "writable" => bind(mount).read_only_non_recursive = true,
        "readonly" => bind(mount).read_only_force_recursive = true,
        _ => {
            return Err(format!(
                "invalid value for bind-recursive: {value} (must be \"enabled\", \"disabled\", \"writable\", or \"readonly\")"
            ));
        }
    }
    Ok(())
}

fn finish(mount: Mount) -> Result<Mount, String> {
    if mount.target.is_empty() {
        return Err("target is required".to_owned());
    }
    let mixed = |options: &str, kind: &str| {
        Err(format!(
            "cannot mix '{options}-*' options with mount type '{kind}'"
        ))
    };
    if mount.volume_options.is_some() && mount.kind != "volume" {
        return mixed("volume", &mount.kind);
    }
    if mount.bind_options.is_some() && mount.kind != "bind" {
        return mixed("bind", &mount.kind);
    }
    if mount.tmpfs_options.is_some() && mount.kind != "tmpfs" {
        return mixed("tmpfs", &mount.kind);
    }
    if mount.image_options.is_some() && mount.kind != "image" {
        return mixed("image", &mount.kind);
    }
    if let Some(bind) = &mount.bind_options {
        if bind.read_only_non_recursive && !mount.read_only {
            return Err("option 'bind-recursive=writable' requires 'readonly' to be specified in conjunction".to_owned());
        }
        if bind.read_only_force_recursive && !(mount.read_only && bind.propagation == "rprivate") {
            return Err("option 'bind-recursive=readonly' requires 'readonly' and 'bind-propagation=rprivate' to be specified in conjunction".to_owned());
        }
    }
    Ok(mount)
}

fn bind(mount: &mut Mount) -> &mut BindOptions {
    mount.bind_options.get_or_insert_default()
}

fn volume(mount: &mut Mount) -> &mut VolumeOptions {
    mount.volume_options.get_or_insert_default()
}

fn driver(mount: &mut Mount) -> &mut VolumeDriver {
    volume(mount).driver_config.get_or_insert_default()
}

fn tmpfs(mount: &mut Mount) -> &mut TmpfsOptions {
    mount.tmpfs_options.get_or_insert_default()
}
