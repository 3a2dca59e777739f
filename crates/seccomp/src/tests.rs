//! Verdicts compared with libseccomp's own programs, and with what the kernel would make of a call.

use crate::{Arch, Context, Filter, Profile, table};

const DEFAULT_CAPS: &[&str] = &[
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FSETID",
    "CAP_FOWNER",
    "CAP_MKNOD",
    "CAP_NET_RAW",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETFCAP",
    "CAP_SETPCAP",
    "CAP_NET_BIND_SERVICE",
    "CAP_SYS_CHROOT",
    "CAP_KILL",
    "CAP_AUDIT_WRITE",
];
const EPERM: u32 = 0x0005_0001;
const ENOSYS: u32 = 0x0005_0026;
const ALLOW: u32 = 0x7FFF_0000;
const AMD64: u32 = 0xC000_003E;
const I386: u32 = 0x4000_0003;
const X32: u32 = 0x4000_0000;

/// Runs a program over one call, as the kernel's interpreter does.
fn run(program: &[u8], nr: u32, arch: u32, args: [u64; 6]) -> u32 {
    let mut data = Vec::new();
    data.extend(nr.to_ne_bytes());
    data.extend(arch.to_ne_bytes());
    data.extend([0; 8]);
    for arg in args {
        data.extend(arg.to_ne_bytes());
    }
    let (mut at, mut accumulator) = (0usize, 0u32);
    loop {
        let bytes = &program[at * 8..at * 8 + 8];
        let code = u16::from_ne_bytes([bytes[0], bytes[1]]);
        let k = u32::from_ne_bytes(bytes[4..8].try_into().unwrap());
        let holds = match code {
            0x20 => {
                accumulator =
                    u32::from_ne_bytes(data[k as usize..k as usize + 4].try_into().unwrap());
                None
            }
            0x54 => {
                accumulator &= k;
                None
            }
            0x05 => {
                at += k as usize;
                None
            }
            0x06 => return k,
            0x15 => Some(accumulator == k),
            0x25 => Some(accumulator > k),
            0x35 => Some(accumulator >= k),
            0x45 => Some(accumulator & k != 0),
            _ => panic!("unknown instruction {code:#x}"),
        };
        at += 1 + match holds {
            Some(true) => bytes[2] as usize,
            Some(false) => bytes[3] as usize,
            None => 0,
        };
    }
}

fn docker(caps: &[&str], arch: Arch) -> Vec<u8> {
    Profile::docker_default()
        .compile(&Context {
            caps,
            arch,
            kernel: (6, 1),
        })
        .unwrap()
        .program
}

/// A small generator: the same calls at every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// Values near the ones that rules compare with.
    fn arg(&mut self) -> u64 {
        let near = [
            0,
            1,
            2,
            8,
            37,
            38,
            39,
            40,
            41,
            131_072,
            131_080,
            0xFFFF_FFFF,
            0x7E02_0000,
            0x0200_0000,
            0x11,
        ];
        let value = near[usize::try_from(self.next() % near.len() as u64).unwrap()];
        match self.next() % 4 {
            0 => self.next(),
            1 => value | (self.next() << 32),
            _ => value,
        }
    }
}

/// `arches`: audit number, first system call number, and the table that names its calls.
fn compare(ours: &[u8], oracle: &[u8], arches: &[(u32, u32, Arch)]) {
    let arches: Vec<_> = arches
        .iter()
        .map(|(audit, base, arch)| (*audit, *base, newest(*arch)))
        .collect();
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    for _ in 0..200_000 {
        let (arch, base, newest) =
            arches[usize::try_from(random.next() % arches.len() as u64).unwrap()];
        let nr = base + u32::try_from(random.next() % 480).unwrap();
        let args = [(); 6].map(|()| random.arg());
        let (mine, theirs) = (run(ours, nr, arch, args), run(oracle, nr, arch, args));
        let garbage = args.iter().any(|arg| *arg >> 32 != 0);
        let stricter = garbage && theirs == ALLOW && mine == EPERM;
        let unknown = nr > newest && mine == ENOSYS && theirs == EPERM;
        assert!(
            mine == theirs || stricter || unknown,
            "nr {nr} arch {arch:#x} {args:x?}: {mine:#x}, libseccomp {theirs:#x}"
        );
    }
}

/// The newest call the default profile names, per table.
fn newest(arch: Arch) -> u32 {
    let profile: serde_json::Value = serde_json::from_str(include_str!("default.json")).unwrap();
    let names = profile["syscalls"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|rule| rule["names"].as_array().unwrap());
    names
        .filter_map(|name| table::number(arch, name.as_str().unwrap()))
        .max()
        .unwrap()
}

