//! `ps`: the list of containers.

use api::container::Summary;
use client::{Method, Request, query};
use serde::de::IgnoredAny;

use crate::flags::Given;
use crate::format::{self, Listing};
use crate::report::{self, Outcome};
use crate::session::Session;
use crate::table::ellipsis;
use crate::template::Value;

const COLUMNS: &str =
    "{{.ID}}\t{{.Image}}\t{{.Command}}\t{{.RunningFor}}\t{{.Status}}\t{{.Ports}}\t{{.Names}}";
const COLUMNS_WITH_SIZE: &str = "{{.ID}}\t{{.Image}}\t{{.Command}}\t{{.RunningFor}}\t{{.Status}}\t{{.Ports}}\t{{.Names}}\t{{.Size}}";

pub(super) const LISTING: Listing = Listing {
    columns: COLUMNS,
    headings: &[
        ("ID", "CONTAINER ID"),
        ("Names", "NAMES"),
        ("Image", "IMAGE"),
        ("Platform", "PLATFORM"),
        ("Command", "COMMAND"),
        ("CreatedAt", "CREATED AT"),
        ("RunningFor", "CREATED"),
        ("Ports", "PORTS"),
        ("State", "STATE"),
        ("Status", "STATUS"),
        ("Size", "SIZE"),
        ("Labels", "LABELS"),
        ("Mounts", "MOUNTS"),
        ("LocalVolumes", "LOCAL VOLUMES"),
        ("Networks", "NETWORKS"),
    ],
    type_name: "*formatter.ContainerContext",
};

/// `ps [OPTIONS]`
pub(crate) async fn ps(session: &Session, given: &Given) -> Outcome {
    let chosen = given.get("format").filter(|format| !format.is_empty());
    // The configuration is read only where it can matter.
    let configured = || {
        session
            .config()
            .ps_format
            .as_deref()
            .filter(|format| !format.is_empty() && !given.is("quiet"))
    };
    let chosen = chosen.or_else(configured);
    let with_size = given.is("size") || chosen.is_some_and(|format| format.contains(".Size"));
    let limit = match given.number("last") {
        None | Some(-1) if given.is("latest") => Some("1".to_owned()),
        Some(count) if count > 0 => Some(count.to_string()),
        _ => None,
    };
    let filters = format::filters(&given.list("filter"));
    let mut pairs = Vec::new();
    if given.is("all") {
        pairs.push(("all", "1"));
    }
    pairs.extend(limit.as_deref().map(|limit| ("limit", limit)));
    if with_size {
        pairs.push(("size", "1"));
    }
    pairs.extend(filters.as_deref().map(|filters| ("filters", filters)));
    let request = Request::new(Method::Get, query("/containers/json", &pairs));
    let containers: Vec<Summary<IgnoredAny>> = session.client().await?.call(request).await?;
    let truncate = !given.is("no-trunc");
    let rows = containers.iter().map(|container| row(container, truncate));
    let columns = if given.is("size") {
        COLUMNS_WITH_SIZE
    } else {
        COLUMNS
    };
    report::print(&format::render(
        Listing { columns, ..LISTING },
        chosen,
        given.is("quiet"),
        rows,
    )?);
    Ok(0)
}

/// A container in a list.
pub(super) fn row<E>(container: &Summary<E>, truncate: bool) -> Value {
    let shortened = |text: &str, width| {
        if truncate {
            ellipsis(text, width)
        } else {
            text.to_owned()
        }
    };
    let id = if truncate {
        format::short_id(&container.id)
    } else {
        &container.id
    };
    let mounts: Vec<String> = container
        .mounts
        .iter()
        .map(|mount| {
            shortened(
                if mount.name.is_empty() {
                    &mount.source
                } else {
                    &mount.name
                },
                15,
            )
        })
        .collect();
    let networks: Vec<&str> = container
        .network_settings
        .networks
        .keys()
        .map(String::as_str)
        .collect();
    let labels: Vec<String> = container
        .labels
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    let volumes = container
        .mounts
        .iter()
        .filter(|mount| mount.driver == "local")
        .count();
    let fields = vec![
        ("ID", id.to_owned()),
        ("Names", names(container, truncate)),
        ("Image", image(container, truncate)),
        ("Command", go_quote(&shortened(&container.command, 20))),
        ("CreatedAt", format::go_time(container.created)),
        (
            "RunningFor",
            format!("{} ago", format::age(container.created)),
        ),
        ("Ports", crate::ports::column(&container.ports)),
        ("State", container.state.clone()),
        ("Status", container.status.clone()),
        ("Size", size(container)),
        ("Labels", labels.join(",")),
        ("Mounts", mounts.join(",")),
        ("LocalVolumes", volumes.to_string()),
        ("Networks", networks.join(",")),
    ];
    Value::structure(LISTING.type_name, fields)
        .with_nil("Platform")
        .with_map("Label", container.labels.clone())
}

fn names<E>(container: &Summary<E>, truncate: bool) -> String {
    let names = container
        .names
        .iter()
        .map(|name| name.strip_prefix('/').unwrap_or(name));
    names
        .filter(|name| !truncate || !name.contains('/'))
        .collect::<Vec<_>>()
        .join(",")
}

fn image<E>(container: &Summary<E>, truncate: bool) -> String {
    if container.image.is_empty() {
        return "<no image>".to_owned();
    }
    if !truncate {
        return container.image.clone();
    }
    let short = format::short_id(&container.image_id);
    if !short.is_empty() && format::short_id(&container.image) == short {
        return short.to_owned();
    }
    container
        .image
        .split('@')
        .next()
        .unwrap_or_default()
        .to_owned()
}

fn size<E>(container: &Summary<E>) -> String {
    let own = format::size(container.size_rw);
    if container.size_root_fs > 0 {
        format!("{own} (virtual {})", format::size(container.size_root_fs))
    } else {
        own
    }
}

/// Go's `strconv.Quote`.
fn go_quote(text: &str) -> String {
    let mut quoted = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            '\r' => quoted.push_str("\\r"),
            control if control < ' ' || control == '\u{7f}' => {
                quoted.push_str(&format!("\\x{:02x}", u32::from(control)));
            }
            other => quoted.push(other),
        }
    }
    quoted + "\""
}

#[cfg(test)]
mod tests {
    use api::container::Port;

    use super::*;

    #[test]
    fn a_row_shows_a_container_as_docker_does() {
        let container: Summary = Summary {
            id: "0123456789abcdef".repeat(4),
            names: vec!["/web".to_owned(), "/other/web".to_owned()],
            image: "busybox:latest".to_owned(),
            command: "sh -c 'while true; do sleep 1; done'".to_owned(),
            status: "Up 2 minutes".to_owned(),
            ports: vec![Port {
                ip: "0.0.0.0".to_owned(),
                private_port: 80,
                public_port: 8080,
                kind: "tcp".to_owned(),
            }],
            ..Summary::default()
        };
        let format = "{{.ID}}|{{.Names}}|{{.Image}}|{{.Command}}|{{.Status}}|{{.Ports}}|{{.Size}}";
        let text = format::render(LISTING, Some(format), false, [row(&container, true)]).unwrap();
        let expect = "0123456789ab|web|busybox:latest|\"sh -c 'while true; …\"|Up 2 minutes|0.0.0.0:8080->80/tcp|0B\n";
        assert_eq!(text, expect);
    }
}
