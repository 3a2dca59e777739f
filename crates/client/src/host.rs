//! Where a daemon listens.

use std::path::PathBuf;

use crate::Error;

/// An address as in `--host`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    /// `unix:///run/corten/corten.sock`
    Unix(PathBuf),
    /// `tcp://127.0.0.1:2375`, without TLS.
    Tcp(String),
}

impl std::str::FromStr for Host {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let text = text.trim();
        let unable = || Error::Host(format!("unable to parse docker host `{text}`"));
        let (scheme, address) = text.split_once("://").ok_or_else(unable)?;
        match scheme {
            "unix" if !address.is_empty() => Ok(Self::Unix(address.into())),
            "tcp" | "http" => {
                let address = address.trim_end_matches('/');
                if address.is_empty() {
                    return Err(unable());
                }
                let has_port = address
                    .rsplit_once(':')
                    .is_some_and(|(_, port)| port.parse::<u16>().is_ok());
                Ok(Self::Tcp(if has_port {
                    address.to_owned()
                } else {
                    format!("{address}:2375")
                }))
            }
            "ssh" | "npipe" | "fd" | "https" => Err(Error::Host(format!(
                "host {text}: connections over {scheme} are not implemented yet"
            ))),
            _ => Err(unable()),
        }
    }
}

impl std::fmt::Display for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
            Self::Tcp(address) => write!(f, "tcp://{address}"),
        }
    }
}