#[test]
fn verdicts_equal_libseccomps_on_amd64_with_default_capabilities() {
    compare(
        &docker(DEFAULT_CAPS, Arch::X86_64),
        include_bytes!("../testdata/amd64-default.bpf"),
        &[
            (AMD64, 0, Arch::X86_64),
            (AMD64, X32, Arch::X32),
            (I386, 0, Arch::X86),
        ],
    );
}

#[test]
fn verdicts_equal_libseccomps_on_amd64_for_an_administrator() {
    let caps: Vec<&str> = DEFAULT_CAPS
        .iter()
        .copied()
        .chain(["CAP_SYS_ADMIN", "CAP_SYS_PTRACE", "CAP_BPF"])
        .collect();
    compare(
        &docker(&caps, Arch::X86_64),
        include_bytes!("../testdata/amd64-admin.bpf"),
        &[
            (AMD64, 0, Arch::X86_64),
            (AMD64, X32, Arch::X32),
            (I386, 0, Arch::X86),
        ],
    );
}

#[test]
fn verdicts_equal_libseccomps_on_arm64() {
    compare(
        &docker(DEFAULT_CAPS, Arch::Aarch64),
        include_bytes!("../testdata/arm64-default.bpf"),
        &[(0xC000_00B7, 0, Arch::Aarch64), (0x4000_0028, 0, Arch::Arm)],
    );
}

#[test]
fn garbage_in_the_upper_half_does_not_open_forbidden_socket_families() {
    let program = docker(DEFAULT_CAPS, Arch::X86_64);
    let oracle = include_bytes!("../testdata/amd64-default.bpf");
    let socket = table::number(Arch::X86_64, "socket").unwrap();
    for family in [38, 40] {
        for upper in [0, 1, 0x7FFF_FFFF, 0xFFFF_FFFF_u64] {
            let args = [upper << 32 | family, 0, 0, 0, 0, 0];
            assert_eq!(run(&program, socket, AMD64, args), EPERM);
            assert_eq!(run(&program, socket | X32, AMD64, args), EPERM);
        }
        // The hole this closes is there in the oracle.
        assert_eq!(
            run(oracle, socket, AMD64, [1 << 32 | family, 0, 0, 0, 0, 0]),
            ALLOW
        );
    }
    assert_eq!(
        run(
            &program,
            socket,
            AMD64,
            [0xDEAD_BEEF << 32 | 2, 0, 0, 0, 0, 0]
        ),
        ALLOW
    );
}

fn compiled(json: &str) -> Filter {
    let context = Context {
        caps: &[],
        arch: Arch::X86_64,
        kernel: (6, 1),
    };
    let profile = Profile::parse(json.as_bytes()).unwrap();
    profile.compile(&context).unwrap()
}

/// A program for one rule of `socket`, whatever else is allowed or denied.
fn of_socket(default: &str, action: &str, operator: &str, value: u64) -> Vec<u8> {
    let json = format!(
        r#"{{"defaultAction":"{default}","architectures":["SCMP_ARCH_X86_64"],"syscalls":[{{"names":["socket"],
        "action":"{action}","args":[{{"index":0,"value":{value},"valueTwo":40,"op":"{operator}"}}]}}]}}"#
    );
    compiled(&json).program
}

#[test]
fn garbage_in_the_upper_half_evades_no_rule_of_any_kind() {
    const VSOCK: u64 = 40;
    let socket = table::number(Arch::X86_64, "socket").unwrap();
    let (allow, deny) = ("SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO");
    // How profiles keep a container from AF_VSOCK, by allowing and by denying. Docker's was the first one for years.
    for (default, action, operator, value) in [
        (deny, allow, "SCMP_CMP_NE", 40),
        (deny, allow, "SCMP_CMP_LT", 40),
        (deny, allow, "SCMP_CMP_GT", 40),
        (deny, allow, "SCMP_CMP_EQ", 2),
        (allow, deny, "SCMP_CMP_EQ", 40),
        (allow, deny, "SCMP_CMP_NE", 2),
        (allow, deny, "SCMP_CMP_GE", 40),
        (allow, deny, "SCMP_CMP_LE", 40),
        (allow, deny, "SCMP_CMP_MASKED_EQ", u64::MAX),
    ] {
        let program = of_socket(default, action, operator, value);
        for upper in [0, 1, 0x7FFF_FFFF, 0xFFFF_FFFF_u64] {
            let verdict = run(
                &program,
                socket,
                AMD64,
                [upper << 32 | VSOCK, 0, 0, 0, 0, 0],
            );
            assert_eq!(verdict, EPERM, "{action} {operator} {value}, {upper:#x}");
        }
        let passes = if operator == "SCMP_CMP_GT" || operator == "SCMP_CMP_LE" {
            41
        } else {
            2
        };
        let verdict = run(&program, socket, AMD64, [passes, 0, 0, 0, 0, 0]);
        assert_eq!(verdict, ALLOW, "{action} {operator} {value}, {passes}");
    }
}

