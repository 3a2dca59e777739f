//! The profile as written, and what of it applies to one container.

use serde::{Deserialize, Serialize};

/// Docker's default profile (moby/profiles, Apache-2.0).
const DEFAULT: &str = include_str!("default.json");

/// Why a profile cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not JSON, or not this JSON.
    #[error("decode seccomp profile: {0}")]
    Json(#[from] serde_json::Error),
    /// A word the format does not have.
    #[error("seccomp profile: unknown {what} {word:?}")]
    Unknown {
        /// What kind of word.
        what: &'static str,
        /// The word.
        word: String,
    },
    /// Valid, but needs something that is not built.
    #[error("seccomp profile: {0} is not supported")]
    Unsupported(&'static str),
    /// Longer than the kernel takes (BPF_MAXINSNS, 4096 instructions).
    #[error("seccomp profile: the program has {0} instructions, the kernel takes 4096")]
    TooLong(usize),
}

/// A seccomp profile: Docker's format, or `linux.seccomp` of an OCI runtime specification.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Profile {
    default_action: String,
    default_errno_ret: Option<u32>,
    #[serde(default)]
    arch_map: Option<Vec<ArchMap>>,
    #[serde(default)]
    architectures: Option<Vec<String>>,
    #[serde(default)]
    flags: Option<Vec<String>>,
    #[serde(default)]
    listener_path: Option<String>,
    #[serde(default)]
    syscalls: Option<Vec<SyscallRule>>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ArchMap {
    architecture: String,
    sub_architectures: Option<Vec<String>>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct SyscallRule {
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    names: Vec<String>,
    action: String,
    errno_ret: Option<u32>,
    #[serde(default)]
    args: Option<Vec<ArgRule>>,
    #[serde(default)]
    includes: Option<Condition>,
    #[serde(default)]
    excludes: Option<Condition>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ArgRule {
    index: u32,
    value: u64,
    #[serde(default)]
    value_two: u64,
    op: String,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Condition {
    caps: Option<Vec<String>>,
    arches: Option<Vec<String>>,
    min_kernel: Option<String>,
}

/// What a profile's conditions are asked about.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The container's bounding capabilities, as `CAP_NAME`.
    pub caps: &'a [&'a str],
    /// The architecture of the kernel.
    pub arch: Arch,
    /// Major and minor version of the kernel.
    pub kernel: (u32, u32),
}

/// Architectures that a filter can cover; the discriminants index the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arch {
    /// 64-bit x86.
    X86_64,
    /// 32-bit x86.
    X86,
    /// 64-bit x86 with 32-bit pointers; shares the audit number of `X86_64`.
    X32,
    /// 64-bit Arm.
    Aarch64,
    /// 32-bit Arm.
    Arm,
}

/// A profile made ready for the kernel.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filter {
    /// An array of `struct sock_filter` as bytes in native order; empty: nothing is filtered.
    pub program: Vec<u8>,
    /// `SECCOMP_FILTER_FLAG_*` of seccomp(2).
    pub flags: u64,
}

/// A verdict, as the kernel's `SECCOMP_RET_*` value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Action(pub u32);

/// One rule that applies.
#[derive(Clone, Debug)]
pub struct Rule {
    /// The system calls it is about.
    pub names: Vec<String>,
    /// The verdict.
    pub action: Action,
    /// Conditions, all of which must hold.
    pub args: Vec<Arg>,
}

/// A condition on an argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arg {
    /// 0 to 5.
    pub index: u32,
    /// How to compare.
    pub operator: Operator,
    /// The mask for [`Operator::MaskedEqual`], else what to compare with.
    pub value: u64,
    /// What to compare with under a mask.
    pub value_two: u64,
}

/// `SCMP_CMP_*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Operator {
    NotEqual,
    Less,
    LessOrEqual,
    Equal,
    GreaterOrEqual,
    Greater,
    MaskedEqual,
}

impl Arch {
    pub(crate) const ALL: [Self; 5] =
        [Self::X86_64, Self::X86, Self::X32, Self::Aarch64, Self::Arm];

    /// The architecture this program was compiled for.
    pub const NATIVE: Self = if cfg!(target_arch = "aarch64") {
        Self::Aarch64
    } else {
        Self::X86_64
    };

