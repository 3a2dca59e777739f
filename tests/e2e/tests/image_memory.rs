//! What passes through the daemon does not stay in its memory: an image is imported, pushed, pulled, saved and loaded, whose
//! one file is far larger than all that the daemon may ever hold.
//!
//! A quarter of a gigabyte on every change, two gigabytes in `cargo xtask soak`.

use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use testkit::Context;
use testkit::registry::Real;

/// The promise of SPECIFICATION.md, in KiB.
const MOST: u64 = 100 * 1024;
/// What the file is made of.
const MIB: usize = 1 << 20;

/// The most that the daemon ever had in memory, in KiB.
fn highest(context: &Context) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", context.daemon_pid()));
    let status = status.expect("read the daemon's status");
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let word = line.and_then(|line| line.split_whitespace().nth(1));
    word.and_then(|word| word.parse().ok())
        .expect("a highest resident size")
}

/// Gzip's idea of some bytes.
fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut child = Command::new("gzip")
        .arg("--fast")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("start gzip");
    let mut input = child.stdin.take().expect("its input");
    input.write_all(bytes).expect("write to gzip");
    drop(input);
    child.wait_with_output().expect("its output").stdout
}

/// Writes an archive of one file, of so many times the same megabyte: each is a member of the stream, made once.
fn write_archive(path: &Path, mebibytes: usize) {
    let mut header = vec![0; 512];
    header[..5].copy_from_slice(b"large");
    header[100..107].copy_from_slice(b"0000644");
    let size = format!("{:011o}", mebibytes * MIB);
    header[124..135].copy_from_slice(size.as_bytes());
    header[148..156].copy_from_slice(b"        ");
    header[156] = b'0';
    let sum: u64 = header.iter().map(|byte| u64::from(*byte)).sum();
    header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    let piece: Vec<u8> = (0..MIB)
        .map(|at| u8::try_from(at / 7 % 251).expect("below 251"))
        .collect();
    let piece = gzip(&piece);
    let mut archive = BufWriter::new(File::create(path).expect("create the archive"));
    archive.write_all(&gzip(&header)).expect("write");
    for _ in 0..mebibytes {
        archive.write_all(&piece).expect("write");
    }
    archive.write_all(&gzip(&[0; 1024])).expect("write");
    archive.flush().expect("write");
}

#[test]
fn a_large_layer_passes_through_little_memory() {
    let soak = std::env::var_os("CORTEN_SOAK_SECONDS").is_some();
    let mebibytes = if soak { 2048 } else { 256 };
    let registry = Real::start();
    let context = Context::new();
    let archive = context.directory().join("archive");
    write_archive(&archive, mebibytes);
    let archive = archive.to_str().expect("its name is plain");
    let name = &format!("{}/large:latest", registry.host());
    let mut after = Vec::new();
    for arguments in [
        &["import", archive, name][..],
        &["push", "--quiet", name],
        &["rmi", "--force", name],
        &["pull", "--quiet", name],
        &["save", "--output", archive, name],
        &["rmi", "--force", name],
        &["load", "--quiet", "--input", archive],
    ] {
        context.corten(arguments).ok();
        after.push(format!("{} after {}", highest(&context), arguments[0]));
    }
    assert!(highest(&context) < MOST, "KiB: {}", after.join(", "));
}
