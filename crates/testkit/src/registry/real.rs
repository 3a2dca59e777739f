//! Debian's docker-registry, on a free port.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::command::eventually;
use crate::fixtures;

/// The user of [`Real::with_password`].
pub const USER: &str = "test-user";
/// The password of [`Real::with_password`].
pub const PASSWORD: &str = "test-password";
/// The same, as bcrypt keeps it.
const HASH: &str = "$2b$04$Z9ckFX8dNdqEQRFASny7.ufi4ByCw3hHXyVsPsancgKBTYhkWK16.";

/// An authority that signed [`CERTIFICATE`], and nothing else. Good for a hundred years.
pub const AUTHORITY: &str = include_str!("authority.pem");
/// A certificate for 127.0.0.1, `localhost` and `registry.test`, for servers and clients.
pub const CERTIFICATE: &str = include_str!("certificate.pem");
/// A certificate for the same names that is its own authority, as `openssl req -x509` makes it.
pub const SELF_SIGNED: &str = include_str!("self_signed.pem");
/// The key of both. It protects nothing.
pub const KEY: &str = include_str!("key.pem");

/// Tells the registries of one test program apart.
static COUNT: AtomicU32 = AtomicU32::new(0);

/// A real registry. Dropped, it is killed and its directory removed.
#[derive(Debug)]
pub struct Real {
    child: Child,
    directory: PathBuf,
    host: String,
}

impl Real {
    /// A registry without a password, over plain HTTP.
    #[track_caller]
    pub fn start() -> Self {
        Self::with_settings("", "")
    }

    /// A registry for [`USER`] with [`PASSWORD`] only.
    #[track_caller]
    pub fn with_password() -> Self {
        Self::with_settings(
            "",
            "auth: {htpasswd: {realm: test, path: DIRECTORY/htpasswd}}\n",
        )
    }

    /// A registry that speaks TLS with [`CERTIFICATE`]; to whom shows one of [`AUTHORITY`] only, where asked.
    #[track_caller]
    pub fn with_tls(clients: bool) -> Self {
        let clients = if clients {
            ", clientcas: [DIRECTORY/authority.pem]"
        } else {
            ""
        };
        let tls = format!(
            ", tls: {{certificate: DIRECTORY/certificate.pem, key: DIRECTORY/key.pem{clients}}}"
        );
        Self::with_settings(&tls, "")
    }

    /// A registry with further settings in its section `http` and after it; `DIRECTORY` in them is its directory.
    #[track_caller]
    pub fn with_settings(http: &str, yaml: &str) -> Self {
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let directory = std::env::temp_dir().join(format!(
            "corten-test-registry-{}-{number}",
            std::process::id()
        ));
        _ = fs::remove_dir_all(&directory);
        fs::create_dir_all(directory.join("data")).expect("create the registry's directory");
        let place = directory.display().to_string();
        let settings = format!(
            "version: 0.1\nlog: {{level: info}}\nstorage: {{filesystem: {{rootdirectory: {place}/data}}, delete: {{enabled: true}}}}\n\
             http: {{addr: \"127.0.0.1:0\", secret: test{http}}}\n{yaml}"
        );
        let settings = settings.replace("DIRECTORY", &place);
        for (name, text) in [
            ("authority.pem", AUTHORITY),
            ("certificate.pem", CERTIFICATE),
            ("self_signed.pem", SELF_SIGNED),
            ("key.pem", KEY),
        ] {
            fs::write(directory.join(name), text).expect("write its certificates");
        }
        fs::write(directory.join("config.yml"), settings).expect("write its configuration");
        fs::write(directory.join("htpasswd"), format!("{USER}:{HASH}\n")).expect("write its users");
        let log = File::create(directory.join("log")).expect("create its log");
        let child = fixtures::client("docker-registry")
            .expect("docker-registry is missing: run cargo xtask fixtures")
            .arg("serve")
            .arg(directory.join("config.yml"))
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("the log's second descriptor"))
            .stderr(log)
            .spawn()
            .expect("start docker-registry");
        let mut registry = Self {
            child,
            directory,
            host: String::new(),
        };
        let listens = eventually(Duration::from_secs(20), || {
            registry.host = listening(&registry.log()).unwrap_or_default();
            !registry.host.is_empty()
        });
        assert!(
            listens,
            "docker-registry does not listen:\n{}",
            registry.log()
        );
        registry
    }

    /// Where it listens: `127.0.0.1:port`.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Its directory; blobs and manifests stand in `data`.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.directory.join("log")).unwrap_or_default()
    }
}

impl Drop for Real {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
        _ = fs::remove_dir_all(&self.directory);
    }
}

/// The address in the line that says that it listens; the line may be half written yet.
fn listening(log: &str) -> Option<String> {
    let (_, rest) = log.split_once("listening on ")?;
    let (address, _) = rest.split_once(['"', ','])?;
    Some(address.to_owned())
}
