//! One invocation: how it was called, its surroundings, and the daemon it talks to.

use client::{Client, Host};
use tokio::sync::OnceCell;

use crate::config::Config;
use crate::env::Env;
use crate::flags::Given;
use crate::report::Failure;
use crate::{autostart, help};

/// Where the daemon listens unless told otherwise.
pub(crate) const DEFAULT_SOCKET: &str = "/run/corten/corten.sock";

/// How the program was called, and what it needs to reach the daemon.
#[derive(Debug)]
pub(crate) struct Session {
    /// `corten`, or `docker` when called so.
    pub(crate) program: &'static str,
    /// The process's surroundings.
    pub(crate) env: Env,
    /// The flags before the command.
    pub(crate) globals: Given,
    columns: usize,
    config_directory: String,
    config: std::cell::OnceCell<Config>,
    client: OnceCell<Client>,
}

/// A daemon's address, and who chose it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Choice {
    pub(crate) host: String,
    /// A flag, the environment or a context named it.
    pub(crate) named: bool,
}

impl Session {
    pub(crate) fn new(program: &str, env: Env) -> Self {
        let home = env.variable("HOME").unwrap_or("/root").to_owned();
        let config_directory = env
            .variable("DOCKER_CONFIG")
            .map_or(format!("{home}/.docker"), str::to_owned);
        Self {
            program: if program == "docker" {
                "docker"
            } else {
                "corten"
            },
            columns: env
                .columns
                .filter(|columns| *columns > 0)
                .map_or(80, usize::from),
            env,
            globals: Given::default(),
            config_directory,
            config: std::cell::OnceCell::new(),
            client: OnceCell::new(),
        }
    }

    /// How help texts are printed here.
    pub(crate) fn style(&self) -> help::Style<'_> {
        help::Style {
            program: self.program,
            columns: self.columns,
            config: self.config_directory(),
        }
    }

    /// The terminal's width.
    pub(crate) fn columns(&self) -> usize {
        self.columns
    }

    /// The directory of the client's configuration.
    pub(crate) fn config_directory(&self) -> &str {
        self.globals.get("config").unwrap_or(&self.config_directory)
    }

    /// The client's configuration file, read when first asked for.
    pub(crate) fn config(&self) -> &Config {
        self.config
            .get_or_init(|| Config::read(self.config_directory()))
    }

    /// The client of the chosen daemon; starts the daemon of this machine where that is wanted.
    pub(crate) async fn client(&self) -> Result<&Client, Failure> {
        self.client.get_or_try_init(|| self.connect()).await
    }

    async fn connect(&self) -> Result<Client, Failure> {
        for flag in ["tls", "tlscacert", "tlscert", "tlskey", "tlsverify"] {
            if self.globals.has(flag) {
                return Err(Failure::unbuilt(self.program, &format!("flag --{flag}")));
            }
        }
        let choice = self.host()?;
        let host: Host = choice.host.parse().map_err(Failure::from)?;
        let client = Client::new(host, self.env.variable("DOCKER_API_VERSION"));
        match client.connect().await {
            Ok(()) => Ok(client),
            Err(error) if choice.named || !self.env.is_root => Err(error.into()),
            Err(error) => {
                let started = autostart::start(&self.env, &client).await?;
                if started {
                    Ok(client)
                } else {
                    Err(error.into())
                }
            }
        }
    }

    /// Chooses the daemon: `--host`, `--context`, `CORTEN_HOST`, `DOCKER_HOST`, the context, the default socket.
    pub(crate) fn host(&self) -> Result<Choice, Failure> {
        let named = |host: String| Choice { host, named: true };
        let hosts = self.globals.list("host");
        let context = self.globals.get("context").filter(|name| !name.is_empty());
        match hosts.as_slice() {
            [] => {}
            [_] if context.is_some() => {
                return Err(Failure::new(
                    "conflicting options: cannot specify both --host and --context",
                ));
            }
            [host] => return Ok(named(host.clone())),
            _ => return Err(Failure::new("specify only one -H")),
        }
        if context.is_none()
            && let Some(host) = ["CORTEN_HOST", "DOCKER_HOST"]
                .iter()
                .find_map(|name| self.env.variable(name))
        {
            return Ok(named(host.to_owned()));
        }
        let context = context
            .or_else(|| self.env.variable("DOCKER_CONTEXT"))
            .or_else(|| {
                self.config()
                    .current_context
                    .as_deref()
                    .filter(|name| !name.is_empty())
            });
        match context {
            None => Ok(Choice { host: format!("unix://{DEFAULT_SOCKET}"), named: false }),
            Some("default") => Ok(named(format!("unix://{DEFAULT_SOCKET}"))),
            Some(name) => crate::config::context_host(self.config_directory(), name).map(named).ok_or_else(|| {
                Failure::new(format!(
                    "Current context {name:?} is not found on the file system, please check your config file at {}/config.json",
                    self.config_directory()
                ))
            }),
        }
    }

    /// The context's name, as `version` and `info` print it.
    pub(crate) fn context_name(&self) -> String {
        self.globals
            .get("context")
            .map_or_else(|| "default".to_owned(), str::to_owned)
    }
}
