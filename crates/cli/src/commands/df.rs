//! `system df`: how much everything takes.

use api::container::Summary as Container;
use api::image::Summary as Image;
use api::system::DiskUsage;
use client::{Method, Request};

use super::{images, ps};
use crate::flags::Given;
use crate::format::{self, Listing};
use crate::report::{self, Failure, Outcome};
use crate::session::Session;
use crate::template::Value;

const LISTING: Listing = Listing {
    columns: "{{.Type}}\t{{.TotalCount}}\t{{.Active}}\t{{.Size}}\t{{.Reclaimable}}",
    headings: &[
        ("Type", "TYPE"),
        ("TotalCount", "TOTAL"),
        ("Active", "ACTIVE"),
        ("Size", "SIZE"),
        ("Reclaimable", "RECLAIMABLE"),
    ],
    type_name: "*formatter.diskUsageImagesContext",
};
const IMAGES: &str = "{{.Repository}}\t{{.Tag}}\t{{.ID}}\t{{if .CreatedSince }}{{.CreatedSince}}{{else}}N/A{{end}}\t{{.Size}}\t{{.SharedSize}}\t{{.UniqueSize}}\t{{.Containers}}";
const CONTAINERS: &str = "{{.ID}}\t{{.Image}}\t{{.Command}}\t{{.LocalVolumes}}\t{{.Size}}\t{{.RunningFor}}\t{{.Status}}\t{{.Names}}";

/// What this build has none of: Docker prints the headings all the same.
const NO_VOLUMES: &str = "VOLUME NAME   LINKS     SIZE";
const NO_BUILD_CACHE: &str =
    "CACHE ID   CACHE TYPE   SIZE      CREATED   LAST USED   USAGE     SHARED";

/// `system df [OPTIONS]`
pub(crate) async fn df(session: &Session, given: &Given) -> Outcome {
    let verbose = given.is("verbose");
    let chosen = given
        .get("format")
        .filter(|format| !format.is_empty() && *format != "table");
    let request = Request::new(Method::Get, "/system/df");
    let usage: DiskUsage = session.client().await?.call(request).await?;
    let images = usage.images.unwrap_or_default();
    let containers = usage.containers.unwrap_or_default();
    if verbose {
        report::print(&match chosen {
            None => details(&images, &containers)?,
            Some(format) => document(format, &images, &containers)?,
        });
        return Ok(0);
    }
    let rows = [
        sum_of_images(&images, usage.layers_size),
        sum_of_containers(&containers),
        nothing("Local Volumes"),
        nothing("Build Cache"),
    ];
    report::print(&format::render(LISTING, chosen, false, rows)?);
    Ok(0)
}

/// One line of the summary.
fn row(kind: &str, count: usize, active: usize, size: i64, reclaimable: i64) -> Value {
    let share = if size > 0 {
        format!(" ({}%)", reclaimable * 100 / size)
    } else {
        String::new()
    };
    let fields = vec![
        ("Type", kind.to_owned()),
        ("TotalCount", count.to_string()),
        ("Active", active.to_string()),
        ("Size", exact(size)),
        ("Reclaimable", exact(reclaimable) + &share),
    ];
    Value::structure(LISTING.type_name, fields)
}

fn nothing(kind: &str) -> Value {
    row(kind, 0, 0, 0, 0)
}

fn sum_of_images(images: &[Image], layers: i64) -> Value {
    let used = images.iter().filter(|image| image.containers != 0);
    let held: i64 = used
        .clone()
        .filter(|image| image.size != -1 && image.shared_size != -1)
        .map(|image| image.size - image.shared_size)
        .sum();
    row("Images", images.len(), used.count(), layers, layers - held)
}

fn sum_of_containers(containers: &[Container]) -> Value {
    let active = |container: &&Container| {
        ["running", "paused", "restarting"].contains(&container.state.as_str())
    };
    let size = containers.iter().map(|container| container.size_rw).sum();
    let held: i64 = containers
        .iter()
        .filter(active)
        .map(|container| container.size_rw)
        .sum();
    row(
        "Containers",
        containers.len(),
        containers.iter().filter(active).count(),
        size,
        size - held,
    )
}

/// All of it as one value in a format of the user's.
fn document(format: &str, images: &[Image], containers: &[Container]) -> Result<String, Failure> {
    let truncate = format.starts_with("table");
    let lists = vec![
        ("Images", image_rows(images, truncate)),
        ("Containers", container_rows(containers, truncate)),
        ("Volumes", Vec::new()),
        ("BuildCache", Vec::new()),
    ];
    format::whole(format, &Value::lists("*formatter.diskUsageContext", lists))
}

fn details(images: &[Image], containers: &[Container]) -> Result<String, Failure> {
    let rows = image_rows(images, true);
    let listing = Listing {
        columns: IMAGES,
        ..images::LISTING
    };
    let images = format::render(listing, None, false, rows)?;
    let rows = container_rows(containers, true);
    let listing = Listing {
        columns: CONTAINERS,
        ..ps::LISTING
    };
    let containers = format::render(listing, None, false, rows)?;
    Ok(format!(
        "Images space usage:\n\n{images}\nContainers space usage:\n\n{containers}\n\
         Local Volumes space usage:\n\n{NO_VOLUMES}\n\nBuild cache usage: 0B\n\n{NO_BUILD_CACHE}\n"
    ))
}

/// Images, each under the first of its names alone.
fn image_rows(images: &[Image], truncate: bool) -> Vec<Value> {
    let row = |image: &Image| {
        let name = image
            .repo_tags
            .first()
            .and_then(|name| name.rsplit_once(':'));
        let (repository, tag) = name.unwrap_or(("<none>", "<none>"));
        let (repository, tag) = (repository.to_owned(), tag.to_owned());
        images::row(image, truncate, repository, tag, String::new())
    };
    images.iter().map(row).collect()
}

fn container_rows(containers: &[Container], truncate: bool) -> Vec<Value> {
    let row = |container: &Container| {
        // The whole tree's size is not told here.
        let container = Container {
            size_root_fs: 0,
            ..container.clone()
        };
        ps::row(&container, truncate)
    };
    containers.iter().map(row).collect()
}

#[expect(clippy::cast_precision_loss, reason = "four digits are printed")]
fn exact(bytes: i64) -> String {
    stdx::size::human_size(bytes as f64)
}