    pub(crate) fn column(self) -> &'static str {
        ["x86_64", "x86", "x32", "aarch64", "arm"][self as usize]
    }

    /// `AUDIT_ARCH_*` (linux/audit.h).
    pub(crate) fn audit(self) -> u32 {
        [
            0xC000_003E,
            0x4000_0003,
            0xC000_003E,
            0xC000_00B7,
            0x4000_0028,
        ][self as usize]
    }

    /// Whether registers hold 64 bits.
    pub(crate) fn is_wide(self) -> bool {
        !matches!(self, Self::X86 | Self::Arm)
    }

    /// The word in the conditions of Docker's profile (Go's GOARCH).
    fn docker_word(self) -> &'static str {
        ["amd64", "x86", "x32", "arm64", "arm"][self as usize]
    }

    fn parse(word: &str) -> Option<Self> {
        const WORDS: [&str; 5] = [
            "SCMP_ARCH_X86_64",
            "SCMP_ARCH_X86",
            "SCMP_ARCH_X32",
            "SCMP_ARCH_AARCH64",
            "SCMP_ARCH_ARM",
        ];
        WORDS
            .iter()
            .position(|known| *known == word)
            .map(|index| Self::ALL[index])
    }
}

impl Action {
    /// `SECCOMP_RET_ALLOW`.
    pub const ALLOW: Self = Self(0x7FFF_0000);
    /// `SECCOMP_RET_LOG`.
    pub const LOG: Self = Self(0x7FFC_0000);
    /// `SECCOMP_RET_KILL_PROCESS`.
    pub const KILL_PROCESS: Self = Self(0x8000_0000);

    /// `SECCOMP_RET_ERRNO` with that errno.
    pub const fn errno(errno: u32) -> Self {
        Self(0x0005_0000 | (errno & 0xFFFF))
    }

    /// The kernel carries out the call, and asks nobody.
    pub(crate) fn lets_pass(self) -> bool {
        [Self::ALLOW, Self::LOG].contains(&self)
    }

    fn parse(word: &str, errno: Option<u32>) -> Result<Self, Error> {
        const EPERM: u32 = 1;
        Ok(match word {
            "SCMP_ACT_ALLOW" => Self::ALLOW,
            "SCMP_ACT_ERRNO" => Self::errno(errno.unwrap_or(EPERM)),
            "SCMP_ACT_KILL" | "SCMP_ACT_KILL_THREAD" => Self(0),
            "SCMP_ACT_KILL_PROCESS" => Self::KILL_PROCESS,
            "SCMP_ACT_TRAP" => Self(0x0003_0000),
            "SCMP_ACT_TRACE" => Self(0x7FF0_0000 | (errno.unwrap_or(EPERM) & 0xFFFF)),
            "SCMP_ACT_LOG" => Self::LOG,
            "SCMP_ACT_NOTIFY" => return Err(Error::Unsupported("SCMP_ACT_NOTIFY")),
            _ => {
                return Err(Error::Unknown {
                    what: "action",
                    word: word.to_owned(),
                });
            }
        })
    }
}

impl Profile {
    /// Docker's default profile.
    pub fn docker_default() -> Self {
        Self::parse(DEFAULT.as_bytes()).expect("the profile in the tree is valid, a test says so")
    }

    /// Reads a profile in Docker's format or the OCI's.
    pub fn parse(json: &[u8]) -> Result<Self, Error> {
        Ok(serde_json::from_slice(json)?)
    }

    /// Compiles what applies in `context`.
    pub fn compile(&self, context: &Context<'_>) -> Result<Filter, Error> {
        if self
            .listener_path
            .as_ref()
            .is_some_and(|path| !path.is_empty())
        {
            return Err(Error::Unsupported("listenerPath"));
        }
        let default = Action::parse(&self.default_action, self.default_errno_ret)?;
        let (arches, rules) = (self.arches(context)?, self.rules(context)?);
        Ok(Filter {
            program: crate::compile::compile(default, &arches, &rules)?,
            flags: self.flags()?,
        })
    }

    /// The kernel's bits (linux/seccomp.h) of the flags that are named.
    fn flags(&self) -> Result<u64, Error> {
        let mut bits = 0;
        for word in self.flags.iter().flatten() {
            bits |= match word.as_str() {
                // A process has one thread when it takes its filter.
                "SECCOMP_FILTER_FLAG_TSYNC" => 0,
                "SECCOMP_FILTER_FLAG_LOG" => 1 << 1,
                "SECCOMP_FILTER_FLAG_SPEC_ALLOW" => 1 << 2,
                "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV" => {
                    return Err(Error::Unsupported("SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"));
                }
                _ => {
                    return Err(Error::Unknown {
                        what: "flag",
                        word: word.clone(),
                    });
                }
            };
        }
        Ok(bits)
    }