#[test]
fn clone3_answers_enosys_and_a_foreign_architecture_dies() {
    let program = docker(DEFAULT_CAPS, Arch::X86_64);
    assert_eq!(run(&program, 435, AMD64, [0; 6]), ENOSYS);
    assert_eq!(run(&program, 1, 0xC000_00B7, [0; 6]), 0x8000_0000);
    assert_eq!(run(&program, u32::MAX, AMD64, [0; 6]), EPERM);
}

#[test]
fn a_profile_with_unknown_words_is_refused() {
    let check = |json: &str, expected: &str| {
        let context = Context {
            caps: &[],
            arch: Arch::X86_64,
            kernel: (6, 1),
        };
        let error = Profile::parse(json.as_bytes())
            .and_then(|profile| profile.compile(&context))
            .unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    };
    check(
        r#"{"defaultAction":"SCMP_ACT_MAYBE"}"#,
        "unknown action \"SCMP_ACT_MAYBE\"",
    );
    check(
        r#"{"defaultAction":"SCMP_ACT_ALLOW","architectures":["x"]}"#,
        "unknown architecture",
    );
    check(r#"{"defaultAction":"SCMP_ACT_NOTIFY"}"#, "not supported");
    check("[]", "decode seccomp profile");
    check(
        r#"{"defaultAction":"SCMP_ACT_ALLOW","flags":["SECCOMP_FILTER_FLAG_X"]}"#,
        "unknown flag \"SECCOMP_FILTER_FLAG_X\"",
    );
}

#[test]
fn of_two_conditions_on_one_argument_either_suffices() {
    let program = compiled(
        r#"{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[{"names":["socket"],"action":"SCMP_ACT_ALLOW","args":[
        {"index":0,"value":1,"op":"SCMP_CMP_EQ"},{"index":0,"value":2,"op":"SCMP_CMP_EQ"}]},
        {"names":["kill"],"action":"SCMP_ACT_ALLOW","args":[
        {"index":0,"value":1,"op":"SCMP_CMP_EQ"},{"index":1,"value":9,"op":"SCMP_CMP_EQ"}]}]}"#,
    )
    .program;
    let verdict = |nr, first, second| run(&program, nr, AMD64, [first, second, 0, 0, 0, 0]);
    let [socket, kill] = ["socket", "kill"].map(|name| table::number(Arch::X86_64, name).unwrap());
    assert_eq!(
        [1, 2, 3].map(|family| verdict(socket, family, 0)),
        [ALLOW, ALLOW, EPERM]
    );
    assert_eq!(
        [(1, 9), (1, 8), (2, 9)].map(|(pid, signal)| verdict(kill, pid, signal)),
        [ALLOW, EPERM, EPERM]
    );
}

#[test]
fn flags_of_a_profile_are_the_kernels() {
    let flags = |named: &str| {
        compiled(&format!(
            r#"{{"defaultAction":"SCMP_ACT_ALLOW","flags":{named}}}"#
        ))
        .flags
    };
    assert_eq!(flags("null"), 0);
    assert_eq!(
        flags(r#"["SECCOMP_FILTER_FLAG_TSYNC","SECCOMP_FILTER_FLAG_LOG"]"#),
        2
    );
    assert_eq!(flags(r#"["SECCOMP_FILTER_FLAG_SPEC_ALLOW"]"#), 4);
}

#[test]
fn an_oci_profile_that_allows_by_default_denies_what_it_names() {
    let json = r#"{"defaultAction":"SCMP_ACT_ALLOW","architectures":["SCMP_ARCH_X86_64"],
        "syscalls":[{"names":["chmod","fchmodat"],"action":"SCMP_ACT_ERRNO","errnoRet":13},
                    {"names":["kill"],"action":"SCMP_ACT_KILL_PROCESS","args":[{"index":1,"value":9,"op":"SCMP_CMP_EQ"}]}]}"#;
    let program = compiled(json).program;
    assert_eq!(run(&program, 90, AMD64, [0; 6]), 0x0005_000D);
    assert_eq!(run(&program, 62, AMD64, [1, 9, 0, 0, 0, 0]), 0x8000_0000);
    assert_eq!(run(&program, 62, AMD64, [1, 15, 0, 0, 0, 0]), ALLOW);
    assert_eq!(run(&program, 470, AMD64, [0; 6]), ALLOW);
    assert_eq!(run(&program, X32 | 1, AMD64, [0; 6]), 0x8000_0000);
}
