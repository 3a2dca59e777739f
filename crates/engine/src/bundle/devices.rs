//! Devices of the host: looked up before the specification is made.

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use oci::runtime::Device;

use crate::container::spec::Device as Asked;
use crate::{Error, Result};

/// Names in /dev that are no devices of the host's to give.
const SKIPPED: [&str; 9] = [
    "pts",
    "shm",
    "fd",
    "mqueue",
    ".lxc",
    ".lxd-mounts",
    ".udev",
    "console",
    "ptmx",
];
/// How deep /dev is searched.
const MAX_DEPTH: u32 = 8;

/// A device of the host that a container gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Granted {
    /// The device.
    pub device: Device,
    /// What may be done with it: some of `rwm`.
    pub access: String,
}

/// Looks up the devices asked for, with the rights to them.
pub fn resolve(asked: &[Asked]) -> Result<Vec<Granted>> {
    let mut granted = Vec::new();
    for device in asked {
        let found = find(device)?.into_iter();
        granted.extend(found.map(|found| grant(found, &device.permissions)));
    }
    Ok(granted)
}

/// All devices of the host, for privileged containers.
pub fn host() -> Vec<Granted> {
    let mut devices = Vec::new();
    collect(Path::new("/dev"), "/dev", MAX_DEPTH, &mut devices);
    let devices = devices.into_iter();
    devices.map(|device| grant(device, "rwm")).collect()
}

fn grant(device: Device, access: &str) -> Granted {
    Granted {
        device,
        access: access.to_owned(),
    }
}

/// The device that was asked for, or all below the directory.
fn find(asked: &Asked) -> Result<Vec<Device>> {
    // A link, as udev makes them, means what it points at.
    let host = fs::canonicalize(&asked.host).map_err(|_| missing(asked))?;
    let metadata = fs::metadata(&host).map_err(|_| missing(asked))?;
    if !metadata.is_dir() {
        let device = entry(&metadata, asked.container.clone());
        return Ok(vec![device.ok_or_else(|| not_a_device(asked))?]);
    }
    let mut devices = Vec::new();
    collect(&host, &asked.container, MAX_DEPTH, &mut devices);
    if devices.is_empty() {
        return Err(missing(asked));
    }
    Ok(devices)
}

fn collect(host: &Path, container: &str, depth: u32, into: &mut Vec<Device>) {
    // What vanishes meanwhile or cannot be read is not there.
    let Ok(entries) = fs::read_dir(host) else {
        return;
    };
    for found in entries.flatten() {
        let name = found.file_name().to_string_lossy().into_owned();
        let Ok(metadata) = found.metadata() else {
            continue;
        };
        let path = format!("{container}/{name}");
        if SKIPPED.contains(&name.as_str()) {
            continue;
        }
        if metadata.is_dir() && depth > 0 {
            collect(&found.path(), &path, depth - 1, into);
        } else if let Some(device) = entry(&metadata, path) {
            into.push(device);
        }
    }
}

fn entry(metadata: &fs::Metadata, path: String) -> Option<Device> {
    let kind = match metadata.file_type() {
        kind if kind.is_char_device() => "c",
        kind if kind.is_block_device() => "b",
        _ => return None,
    };
    let (major, minor) = split(metadata.rdev());
    Some(Device {
        kind: kind.to_owned(),
        path,
        major,
        minor,
        file_mode: Some(metadata.mode() & 0o7777),
        uid: Some(metadata.uid()),
        gid: Some(metadata.gid()),
    })
}

/// Linux's packing of device numbers.
fn split(rdev: u64) -> (i64, i64) {
    let major = ((rdev >> 8) & 0xfff) | ((rdev >> 32) & 0xffff_f000);
    let minor = (rdev & 0xff) | ((rdev >> 12) & 0xffff_ff00);
    (major.cast_signed(), minor.cast_signed())
}

fn missing(device: &Asked) -> Error {
    let host = device.host.display();
    Error::Invalid(format!(
        "error gathering device information while adding custom device \"{host}\": no such file or directory"
    ))
}

fn not_a_device(device: &Asked) -> Error {
    let host = device.host.display();
    Error::Invalid(format!(
        "error gathering device information while adding custom device \"{host}\": not a device node"
    ))
}
