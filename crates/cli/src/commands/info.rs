//! `info`: the daemon's facts about itself and its host.

use client::{Method, Request};

use crate::flags::Given;
use crate::report::{self, Failure, Outcome};
use crate::session::Session;
use crate::template::{Mode, Template, Value};

/// `info [--format FORMAT]`
pub(crate) async fn info(session: &Session, given: &Given) -> Outcome {
    let template = match given.get("format") {
        None | Some("" | "json") => None,
        Some(source) => Some(Template::parse(source).map_err(|error| {
            Failure::new(format!("template parsing error: {error}")).with_code(64)
        })?),
    };
    let asked = async {
        let client = session.client().await?;
        let mut response = client.send(Request::new(Method::Get, "/info")).await?;
        Ok::<Vec<u8>, Failure>(response.body.collect().await?)
    };
    let plain = template.is_none() && given.get("format") != Some("json");
    if plain {
        report::print(&client_text(session));
    }
    let json = match asked.await {
        Ok(json) => json,
        Err(failure) => return Err(failure),
    };
    let value = Value::from_json(&json).map_err(|error| Failure::new(error.to_string()))?;
    if let Some(template) = template {
        let text = template.render(&value, Mode::Values);
        report::print(
            &(text.map_err(|error| Failure::new(format!("template parsing error: {error}")))?
                + "\n"),
        );
    } else if plain {
        report::print(&server_text(&value));
        for warning in list(&value, "Warnings") {
            report::print_error(&warning);
        }
    } else {
        report::print(&format!("{}\n", String::from_utf8_lossy(&json).trim_end()));
    }
    Ok(0)
}

fn client_text(session: &Session) -> String {
    format!(
        "Client: Corten\n Version:    {}\n Context:    {}\n Debug Mode: {}\n\nServer:\n",
        env!("CARGO_PKG_VERSION"),
        session.context_name(),
        session.globals.is("debug")
    )
}

fn list(value: &Value, name: &str) -> Vec<String> {
    match value.field(name) {
        Some(Value::List(list)) => list.iter().map(Value::show).collect(),
        _ => Vec::new(),
    }
}

/// Lines of `name: value`.
#[derive(Debug)]
struct Lines<'a> {
    info: &'a Value,
    text: String,
}

impl Lines<'_> {
    fn push(&mut self, depth: usize, name: &str, value: &str) {
        let line = format!("{}{name}: {value}", " ".repeat(depth));
        self.text.push_str(line.trim_end());
        self.text.push('\n');
    }

    /// Facts under their labels; those that the daemon does not give are left out.
    fn fields(&mut self, depth: usize, fields: &[(&str, &str)]) {
        for (label, name) in fields {
            let shown = self.info.field(name).map(Value::show);
            if let Some(value) = shown.filter(|shown| !shown.is_empty() && shown != "<nil>") {
                self.push(depth, label, &value);
            }
        }
    }

    fn driver_status(&mut self) {
        let Some(Value::List(pairs)) = self.info.field("DriverStatus") else {
            return;
        };
        for pair in pairs {
            if let Value::List(pair) = pair
                && let [name, value] = pair.as_slice()
            {
                self.push(2, &name.show(), &value.show());
            }
        }
    }

    fn security_options(&mut self) {
        self.push(1, "Security Options", "");
        for option in list(self.info, "SecurityOptions") {
            for part in option.split(',') {
                match part.split_once('=') {
                    Some(("name", name)) => self.text.push_str(&format!("  {name}\n")),
                    Some(("profile", value)) => self.push(3, "Profile", value),
                    Some((key, value)) => self.push(3, key, value),
                    None => self.text.push_str(&format!("  {part}\n")),
                }
            }
        }
    }
}

/// Docker's order of lines.
fn server_text(info: &Value) -> String {
    let mut lines = Lines {
        info,
        text: String::new(),
    };
    lines.fields(1, &[("Containers", "Containers")]);
    lines.fields(
        2,
        &[
            ("Running", "ContainersRunning"),
            ("Paused", "ContainersPaused"),
            ("Stopped", "ContainersStopped"),
        ],
    );
    lines.fields(
        1,
        &[
            ("Images", "Images"),
            ("Server Version", "ServerVersion"),
            ("Storage Driver", "Driver"),
        ],
    );
    lines.driver_status();
    lines.fields(
        1,
        &[
            ("Logging Driver", "LoggingDriver"),
            ("Cgroup Driver", "CgroupDriver"),
            ("Cgroup Version", "CgroupVersion"),
        ],
    );
    if let Some(plugins) = info.field("Plugins") {
        lines.push(1, "Plugins", "");
        for name in ["Volume", "Network", "Log"] {
            lines.push(2, name, &list(plugins, name).join(" "));
        }
    }
    if let Some(Value::Object(runtimes)) = info.field("Runtimes") {
        let names: Vec<&str> = runtimes.fields.iter().map(|(name, _)| &**name).collect();
        lines.push(1, "Runtimes", &names.join(" "));
    }
    lines.fields(
        1,
        &[
            ("Default Runtime", "DefaultRuntime"),
            ("Init Binary", "InitBinary"),
        ],
    );
    lines.security_options();
    lines.fields(
        1,
        &[
            ("Kernel Version", "KernelVersion"),
            ("Operating System", "OperatingSystem"),
            ("OSType", "OSType"),
            ("Architecture", "Architecture"),
            ("CPUs", "NCPU"),
        ],
    );
    if let Some(Value::Int(bytes)) = info.field("MemTotal") {
        #[expect(clippy::cast_precision_loss, reason = "four digits are printed")]
        lines.push(1, "Total Memory", &stdx::size::bytes_size(*bytes as f64));
    }
    lines.fields(
        1,
        &[
            ("Name", "Name"),
            ("ID", "ID"),
            ("Docker Root Dir", "DockerRootDir"),
            ("Debug Mode", "Debug"),
            ("HTTP Proxy", "HttpProxy"),
            ("HTTPS Proxy", "HttpsProxy"),
            ("No Proxy", "NoProxy"),
            ("Experimental", "ExperimentalBuild"),
            ("Live Restore Enabled", "LiveRestoreEnabled"),
        ],
    );
    lines.text
}
