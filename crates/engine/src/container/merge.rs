//! The image's defaults and the request, merged as Docker does. Pure.

use std::collections::BTreeSet;

use oci::image::ContainerConfig;

use super::Spec;
use super::record::Effective;
use super::spec::defaults;
use crate::{Error, Result};

/// What a container's process gets.
pub fn merge(spec: &Spec, image: &ContainerConfig, hostname: String) -> Result<Effective> {
    let (entrypoint, command) = program(spec, image)?;
    let mut env = spec.env.clone();
    env.extend(
        image
            .env
            .iter()
            .filter(|entry| !spec.env.iter().any(|own| key(own) == key(entry)))
            .cloned(),
    );
    let mut labels = image.labels.clone();
    labels.extend(spec.labels.clone());
    let or = |own: &str, image: &str| {
        if own.is_empty() {
            image.to_owned()
        } else {
            own.to_owned()
        }
    };
    let working_dir = or(&spec.working_dir, &image.working_dir);
    Ok(Effective {
        entrypoint,
        command,
        env,
        labels,
        user: or(&spec.user, &image.user),
        working_dir,
        hostname,
        stop_signal: spec.stop_signal.or_else(|| image.stop_signal.parse().ok()),
        volumes: image.volumes.keys().cloned().collect(),
        exposed_ports: exposed_ports(spec, image),
    })
}

/// The image's and the request's, and those that are published: each once, in order.
fn exposed_ports(spec: &Spec, image: &ContainerConfig) -> Vec<String> {
    let published = spec
        .ports
        .iter()
        .map(|port| format!("{}/{}", port.container, port.protocol.name()));
    let all = image.exposed_ports.keys().chain(&spec.exposed).cloned();
    let sorted: BTreeSet<String> = all.chain(published).collect();
    sorted.into_iter().collect()
}

type Words = Option<Vec<String>>;

fn program(spec: &Spec, image: &ContainerConfig) -> Result<(Words, Words)> {
    let filled = |words: &Words| words.clone().filter(|words| !words.is_empty());
    let mut entrypoint = spec.entrypoint.clone();
    let mut command = filled(&spec.command);
    if filled(&entrypoint).is_none() {
        if command.is_none() {
            command = filled(&image.cmd);
        }
        if entrypoint.is_none() {
            entrypoint.clone_from(&image.entrypoint);
        }
    }
    // `--entrypoint ""` arrives as one empty word and takes the image's away.
    let entrypoint = filled(&entrypoint).filter(|words| *words != [""]);
    if entrypoint.is_none() && command.is_none() {
        return Err(Error::Invalid("no command specified".to_owned()));
    }
    Ok((entrypoint, command))
}

/// The environment of a process: the engine's own variables and those of links, over them those asked for.
pub fn environment(
    effective: &Effective,
    tty: bool,
    linked: &[String],
    over: &[String],
) -> Vec<String> {
    let mut env = vec![
        format!("PATH={}", defaults::PATH),
        format!("HOSTNAME={}", effective.hostname),
    ];
    if tty {
        env.push("TERM=xterm".to_owned());
    }
    env.extend(linked.iter().cloned());
    override_all(&mut env, &effective.env);
    override_all(&mut env, over);
    env
}

/// `NAME=value` replaces or appends, `NAME` removes.
fn override_all(env: &mut Vec<String>, over: &[String]) {
    for entry in over {
        let place = env.iter().position(|own| key(own) == key(entry));
        match (place, entry.contains('=')) {
            (Some(place), true) => env[place].clone_from(entry),
            (Some(place), false) => drop(env.remove(place)),
            (None, true) => env.push(entry.clone()),
            (None, false) => {}
        }
    }
}

fn key(entry: &str) -> &str {
    entry.split_once('=').map_or(entry, |(key, _)| key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::unnecessary_wraps, reason = "what a request holds")]
    fn words(text: &str) -> Words {
        Some(text.split_ascii_whitespace().map(str::to_owned).collect())
    }

    fn image() -> ContainerConfig {
        ContainerConfig {
            entrypoint: words("/entry"),
            cmd: words("default args"),
            env: vec!["PATH=/bin".into(), "A=image".into(), "B=image".into()],
            user: "www".into(),
            stop_signal: "SIGINT".into(),
            ..ContainerConfig::default()
        }
    }

    fn args(entrypoint: Words, command: Words) -> String {
        let spec = Spec {
            entrypoint,
            command,
            ..Spec::default()
        };
        merge(&spec, &image(), "h".into())
            .map_or_else(|error| error.to_string(), |merged| merged.args().join(" "))
    }

    #[test]
    fn entrypoint_and_command_follow_dockers_rules() {
        assert_eq!(args(None, None), "/entry default args");
        assert_eq!(args(None, words("own")), "/entry own");
        assert_eq!(args(words("/own"), None), "/own");
        assert_eq!(args(words("/own"), words("x")), "/own x");
        assert_eq!(args(Some(vec![String::new()]), words("x")), "x");
        assert_eq!(
            args(Some(vec![String::new()]), None),
            "no command specified"
        );
        assert_eq!(args(Some(vec![]), None), "default args");
    }

    #[test]
    fn the_requests_environment_comes_first_and_a_bare_name_removes() {
        let spec = Spec {
            env: vec!["A=own".into(), "C=own".into(), "B".into()],
            ..Spec::default()
        };
        let merged = merge(&spec, &image(), "host".into()).unwrap();
        assert_eq!(merged.env, ["A=own", "C=own", "B", "PATH=/bin"]);
        assert_eq!(
            (
                merged.user.as_str(),
                merged.stop_signal.map(super::super::signal::Signal::number)
            ),
            ("www", Some(2))
        );
        let env = environment(
            &merged,
            true,
            &["DB_NAME=/web/db".into(), "C=linked".into()],
            &["A=exec".into(), "TERM".into()],
        );
        assert_eq!(
            env,
            [
                "PATH=/bin",
                "HOSTNAME=host",
                "DB_NAME=/web/db",
                "C=own",
                "A=exec"
            ]
        );
    }
}
