#!/usr/bin/env python3
"""Makes the oracle programs beside this file: Docker's default profile compiled by libseccomp (2.6.1).

Usage: oracle.py path/to/libseccomp.so.2 path/to/default.json
Like runc: names that libseccomp does not know are skipped, rules equal to the default action too.
"""
import ctypes, json, os, sys

lib = ctypes.CDLL(sys.argv[1])
profile = json.load(open(sys.argv[2]))
ALLOW, ERRNO = 0x7FFF0000, 0x00050000
ARCH = {"amd64": 0xC000003E, "x86": 0x40000003, "x32": 0x4000003E, "arm64": 0xC00000B7, "arm": 0x40000028}
OPS = {"NE": 1, "LT": 2, "LE": 3, "EQ": 4, "GE": 5, "GT": 6, "MASKED_EQ": 7}


class Arg(ctypes.Structure):
    _fields_ = [("arg", ctypes.c_uint), ("op", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64)]


lib.seccomp_init.restype = ctypes.c_void_p
lib.seccomp_init.argtypes = [ctypes.c_uint32]
lib.seccomp_arch_add.argtypes = lib.seccomp_arch_remove.argtypes = [ctypes.c_void_p, ctypes.c_uint32]
lib.seccomp_rule_add_array.argtypes = [ctypes.c_void_p, ctypes.c_uint32, ctypes.c_int, ctypes.c_uint, ctypes.c_void_p]
lib.seccomp_export_bpf.argtypes = [ctypes.c_void_p, ctypes.c_int]
lib.seccomp_syscall_resolve_name.argtypes = [ctypes.c_char_p]

DEFAULT = "CHOWN DAC_OVERRIDE FSETID FOWNER MKNOD NET_RAW SETGID SETUID SETFCAP SETPCAP NET_BIND_SERVICE SYS_CHROOT KILL AUDIT_WRITE"
DEFAULT = {"CAP_" + c for c in DEFAULT.split()}


def action(rule):
    return ALLOW if rule["action"] == "SCMP_ACT_ALLOW" else ERRNO | rule.get("errnoRet", 1)


def wanted(rule, caps, arch):
    inc, exc = rule.get("includes", {}), rule.get("excludes", {})
    if inc.get("caps") and not set(inc["caps"]) <= caps:
        return False
    if inc.get("arches") and arch not in inc["arches"]:
        return False
    if set(exc.get("caps", [])) & caps or arch in exc.get("arches", []):
        return False
    return True


def make(path, arch, subs, caps):
    ctx = lib.seccomp_init(ERRNO | 1)
    native = {"amd64": ARCH["amd64"]}["amd64"]
    for a in [arch] + subs:
        lib.seccomp_arch_add(ctx, ARCH[a])
    if arch != "amd64":
        lib.seccomp_arch_remove(ctx, native)
    for rule in profile["syscalls"]:
        if not wanted(rule, caps, arch) or action(rule) == ERRNO | 1:
            continue
        for name in rule["names"]:
            nr = lib.seccomp_syscall_resolve_name(name.encode())
            if nr == -1:
                continue
            args = [Arg(a["index"], OPS[a["op"][9:]], a["value"], a.get("valueTwo", 0)) for a in rule.get("args") or []]
            array = (Arg * max(1, len(args)))(*args)
            r = lib.seccomp_rule_add_array(ctx, action(rule), nr, len(args), ctypes.byref(array))
            assert r == 0, (name, r)
    fd = os.open(path, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o644)
    assert lib.seccomp_export_bpf(ctx, fd) == 0
    os.close(fd)


here = os.path.dirname(os.path.abspath(__file__))
make(here + "/amd64-default.bpf", "amd64", ["x86", "x32"], DEFAULT)
make(here + "/amd64-admin.bpf", "amd64", ["x86", "x32"], DEFAULT | {"CAP_SYS_ADMIN", "CAP_SYS_PTRACE", "CAP_BPF"})
make(here + "/arm64-default.bpf", "arm64", ["arm"], DEFAULT)
