//! Instructions that change the configuration of an imported image.

use std::collections::BTreeMap;

use oci::Healthcheck;
use oci::image::{ContainerConfig, Empty};

use crate::Error;

mod parse;

/// What `--change` instructions ask for, put together. Nothing given changes nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ImageConfigChanges {
    /// CMD.
    pub cmd: Option<Vec<String>>,
    /// ENTRYPOINT.
    pub entrypoint: Option<Vec<String>>,
    /// ENV, in order.
    pub env: Vec<(String, String)>,
    /// EXPOSE: `port/protocol`.
    pub expose: Vec<String>,
    /// LABEL.
    pub labels: BTreeMap<String, String>,
    /// USER.
    pub user: Option<String>,
    /// VOLUME.
    pub volumes: Vec<String>,
    /// WORKDIR.
    pub working_dir: Option<String>,
    /// STOPSIGNAL.
    pub stop_signal: Option<String>,
    /// ONBUILD.
    pub on_build: Vec<String>,
    /// HEALTHCHECK.
    pub healthcheck: Option<Healthcheck>,
}

impl ImageConfigChanges {
    /// Reads instructions as the command line and the API give them, one a text.
    pub fn parse<S: AsRef<str>>(instructions: &[S]) -> Result<Self, Error> {
        let mut changes = Self::default();
        for instruction in instructions {
            parse::instruction(&mut changes, instruction.as_ref())?;
        }
        Ok(changes)
    }

    /// Makes the changes.
    pub fn apply(self, config: &mut ContainerConfig) {
        let Self {
            cmd,
            entrypoint,
            env,
            expose,
            labels,
            user,
            volumes,
            working_dir,
            stop_signal,
            on_build,
            healthcheck,
        } = self;
        config.cmd = cmd.or(config.cmd.take());
        config.entrypoint = entrypoint.or(config.entrypoint.take());
        for (key, value) in env {
            let prefix = format!("{key}=");
            config.env.retain(|variable| !variable.starts_with(&prefix));
            config.env.push(format!("{key}={value}"));
        }
        config
            .exposed_ports
            .extend(expose.into_iter().map(|port| (port, Empty {})));
        config.labels.extend(labels);
        config
            .volumes
            .extend(volumes.into_iter().map(|path| (path, Empty {})));
        config.on_build.extend(on_build);
        config.healthcheck = healthcheck.or(config.healthcheck.take());
        if let Some(user) = user {
            config.user = user;
        }
        if let Some(dir) = working_dir {
            config.working_dir = dir;
        }
        if let Some(signal) = stop_signal {
            config.stop_signal = signal;
        }
    }
}

#[cfg(test)]
mod tests;
