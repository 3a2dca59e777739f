//! Platforms, as far as the client judges them before it asks the daemon.

use serde_json::json;

/// `linux`, `arm64` or `linux/arm/v7` as the API takes it.
pub(crate) fn json(text: &str) -> Result<String, String> {
    let words: Vec<&str> = text.split('/').collect();
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
    if let Some(word) = words
        .iter()
        .find(|word| word.is_empty() || !word.bytes().all(legal))
    {
        return Err(format!(
            "{word:?} is an invalid component of {text:?}: platform specifier component must match \
             \"^[A-Za-z0-9_.-]+$\": invalid argument"
        ));
    }
    let words: Vec<String> = words.iter().map(|word| word.to_lowercase()).collect();
    let platform = match words.as_slice() {
        [os] if OS.contains(&os.as_str()) => json!({"os": os, "architecture": own()}),
        [architecture] => {
            let (architecture, variant) = architecture_of(architecture).ok_or_else(|| {
                format!("{text:?}: unknown operating system or architecture: invalid argument")
            })?;
            described("linux", architecture, variant)
        }
        [os, architecture] => {
            let known = architecture_of(architecture);
            let (architecture, variant) = known.unwrap_or((architecture, ""));
            described(os, architecture, variant)
        }
        [os, architecture, variant] => {
            let known = architecture_of(architecture);
            let (architecture, _) = known.unwrap_or((architecture, ""));
            described(os, architecture, variant)
        }
        _ => {
            return Err(format!(
                "{text:?}: cannot parse platform specifier: invalid argument"
            ));
        }
    };
    Ok(platform.to_string())
}

fn described(os: &str, architecture: &str, variant: &str) -> serde_json::Value {
    let mut platform = json!({"architecture": architecture, "os": os});
    if !variant.is_empty() {
        platform["variant"] = variant.into();
    }
    platform
}

const OS: [&str; 8] = [
    "linux", "windows", "darwin", "freebsd", "netbsd", "openbsd", "solaris", "aix",
];

/// A processor by one of its names, in Go's word, with the variant that the name implies.
fn architecture_of(word: &str) -> Option<(&str, &str)> {
    Some(match word {
        "x86_64" | "x86-64" => ("amd64", ""),
        "i386" => ("386", ""),
        "aarch64" => ("arm64", ""),
        "armhf" => ("arm", "v7"),
        "armel" => ("arm", "v6"),
        "386" | "amd64" | "arm" | "arm64" | "loong64" | "mips" | "mipsle" | "mips64"
        | "mips64le" | "ppc64" | "ppc64le" | "riscv64" | "s390x" | "wasm" => (word, ""),
        _ => return None,
    })
}

/// Go's name of this machine's processor.
fn own() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn platforms_are_sent_as_docker_sends_them() {
        let arm = r#"{"architecture":"arm","os":"linux","variant":"v7"}"#;
        for (text, expect) in [
            (
                "linux/arm64",
                r#"{"architecture":"arm64","os":"linux"}"#.to_owned(),
            ),
            ("linux/armhf", arm.to_owned()),
            ("Linux/arm/v7", arm.to_owned()),
            (
                "x86_64",
                r#"{"architecture":"amd64","os":"linux"}"#.to_owned(),
            ),
            (
                "linux",
                format!(r#"{{"architecture":"{}","os":"linux"}}"#, own()),
            ),
        ] {
            assert_eq!(json(text), Ok(expect), "{text}");
        }
        for (text, expect) in [
            (
                "nonsense",
                "\"nonsense\": unknown operating system or architecture: invalid argument",
            ),
            (
                "a/b/c/d",
                "\"a/b/c/d\": cannot parse platform specifier: invalid argument",
            ),
            (
                "linux/amd64,x",
                "\"amd64,x\" is an invalid component of \"linux/amd64,x\": platform specifier component must match \
                 \"^[A-Za-z0-9_.-]+$\": invalid argument",
            ),
        ] {
            assert_eq!(json(text), Err(expect.to_owned()), "{text}");
        }
    }
}
