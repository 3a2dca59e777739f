//! `manifest inspect`, `create`, `annotate`, `push`, `rm`: lists of manifests, made here and kept by the registry.

use oci::Reference;

use crate::flags::Given;
use crate::manifest::remote::{Found, Remote};
use crate::manifest::store::{Store, missing};
use crate::manifest::{ImageManifest, json, list, reference};
use crate::report::{self, Failure, Outcome};
use crate::session::Session;

/// For what Go compiles: docker lets annotations name no other machine.
const MACHINES: &[(&str, &[&str])] = &[
    ("darwin", &["386", "amd64", "arm", "arm64"]),
    ("dragonfly", &["amd64"]),
    ("freebsd", &["386", "amd64", "arm"]),
    (
        "linux",
        &[
            "386", "amd64", "arm", "arm64", "ppc64le", "mips64", "mips64le", "riscv64", "s390x",
        ],
    ),
    ("netbsd", &["386", "amd64", "arm"]),
    ("openbsd", &["386", "amd64", "arm"]),
    ("plan9", &["386", "amd64"]),
    ("solaris", &["amd64"]),
    ("windows", &["386", "amd64"]),
];

/// `manifest inspect [OPTIONS] [MANIFEST_LIST] MANIFEST`
pub(crate) async fn inspect(session: &Session, given: &Given) -> Outcome {
    let verbose = given.is("verbose");
    let store = Store::new(session);
    if let [of, name] = given.args.as_slice() {
        let name = reference(name)?;
        let found = store.get(&reference(of)?, &name)?;
        return show(&found.ok_or_else(|| missing(&name))?, verbose);
    }
    let name = reference(&given.args[0])?;
    if let Ok(Some(manifests)) = store.list(&name) {
        return show_list(&name, &manifests, verbose);
    }
    let remote = Remote::new(session, given.is("insecure"));
    match remote.find(&name).await? {
        Found::Image(manifest) => show(&manifest, verbose),
        Found::List(manifests) => show_list(&name, &manifests, verbose),
    }
}

fn show(manifest: &ImageManifest, verbose: bool) -> Outcome {
    let text = if verbose {
        json::pretty(manifest, "\t")?
    } else {
        json::indent(&String::from_utf8_lossy(&manifest.payload()?), "\t")
    };
    report::print(&format!("{text}\n"));
    Ok(0)
}

fn show_list(name: &Reference, manifests: &[ImageManifest], verbose: bool) -> Outcome {
    let text = if verbose {
        json::pretty(&manifests, "\t")?
    } else {
        let (_, bytes) = list(name, manifests).map_err(|failure| {
            Failure::new(format!(
                "failed to assemble ManifestDescriptor: {}",
                failure.text
            ))
        })?;
        String::from_utf8_lossy(&bytes).into_owned()
    };
    report::print(&format!("{text}\n"));
    Ok(0)
}

/// `manifest create MANIFEST_LIST MANIFEST [MANIFEST...]`
pub(crate) async fn create(session: &Session, given: &Given) -> Outcome {
    let (target, names) = given.args.split_first().expect("the table asks for two");
    let parsing = format!("error parsing name for manifest list {target}");
    let target = reference(target).map_err(|failure| within(&parsing, &failure))?;
    let store = Store::new(session);
    if store.list(&target)?.is_some() && !given.is("amend") {
        return Err(Failure::new(
            "refusing to amend an existing manifest list with no --amend flag",
        ));
    }
    let remote = Remote::new(session, given.is("insecure"));
    for name in names {
        let name = reference(name)?;
        let manifest = match store.get(&target, &name)? {
            Some(known) if known.is_whole() => known,
            _ => remote.image(&name).await?,
        };
        store.save(&target, &name, &manifest)?;
    }
    report::print(&format!("Created manifest list {target}\n"));
    Ok(0)
}

