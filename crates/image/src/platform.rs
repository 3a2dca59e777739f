//! Machines: how they are written, which entry of an index is for which, and whether an image is for one.

use oci::ImageConfig;
use oci::image::{Descriptor, Platform};

use crate::load::architecture;
use crate::{Error, Image};

/// This machine.
pub(crate) fn own() -> Platform {
    Platform {
        os: "linux".to_owned(),
        architecture: architecture().to_owned(),
        variant: String::new(),
    }
}

/// `linux`, `amd64`, `linux/arm/v7`.
pub fn parse(text: &str) -> Result<Platform, Error> {
    let wrong = || Error::Platform(text.to_owned());
    let words: Vec<&str> = text.split('/').collect();
    let legal = |word: &&str| {
        !word.is_empty()
            && word
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'))
    };
    if words.len() > 3 || !words.iter().all(legal) {
        return Err(wrong());
    }
    let lower: Vec<String> = words.iter().map(|word| word.to_lowercase()).collect();
    let mut platform = own();
    match lower.as_slice() {
        [os] if is_os(os) => platform.os.clone_from(os),
        [architecture] => {
            (platform.architecture, platform.variant) = normal(architecture, "");
            if !is_architecture(&platform.architecture) {
                return Err(wrong());
            }
        }
        [os, architecture, rest @ ..] => {
            platform.os.clone_from(os);
            let variant = rest.first().map_or("", String::as_str);
            (platform.architecture, platform.variant) = normal(architecture, variant);
        }
        [] => return Err(wrong()),
    }
    Ok(platform)
}

/// As Docker writes it.
pub fn format(platform: &Platform) -> String {
    let mut text = format!("{}/{}", platform.os, platform.architecture);
    if !platform.variant.is_empty() {
        text = format!("{text}/{}", platform.variant);
    }
    text
}

/// What an entry leaves out is as on this machine.
fn or_own(mut platform: Platform) -> Platform {
    let own = own();
    if platform.os.is_empty() {
        platform.os = own.os;
    }
    if platform.architecture.is_empty() {
        (platform.architecture, platform.variant) = (own.architecture, own.variant);
    }
    platform
}

/// The entry that fits best.
pub(crate) fn choose<'a>(
    entries: impl Iterator<Item = &'a Descriptor>,
    wanted: &Platform,
) -> Option<&'a Descriptor> {
    entries
        .filter_map(|entry| {
            let platform = or_own(entry.platform.clone().unwrap_or_default());
            let os = platform.os.to_lowercase();
            let (architecture, variant) = normal(&platform.architecture, &platform.variant);
            if os != wanted.os || architecture != wanted.architecture {
                return None;
            }
            Some((distance(&architecture, &variant, &wanted.variant)?, entry))
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, entry)| entry)
}

/// Whether an image of this configuration is for a machine.
pub(crate) fn fits(config: &ImageConfig, wanted: &Platform) -> bool {
    let (architecture, variant) = normal(&config.architecture, &config.variant);
    let (asked, asked_variant) = normal(&wanted.architecture, &wanted.variant);
    let os = if config.os.is_empty() {
        "linux"
    } else {
        &config.os
    };
    os == wanted.os
        && architecture == asked
        && distance(&architecture, &variant, &asked_variant).is_some()
}

/// Refuses an image that is for another machine than one of these; `name` is how it was asked for.
pub fn check(image: &Image, name: &str, wanted: &[Platform]) -> Result<(), Error> {
    match wanted.iter().find(|wanted| !fits(&image.config, wanted)) {
        None => Ok(()),
        Some(wanted) => Err(Error::NoPlatform {
            image: name.to_owned(),
            found: format(&Platform {
                os: image.config.os.clone(),
                architecture: image.config.architecture.clone(),
                variant: image.config.variant.clone(),
            }),
            wanted: format(wanted),
        }),
    }
}

/// How far a variant is from the one that is wanted; older ones of 32-bit ARM run on newer machines.
fn distance(architecture: &str, found: &str, wanted: &str) -> Option<u8> {
    let number = |variant: &str| {
        variant
            .strip_prefix('v')
            .and_then(|digits| digits.parse::<u8>().ok())
    };
    match (architecture, wanted) {
        _ if found == wanted => Some(0),
        ("arm", "") => number(found).map(|found| 7_u8.abs_diff(found) + 1),
        ("arm", wanted) => number(wanted)?.checked_sub(number(found)?),
        // What asks for no variant takes any, the plain one before others.
        (_, "") => Some(1),
        ("amd64", wanted) if number(found).is_none() => number(wanted),
        ("amd64", wanted) => number(wanted)?.checked_sub(number(found)?),
        _ => None,
    }
}

