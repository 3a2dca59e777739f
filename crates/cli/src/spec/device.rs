//! `--device HOST[:CONTAINER][:rwm]`, or a CDI name.

use api::host_config::{DeviceMapping, DeviceRequest, ThrottleDevice, WeightDevice};

use crate::flags::Given;
use crate::report::Failure;

/// The device nodes, and the CDI devices as a request.
pub(crate) fn parse_all(
    given: &Given,
) -> Result<(Vec<DeviceMapping>, Vec<DeviceRequest>), Failure> {
    let (cdi, nodes): (Vec<String>, Vec<String>) = given
        .list("device")
        .into_iter()
        .partition(|device| is_cdi_name(device));
    let nodes: Result<Vec<_>, Failure> = nodes.iter().map(|device| parse(device)).collect();
    let mut requests = Vec::new();
    if !cdi.is_empty() {
        requests.push(DeviceRequest {
            driver: "cdi".to_owned(),
            device_ids: Some(cdi),
            ..DeviceRequest::default()
        });
    }
    for text in given.list("gpus") {
        requests.push(gpus(&text).map_err(Failure::new)?);
    }
    Ok((nodes?, requests))
}

/// `vendor.com/class=name`
fn is_cdi_name(text: &str) -> bool {
    !text.starts_with('/')
        && text
            .split_once('=')
            .is_some_and(|(kind, name)| kind.contains('/') && !name.is_empty())
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

/// `--gpus all`, a count, or `device=…,capabilities=…,driver=…,count=…`.
pub(crate) fn gpus(text: &str) -> Result<DeviceRequest, String> {
    let count = |text: &str| {
        match text {
        "all" => Ok(-1),
        number => number.parse().map_err(|_| {
            format!("invalid count ({number}): value must be either \"all\" or an integer: invalid syntax")
        }),
    }
    };
    let mut request = DeviceRequest::default();
    let mut capabilities = vec!["gpu".to_owned()];
    for field in text.split(',') {
        match field.split_once('=') {
            None => request.count = count(field)?,
            Some(("count", number)) => request.count = count(number)?,
            Some(("driver", driver)) => driver.clone_into(&mut request.driver),
            Some(("device", device)) => request
                .device_ids
                .get_or_insert_default()
                .push(device.to_owned()),
            Some(("capabilities", names)) => {
                capabilities.extend(names.split(',').map(str::to_owned));
            }
            Some((key, _)) => return Err(format!("unexpected key '{key}' in '{field}'")),
        }
    }
    request.capabilities = Some(vec![capabilities]);
    Ok(request)
}

/// `--blkio-weight-device PATH:WEIGHT`
pub(crate) fn weights(given: &Given) -> Result<Option<Vec<WeightDevice>>, Failure> {
    let parse = |text: String| {
        let (path, weight) = text.split_once(':').unwrap_or((&text, ""));
        let weight = weight
            .parse()
            .ok()
            .filter(|weight| *weight == 0 || (10..=1000).contains(weight));
        let weight =
            weight.ok_or_else(|| Failure::new(format!("invalid weight for device: {text}")))?;
        Ok(WeightDevice {
            path: path.to_owned(),
            weight,
        })
    };
    let devices: Result<Vec<_>, Failure> = given
        .list("blkio-weight-device")
        .into_iter()
        .map(parse)
        .collect();
    Ok(Some(devices?).filter(|devices| !devices.is_empty()))
}

/// `--device-read-bps PATH:RATE` and its kin; bytes may carry a unit.
pub(crate) fn throttles(given: &Given, flag: &str) -> Result<Option<Vec<ThrottleDevice>>, Failure> {
    let parse = |text: String| {
        let (path, rate) = text.split_once(':').unwrap_or((&text, ""));
        let rate = if flag.ends_with("iops") {
            rate.parse().ok()
        } else {
            stdx::size::parse_ram(rate)
        };
        let rate = rate.and_then(|rate| u64::try_from(rate).ok());
        let rate = rate.ok_or_else(|| Failure::new(format!("invalid rate for device: {text}")))?;
        Ok(ThrottleDevice {
            path: path.to_owned(),
            rate,
        })
    };
    let devices: Result<Vec<_>, Failure> = given.list(flag).into_iter().map(parse).collect();
    Ok(Some(devices?).filter(|devices| !devices.is_empty()))
}