/// `manifest annotate [OPTIONS] MANIFEST_LIST MANIFEST`
pub(crate) fn annotate(session: &Session, given: &Given) -> Outcome {
    let (of, name) = (&given.args[0], &given.args[1]);
    let parse = |text: &str, what: &str| {
        let parsing = format!("annotate: error parsing name for {what} {text}");
        reference(text).map_err(|failure| within(&parsing, &failure))
    };
    let (list, image) = (parse(of, "manifest list")?, parse(name, "manifest")?);
    let store = Store::new(session);
    let mut manifest = store
        .get(&list, &image)?
        .ok_or_else(|| Failure::new(format!("manifest for image {name} does not exist in {of}")))?;
    let platform = manifest.descriptor.platform.get_or_insert_default();
    let set = |flag: &str, field: &mut String| {
        if let Some(value) = given.get(flag).filter(|value| !value.is_empty()) {
            value.clone_into(field);
        }
    };
    set("os", &mut platform.os);
    set("arch", &mut platform.architecture);
    set("variant", &mut platform.variant);
    set("os-version", &mut platform.os_version);
    for feature in given
        .list("os-features")
        .iter()
        .flat_map(|list| list.split(','))
    {
        if !platform.os_features.iter().any(|known| known == feature) {
            platform.os_features.push(feature.to_owned());
        }
    }
    let known = MACHINES.iter().any(|(os, architectures)| {
        *os == platform.os && architectures.contains(&platform.architecture.as_str())
    });
    if !known {
        return Err(Failure::new(format!(
            "manifest entry for image has unsupported os/arch combination: {}/{}",
            given.text("os"),
            given.text("arch")
        )));
    }
    store.save(&list, &image, &manifest)?;
    Ok(0)
}

/// `manifest push [OPTIONS] MANIFEST_LIST`
pub(crate) async fn push(session: &Session, given: &Given) -> Outcome {
    let target = reference(&given.args[0])?;
    let store = Store::new(session);
    let manifests = store.list(&target)?.ok_or_else(|| missing(&target))?;
    if manifests.is_empty() {
        return Err(Failure::new(format!("{target} not found")));
    }
    for manifest in &manifests {
        let platform = manifest.descriptor.platform.as_ref();
        if platform.is_none_or(|found| found.os.is_empty() || found.architecture.is_empty()) {
            return Err(Failure::new(format!(
                "manifest {} must have an OS and Architecture to be pushed to a registry",
                manifest.reference
            )));
        }
    }
    let (media_type, bytes) = list(&target, &manifests)?;
    let remote = Remote::new(session, given.is("insecure"));
    let mut strangers = Vec::new();
    for manifest in &manifests {
        let source = manifest.parsed_reference()?;
        if source.path != target.path {
            strangers.push((manifest, source));
        }
    }
    // The registry takes no manifest whose blobs it has not.
    for (manifest, source) in &strangers {
        mount(&remote, &target, manifest, source).await?;
    }
    for (manifest, _) in &strangers {
        let digest = &manifest.descriptor.digest;
        let place = Reference {
            tag: None,
            digest: Some(digest.parse().map_err(|error| {
                Failure::new(format!(
                    "digest parse of image {:?} failed: {error}",
                    manifest.reference
                ))
            })?),
            ..target.clone()
        };
        let kind = &manifest.descriptor.media_type;
        let digest = remote.put(&place, kind, manifest.payload()?).await?;
        report::print(&format!("Pushed ref {place} with digest: {digest}\n"));
    }
    let digest = remote.put(&target, media_type, bytes).await?;
    report::print(&format!("{digest}\n"));
    if given.is("purge") {
        store.remove(&target)?;
    }
    Ok(0)
}

/// Lets the target's repository have the blobs of a manifest of its neighbour.
async fn mount(
    remote: &Remote<'_>,
    target: &Reference,
    manifest: &ImageManifest,
    source: &Reference,
) -> Result<(), Failure> {
    let platform = manifest.descriptor.platform.as_ref();
    // Layers of Windows stand elsewhere, and registries have no need of them.
    let foreign = platform.is_some_and(|platform| platform.os == "windows");
    for digest in manifest.blobs()? {
        if !remote.mount(target, source, &digest).await? && !foreign {
            return Err(Failure::new(format!(
                "error mounting {}@{digest} to {target}",
                source.name()
            )));
        }
    }
    Ok(())
}

/// `manifest rm MANIFEST_LIST [MANIFEST_LIST...]`
pub(crate) fn remove(session: &Session, given: &Given) -> Outcome {
    let store = Store::new(session);
    let mut failures = Vec::new();
    for name in &given.args {
        let removed = reference(name).and_then(|name| match store.list(&name)? {
            Some(_) => store.remove(&name),
            None => Err(missing(&name)),
        });
        failures.extend(removed.err().map(|failure| failure.text));
    }
    if failures.is_empty() {
        return Ok(0);
    }
    Err(Failure::new(failures.join("\n")))
}

fn within(action: &str, failure: &Failure) -> Failure {
    Failure::new(format!("{action}: {}", failure.text))
}
