//! `info`: the daemon's facts about itself and its host.

use std::fmt::Write;

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

/// Docker's order of lines; facts that the daemon does not give are left out.
fn server_text(info: &Value) -> String {
    let mut text = String::new();
    let mut line = |depth: usize, name: &str, value: &str| {
        drop(writeln!(
            text,
            "{}",
            format!("{}{name}: {value}", " ".repeat(depth)).trim_end()
        ));
    };
    let show = |name: &str| {
        info.field(name)
            .map(Value::show)
            .filter(|shown| !shown.is_empty() && shown != "<nil>")
    };
    let mut plain = |line: &mut dyn FnMut(usize, &str, &str), depth, label: &str, name: &str| {
        if let Some(value) = show(name) {
            line(depth, label, &value);
        }
    };
    plain(&mut line, 1, "Containers", "Containers");
    for (label, name) in [
        ("Running", "ContainersRunning"),
        ("Paused", "ContainersPaused"),
        ("Stopped", "ContainersStopped"),
    ] {
        plain(&mut line, 2, label, name);
    }
    for (label, name) in [
        ("Images", "Images"),
        ("Server Version", "ServerVersion"),
        ("Storage Driver", "Driver"),
    ] {
        plain(&mut line, 1, label, name);
    }
    if let Some(Value::List(pairs)) = info.field("DriverStatus") {
        for pair in pairs {
            if let Value::List(pair) = pair
                && let [name, value] = pair.as_slice()
            {
                line(2, &name.show(), &value.show());
            }
        }
    }
    for (label, name) in [
        ("Logging Driver", "LoggingDriver"),
        ("Cgroup Driver", "CgroupDriver"),
        ("Cgroup Version", "CgroupVersion"),
    ] {
        plain(&mut line, 1, label, name);
    }
    if let Some(plugins) = info.field("Plugins") {
        line(1, "Plugins", "");
        for (label, name) in [("Volume", "Volume"), ("Network", "Network"), ("Log", "Log")] {
            line(2, label, &list(plugins, name).join(" "));
        }
    }
    if let Some(Value::Object(runtimes)) = info.field("Runtimes") {
        let names: Vec<&str> = runtimes
            .fields
            .iter()
            .map(|(name, _)| name.as_str())
            .collect();
        line(1, "Runtimes", &names.join(" "));
    }
    for (label, name) in [
        ("Default Runtime", "DefaultRuntime"),
        ("Init Binary", "InitBinary"),
    ] {
        plain(&mut line, 1, label, name);
    }
    line(1, "Security Options", "");
    for option in list(info, "SecurityOptions") {
        for part in option.split(',') {
            match part.split_once('=') {
                Some(("name", name)) => line(2, name, ""),
                Some((key, value)) => {
                    line(3, if key == "profile" { "Profile" } else { key }, value)
                }
                None => line(2, part, ""),
            }
        }
    }
    for (label, name) in [
        ("Kernel Version", "KernelVersion"),
        ("Operating System", "OperatingSystem"),
        ("OSType", "OSType"),
        ("Architecture", "Architecture"),
        ("CPUs", "NCPU"),
    ] {
        plain(&mut line, 1, label, name);
    }
    if let Some(Value::Int(bytes)) = info.field("MemTotal") {
        #[expect(clippy::cast_precision_loss, reason = "four digits are printed")]
        line(1, "Total Memory", &stdx::size::bytes_size(*bytes as f64));
    }
    for (label, name) in [
        ("Name", "Name"),
        ("ID", "ID"),
        ("Docker Root Dir", "DockerRootDir"),
        ("Debug Mode", "Debug"),
        ("HTTP Proxy", "HttpProxy"),
        ("HTTPS Proxy", "HttpsProxy"),
        ("No Proxy", "NoProxy"),
        ("Experimental", "ExperimentalBuild"),
        ("Live Restore Enabled", "LiveRestoreEnabled"),
    ] {
        plain(&mut line, 1, label, name);
    }
    text
}
