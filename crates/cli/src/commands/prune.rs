//! `container prune`, `image prune`, `network prune`, `volume prune` and all of them at once, `system prune`.

use api::prune::{BuildCache, Containers, Images, Networks, Volumes};
use client::{Method, Request, query};
use serde::de::DeserializeOwned;

use crate::flags::Given;
use crate::format;
use crate::report::{self, Failure, Outcome};
use crate::session::Session;

/// What one prune did, in words, and how many bytes that freed.
struct Pruned {
    text: String,
    freed: u64,
}

/// `container prune [OPTIONS]`
pub(crate) async fn containers(session: &Session, given: &Given) -> Outcome {
    if !confirmed(given, "WARNING! This will remove all stopped containers.\n")? {
        return Ok(0);
    }
    Ok(tell(
        &prune_containers(session, &wanted(session, given)).await?,
    ))
}

/// `image prune [OPTIONS]`
pub(crate) async fn images(session: &Session, given: &Given) -> Outcome {
    let all = given.is("all");
    let warning = if all {
        "WARNING! This will remove all images without at least one container associated to them.\n"
    } else {
        "WARNING! This will remove all dangling images.\n"
    };
    if !confirmed(given, warning)? {
        return Ok(0);
    }
    Ok(tell(
        &prune_images(session, all, &wanted(session, given)).await?,
    ))
}

/// `network prune [OPTIONS]`
pub(crate) async fn networks(session: &Session, given: &Given) -> Outcome {
    let warning =
        "WARNING! This will remove all custom networks not used by at least one container.\n";
    if !confirmed(given, warning)? {
        return Ok(0);
    }
    let pruned = prune_networks(session, &wanted(session, given)).await?;
    if !pruned.text.is_empty() {
        report::print(&format!("{}\n", pruned.text));
    }
    Ok(0)
}

/// `volume prune [OPTIONS]`
pub(crate) async fn volumes(session: &Session, given: &Given) -> Outcome {
    let all = given.is("all");
    let warning = if all {
        "WARNING! This will remove all local volumes not used by at least one container.\n"
    } else {
        "WARNING! This will remove anonymous local volumes not used by at least one container.\n"
    };
    if !confirmed(given, warning)? {
        return Ok(0);
    }
    let mut filters = wanted(session, given);
    if all {
        filters.push("all=1".to_owned());
    }
    Ok(tell(&prune_volumes(session, &filters).await?))
}

/// `system prune [OPTIONS]`
pub(crate) async fn system(session: &Session, given: &Given) -> Outcome {
    let (all, with_volumes) = (given.is("all"), given.is("volumes"));
    let wanted = wanted(session, given);
    if with_volumes && wanted.iter().any(|filter| filter.starts_with("until=")) {
        return Err(Failure::new(
            "ERROR: The \"until\" filter is not supported with \"--volumes\"",
        ));
    }
    if !confirmed(given, &warning(all, with_volumes, &wanted))? {
        return Ok(0);
    }
    let mut total = 0;
    let mut add = |pruned: Pruned| {
        total += pruned.freed;
        if !pruned.text.is_empty() {
            report::print(&format!("{}\n", pruned.text));
        }
    };
    add(prune_containers(session, &wanted).await?);
    add(prune_networks(session, &wanted).await?);
    if with_volumes {
        add(prune_volumes(session, &wanted).await?);
    }
    add(prune_images(session, all, &wanted).await?);
    add(prune_build_cache(session, all, &wanted).await?);
    report::print(&format!("Total reclaimed space: {}\n", size(total)));
    Ok(0)
}

/// What `system prune` is going to remove.
fn warning(all: bool, volumes: bool, wanted: &[String]) -> String {
    let mut text = "WARNING! This will remove:\n  - all stopped containers\n  \
                    - all networks not used by at least one container\n"
        .to_owned();
    if volumes {
        text.push_str("  - all anonymous volumes not used by at least one container\n");
    }
    text.push_str(if all {
        "  - all images without at least one container associated to them\n  - all build cache\n"
    } else {
        "  - all dangling images\n  - unused build cache\n"
    });
    let mut shown: Vec<&String> = wanted
        .iter()
        .filter(|filter| {
            ["label=", "label!=", "until="]
                .iter()
                .any(|name| filter.starts_with(name))
        })
        .collect();
    shown.sort();
    if !shown.is_empty() {
        text.push_str("\n  Items to be pruned will be filtered with:\n");
        for filter in shown {
            text.push_str(&format!("  - {filter}\n"));
        }
    }
    text.push('\n');
    text
}

