//! `--device HOST[:CONTAINER][:rwm]`, or a CDI name.

use api::host_config::{DeviceMapping, DeviceRequest};

use crate::flags::Given;
use crate::report::Failure;

/// The device nodes, and the CDI devices as a request.
pub(crate) fn parse_all(given: &Given) -> Result<(Vec<DeviceMapping>, Vec<DeviceRequest>), Failure> {
    let (cdi, nodes): (Vec<String>, Vec<String>) =
        given.list("device").into_iter().partition(|device| is_cdi_name(device));
    let nodes: Result<Vec<_>, Failure> = nodes.iter().map(|device| parse(device)).collect();
    let requests = if cdi.is_empty() {
        Vec::new()
    } else {
        vec![DeviceRequest { driver: "cdi".to_owned(), device_ids: Some(cdi), ..DeviceRequest::default() }]
    };
    Ok((nodes?, requests))
}

/// `vendor.com/class=name`
fn is_cdi_name(text: &str) -> bool {
    !text.starts_with('/') && text.split_once('=').is_some_and(|(kind, name)| kind.contains('/') && !name.is_empty())
}

fn parse(text: &str) -> Result<DeviceMapping, Failure> {
    let parts: Vec<&str> = text.split(':').collect();
    let (source, target, mode) = match parts[..] {
        [source] => (source, source, "rwm"),
        [source, mode] if is_mode(mode) => (source, source, mode),
        [source, target] => (source, target, "rwm"),
        [source, target, mode] if is_mode(mode) => (source, target, mode),
        [_, _, mode] => return Err(Failure::new(format!("bad mode specified: {mode}"))),
        _ => return Err(Failure::new(format!("bad format for path: {text}"))),
    };
    if target.is_empty() || source.is_empty() {
        return Err(Failure::new(format!("bad format for path: {text}")));
    }
    if !target.starts_with('/') {
        return Err(Failure::new(format!("{target} is not an absolute path")));
    }
    Ok(DeviceMapping {
        path_on_host: source.to_owned(),
        path_in_container: target.to_owned(),
        cgroup_permissions: mode.to_owned(),
    })
}

fn is_mode(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| b"rwm".contains(&byte)) && {
        let count = |letter| text.matches(letter).count();
        count('r') <= 1 && count('w') <= 1 && count('m') <= 1
    }
}