fn is_os(word: &str) -> bool {
    matches!(
        word,
        "linux" | "windows" | "darwin" | "freebsd" | "netbsd" | "openbsd" | "solaris" | "aix"
    )
}

fn is_architecture(word: &str) -> bool {
    matches!(
        word,
        "386"
            | "amd64"
            | "arm"
            | "arm64"
            | "loong64"
            | "mips"
            | "mipsle"
            | "mips64"
            | "mips64le"
            | "ppc64"
            | "ppc64le"
            | "riscv64"
            | "s390x"
            | "wasm"
    )
}

/// One name for each processor.
fn normal(architecture: &str, variant: &str) -> (String, String) {
    let (architecture, variant) = match (architecture, variant) {
        ("x86_64" | "x86-64" | "amd64", "v1" | "") => ("amd64", ""),
        ("x86_64" | "x86-64", variant) => ("amd64", variant),
        ("i386" | "386", _) => ("386", ""),
        ("aarch64" | "arm64", "8" | "v8" | "") => ("arm64", ""),
        ("aarch64", variant) => ("arm64", variant),
        ("armhf", _) | ("arm", "7") => ("arm", "v7"),
        ("armel", _) | ("arm", "6") => ("arm", "v6"),
        ("arm", "5") => ("arm", "v5"),
        other => other,
    };
    (architecture.to_owned(), variant.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(os: &str, architecture: &str, variant: &str) -> Descriptor {
        let mut entry = crate::load::descriptor("", content::digest_of(b""), 0);
        entry.platform = Some(Platform {
            os: os.to_owned(),
            architecture: architecture.to_owned(),
            variant: variant.to_owned(),
        });
        entry
    }

    #[test]
    fn the_best_entry_is_chosen() {
        let entries = [
            entry("windows", "amd64", ""),
            entry("linux", "amd64", "v3"),
            entry("linux", "amd64", ""),
            entry("linux", "arm", "v5"),
            entry("linux", "arm", "v7"),
            entry("linux", "arm64", "v8"),
            entry("unknown", "unknown", ""),
        ];
        let chosen = |text: &str| {
            let wanted = parse(text).unwrap();
            let found = choose(entries.iter(), &wanted)?;
            entries.iter().position(|entry| entry == found)
        };
        assert_eq!(chosen("linux/amd64"), Some(2));
        assert_eq!(chosen("linux/x86_64/v4"), Some(1));
        assert_eq!(chosen("linux/arm64"), Some(5));
        assert_eq!(chosen("linux/arm64/v8"), Some(5));
        assert_eq!(chosen("linux/arm/v6"), Some(3));
        assert_eq!(chosen("linux/arm/v7"), Some(4));
        assert_eq!(chosen("linux/arm"), Some(4));
        assert_eq!(chosen("linux/s390x"), None);
        assert_eq!(chosen("windows/amd64"), Some(0));
    }

    #[test]
    fn an_image_is_for_its_machine_and_for_those_that_run_it() {
        let config = |architecture: &str, variant: &str| ImageConfig {
            architecture: architecture.to_owned(),
            variant: variant.to_owned(),
            os: "linux".to_owned(),
            ..ImageConfig::default()
        };
        for (architecture, variant, wanted, expect) in [
            ("amd64", "", "linux/amd64", true),
            ("amd64", "", "linux/amd64/v3", true),
            ("amd64", "", "linux/arm64", false),
            ("amd64", "", "windows/amd64", false),
            ("arm64", "v8", "linux/arm64", true),
            ("arm64", "", "linux/arm64/v8", true),
            ("arm", "v6", "linux/arm/v7", true),
            ("arm", "v7", "linux/arm/v6", false),
        ] {
            let found = fits(&config(architecture, variant), &parse(wanted).unwrap());
            assert_eq!(found, expect, "{architecture} {variant} {wanted}");
        }
    }

    #[test]
    fn platforms_are_read_as_docker_reads_them() {
        let read = |text: &str| parse(text).map(|platform| format(&platform));
        assert_eq!(read("linux/arm64/v8").unwrap(), "linux/arm64");
        assert_eq!(read("linux/armhf").unwrap(), "linux/arm/v7");
        assert_eq!(read("arm64").unwrap(), "linux/arm64");
        assert_eq!(read("linux").unwrap(), format!("linux/{}", architecture()));
        for wrong in ["", "linux/", "a/b/c/d", "nonsense", "linux/a b"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