/// The filters of the command line, and those of the configuration file that it does not contradict.
fn wanted(session: &Session, given: &Given) -> Vec<String> {
    let mut wanted = given.list("filter");
    for configured in &session.config().prune_filters {
        let contrary = match configured.split_once('=') {
            None => continue,
            Some(("label", value)) => format!("label!={value}"),
            Some(("label!", value)) => format!("label={value}"),
            Some(_) => String::new(),
        };
        if !wanted.contains(&contrary) && !wanted.contains(configured) {
            wanted.push(configured.clone());
        }
    }
    wanted
}

async fn prune_containers(session: &Session, wanted: &[String]) -> Result<Pruned, Failure> {
    let pruned: Containers = post(session, "/containers/prune", &[], wanted).await?;
    let ids = pruned.containers_deleted.unwrap_or_default();
    Ok(Pruned {
        text: listed("Deleted Containers:", &ids),
        freed: pruned.space_reclaimed,
    })
}

async fn prune_networks(session: &Session, wanted: &[String]) -> Result<Pruned, Failure> {
    let pruned: Networks = post(session, "/networks/prune", &[], wanted).await?;
    let names = pruned.networks_deleted.unwrap_or_default();
    Ok(Pruned {
        text: listed("Deleted Networks:", &names),
        freed: 0,
    })
}

async fn prune_volumes(session: &Session, wanted: &[String]) -> Result<Pruned, Failure> {
    let pruned: Volumes = post(session, "/volumes/prune", &[], wanted).await?;
    Ok(Pruned {
        text: listed("Deleted Volumes:", &pruned.volumes_deleted),
        freed: pruned.space_reclaimed,
    })
}

async fn prune_images(session: &Session, all: bool, wanted: &[String]) -> Result<Pruned, Failure> {
    let mut wanted = wanted.to_vec();
    wanted.push(format!("dangling={}", !all));
    let pruned: Images = post(session, "/images/prune", &[], &wanted).await?;
    let lines: Vec<String> = pruned
        .images_deleted
        .unwrap_or_default()
        .iter()
        .map(|item| {
            if item.untagged.is_empty() {
                format!("deleted: {}", item.deleted)
            } else {
                format!("untagged: {}", item.untagged)
            }
        })
        .collect();
    Ok(Pruned {
        text: listed("Deleted Images:", &lines),
        freed: pruned.space_reclaimed,
    })
}

async fn prune_build_cache(
    session: &Session,
    all: bool,
    wanted: &[String],
) -> Result<Pruned, Failure> {
    let parameters: &[(&str, &str)] = if all { &[("all", "1")] } else { &[] };
    let pruned: BuildCache = post(session, "/build/prune", parameters, wanted).await?;
    let ids = pruned.caches_deleted.unwrap_or_default();
    Ok(Pruned {
        text: listed("Deleted build cache objects:", &ids),
        freed: pruned.space_reclaimed,
    })
}

async fn post<T: DeserializeOwned>(
    session: &Session,
    path: &str,
    parameters: &[(&str, &str)],
    wanted: &[String],
) -> Result<T, Failure> {
    let filters = format::filters(wanted);
    let mut pairs = parameters.to_vec();
    pairs.extend(filters.as_deref().map(|filters| ("filters", filters)));
    let request = Request::new(Method::Post, query(path, &pairs));
    Ok(session.client().await?.call(request).await?)
}

/// A heading and a line for each; nothing where there are none.
fn listed(heading: &str, lines: &[String]) -> String {
    if lines.is_empty() {
        return String::new();
    }
    format!("{heading}\n{}\n", lines.join("\n"))
}

/// Prints what was removed, and the sum; the exit code.
fn tell(pruned: &Pruned) -> i32 {
    if !pruned.text.is_empty() {
        report::print(&format!("{}\n", pruned.text));
    }
    report::print(&format!("Total reclaimed space: {}\n", size(pruned.freed)));
    0
}

#[expect(clippy::cast_precision_loss, reason = "four digits are printed")]
fn size(bytes: u64) -> String {
    stdx::size::human_size(bytes as f64)
}

/// Asks the user, unless `--force` does. Who does not say yes has cancelled, and that is no failure.
fn confirmed(given: &Given, warning: &str) -> Result<bool, Failure> {
    if given.is("force") {
        return Ok(true);
    }
    report::print(&format!(
        "{warning}Are you sure you want to continue? [y/N] "
    ));
    let mut answer = String::new();
    std::io::stdin()
        .read_line(&mut answer)
        .map_err(|error| Failure::new(format!("read the answer: {}", report::reason(&error))))?;
    Ok(matches!(answer.trim(), "y" | "Y"))
}