    /// The architectures a filter has to know, the native one first.
    fn arches(&self, context: &Context<'_>) -> Result<Vec<Arch>, Error> {
        let mut arches = vec![context.arch];
        let mapped = self
            .arch_map
            .iter()
            .flatten()
            .filter(|map| Arch::parse(&map.architecture) == Some(context.arch));
        for word in mapped.flat_map(|map| map.sub_architectures.iter().flatten()) {
            arches.extend(Arch::parse(word));
        }
        for word in self.architectures.iter().flatten() {
            if !word.starts_with("SCMP_ARCH_") {
                return Err(Error::Unknown {
                    what: "architecture",
                    word: word.clone(),
                });
            }
            arches.extend(Arch::parse(word));
        }
        let family = |arch: &Arch| matches!(arch, Arch::Aarch64 | Arch::Arm);
        arches.retain(|arch| family(arch) == family(&context.arch));
        let mut seen = Vec::new();
        arches.retain(|arch| {
            !seen.contains(arch) && {
                seen.push(*arch);
                true
            }
        });
        Ok(arches)
    }

    /// The rules whose conditions hold.
    fn rules(&self, context: &Context<'_>) -> Result<Vec<Rule>, Error> {
        let mut rules = Vec::new();
        for rule in self.syscalls.iter().flatten() {
            let included = rule
                .includes
                .as_ref()
                .is_none_or(|condition| condition.includes(context));
            let excluded = rule
                .excludes
                .as_ref()
                .is_some_and(|condition| condition.excludes(context));
            if included && !excluded {
                rules.extend(rule.parse()?);
            }
        }
        Ok(rules)
    }
}

impl SyscallRule {
    /// One rule, whose conditions must all hold; but where two are about the same argument, a rule for each condition, any
    /// of which suffices. So does runc, for the profiles of before conditions could be combined.
    fn parse(&self) -> Result<Vec<Rule>, Error> {
        let args = self.args.iter().flatten().map(Arg::parse);
        let args: Vec<Arg> = args.collect::<Result<_, _>>()?;
        let rule = Rule {
            names: self.names.iter().chain(&self.name).cloned().collect(),
            action: Action::parse(&self.action, self.errno_ret)?,
            args: Vec::new(),
        };
        let mut indexes: Vec<u32> = args.iter().map(|arg| arg.index).collect();
        indexes.sort_unstable();
        indexes.dedup();
        let alternatives = if indexes.len() == args.len() {
            vec![args]
        } else {
            args.into_iter().map(|arg| vec![arg]).collect()
        };
        let with = |args| Rule {
            args,
            ..rule.clone()
        };
        Ok(alternatives.into_iter().map(with).collect())
    }
}

impl Condition {
    /// All that is named must hold.
    fn includes(&self, context: &Context<'_>) -> bool {
        self.caps
            .iter()
            .flatten()
            .all(|cap| context.caps.contains(&cap.as_str()))
            && self.arches.as_ref().is_none_or(|arches| {
                arches.is_empty() || arches.iter().any(|word| word == context.arch.docker_word())
            })
            && self
                .min_kernel
                .as_deref()
                .and_then(parse_kernel)
                .is_none_or(|min| context.kernel >= min)
    }

    /// Any that is named suffices.
    fn excludes(&self, context: &Context<'_>) -> bool {
        self.caps
            .iter()
            .flatten()
            .any(|cap| context.caps.contains(&cap.as_str()))
            || self
                .arches
                .iter()
                .flatten()
                .any(|word| word == context.arch.docker_word())
            || self
                .min_kernel
                .as_deref()
                .and_then(parse_kernel)
                .is_some_and(|min| context.kernel >= min)
    }
}

fn parse_kernel(text: &str) -> Option<(u32, u32)> {
    let (major, minor) = text.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

impl Arg {
    fn parse(rule: &ArgRule) -> Result<Self, Error> {
        let operator = match rule.op.as_str() {
            "SCMP_CMP_NE" => Operator::NotEqual,
            "SCMP_CMP_LT" => Operator::Less,
            "SCMP_CMP_LE" => Operator::LessOrEqual,
            "SCMP_CMP_EQ" => Operator::Equal,
            "SCMP_CMP_GE" => Operator::GreaterOrEqual,
            "SCMP_CMP_GT" => Operator::Greater,
            "SCMP_CMP_MASKED_EQ" => Operator::MaskedEqual,
            _ => {
                return Err(Error::Unknown {
                    what: "operator",
                    word: rule.op.clone(),
                });
            }
        };
        if rule.index > 5 {
            return Err(Error::Unknown {
                what: "argument index",
                word: rule.index.to_string(),
            });
        }
        Ok(Self {
            index: rule.index,
            operator,
            value: rule.value,
            value_two: rule.value_two,
        })
    }
}
