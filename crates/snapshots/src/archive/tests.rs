//! Archives as builders write them, and as attackers do.

use std::io::Read as _;
use std::path::Path;

use tar::{Builder, EntryType, Header};

use super::*;

fn header(kind: EntryType, path: &[u8], size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.as_old_mut().name[..path.len()].copy_from_slice(path);
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_mode(0o644);
    header.set_uid(1);
    header.set_gid(2);
    header.set_mtime(3);
    header.set_cksum();
    header
}

fn raw(entries: &[(Header, &[u8])]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (header, content) in entries {
        bytes.extend_from_slice(header.as_bytes());
        bytes.extend_from_slice(content);
        bytes.resize(bytes.len().next_multiple_of(512), 0);
    }
    bytes.extend_from_slice(&[0; 1024]);
    bytes
}

fn pax(records: &[(&str, &[u8])]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (key, value) in records {
        let rest = key.len() + value.len() + 3;
        let mut length = rest;
        while length != rest + length.to_string().len() {
            length = rest + length.to_string().len();
        }
        bytes.extend_from_slice(format!("{length} {key}=").as_bytes());
        bytes.extend_from_slice(value);
        bytes.push(b'\n');
    }
    bytes
}

fn all(bytes: &[u8]) -> io::Result<Vec<(Entry, Vec<u8>)>> {
    let mut reader = Reader::new(bytes);
    let mut entries = Vec::new();
    while let Some(entry) = reader.next_entry()? {
        let mut content = Vec::new();
        reader.read_to_end(&mut content)?;
        entries.push((entry, content));
    }
    Ok(entries)
}

#[test]
fn long_names_of_gnu_are_read() {
    let name = format!("{}/file", "d".repeat(180));
    let mut builder = Builder::new(Vec::new());
    let mut first = Header::new_gnu();
    first.set_size(2);
    builder.append_data(&mut first, &name, &b"hi"[..]).unwrap();
    let mut second = Header::new_gnu();
    second.set_entry_type(EntryType::Symlink);
    second.set_size(0);
    builder
        .append_link(&mut second, "link", format!("/{name}"))
        .unwrap();
    let entries = all(&builder.into_inner().unwrap()).unwrap();
    assert_eq!(entries[0].0.path, Path::new(&name));
    assert_eq!(entries[0].1, b"hi");
    assert_eq!(entries[1].0.kind, Kind::Symlink(format!("/{name}").into()));
}

#[test]
fn pax_records_override_the_header() {
    let records = pax(&[
        ("path", b"other/name"),
        ("size", b"3"),
        ("uid", b"3000000"),
        ("mtime", b"-1.25"),
        ("SCHILY.xattr.user.x", b"a\nb\0=c"),
        ("comment", b"x"),
    ]);
    let bytes = raw(&[
        (
            header(EntryType::XHeader, b"pax", records.len() as u64),
            &records,
        ),
        (header(EntryType::Regular, b"name", 600), b"abc"),
        (header(EntryType::Directory, b"next", 0), b""),
    ]);
    let entries = all(&bytes).unwrap();
    let (entry, content) = &entries[0];
    assert_eq!(
        (entry.path.as_path(), entry.size, content.as_slice()),
        (Path::new("other/name"), 3, &b"abc"[..])
    );
    assert_eq!((entry.uid, entry.gid, entry.mode), (3_000_000, 2, 0o644));
    assert_eq!(
        entry.modified,
        Timestamp {
            seconds: -2,
            nanoseconds: 750_000_000
        }
    );
    assert_eq!(entry.xattrs, [("user.x".into(), b"a\nb\0=c".to_vec())]);
    assert_eq!(entries[1].0.path, Path::new("next"));
    assert_eq!(entries[1].0.xattrs, []);
}

#[test]
fn the_size_of_an_entry_without_content_smuggles_nothing() {
    let hidden = raw(&[(header(EntryType::Regular, b"hidden", 0), b"")]);
    let bytes = raw(&[
        (header(EntryType::Directory, b"dir", 512), b""),
        (header(EntryType::Regular, b"file", 0), b""),
    ]);
    let names: Vec<_> = all(&bytes)
        .unwrap()
        .into_iter()
        .map(|(entry, _)| entry.path)
        .collect();
    assert_eq!(names, [Path::new("dir"), Path::new("file")]);
    let bytes = raw(&[(
        header(EntryType::Regular, b"outer", hidden.len() as u64),
        &hidden,
    )]);
    assert_eq!(all(&bytes).unwrap().len(), 1);
}

#[test]
fn damaged_and_hostile_archives_are_refused() {
    let bad_pax = |records: &[u8]| {
        raw(&[
            (
                header(EntryType::XHeader, b"p", records.len() as u64),
                records,
            ),
            (header(EntryType::Regular, b"x", 0), b""),
        ])
    };
    let mut wrong_sum = raw(&[(header(EntryType::Regular, b"x", 0), b"")]);
    wrong_sum[0] ^= 1;
    let huge = {
        let mut header = header(EntryType::Regular, b"x", 0);
        header.as_old_mut().size = [
            0x80, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        ];
        header.set_cksum();
        header
    };
    let cases = [
        ("no archive", vec![b'x'; 2048]),
        ("wrong checksum", wrong_sum),
        ("impossible size", raw(&[(huge, b"")])),
        (
            "long name of a gigabyte",
            raw(&[(header(EntryType::GNULongName, b"l", 1 << 30), b"")]),
        ),
        (
            "PAX of a gigabyte",
            raw(&[(header(EntryType::XHeader, b"p", 1 << 30), b"")]),
        ),
        ("name with NUL", bad_pax(&pax(&[("path", b"a\0b")]))),
        ("negative size", bad_pax(&pax(&[("size", b"-1")]))),
        ("wrong length", bad_pax(b"99 path=x\n")),
        ("zero length", bad_pax(b"0 path=x\n")),
        ("sparse", bad_pax(&pax(&[("GNU.sparse.major", b"1")]))),
        (
            "old sparse",
            raw(&[(header(EntryType::GNUSparse, b"s", 0), b"")]),
        ),
        (
            "unknown type",
            raw(&[(header(EntryType::new(b'Z'), b"z", 0), b"")]),
        ),
        (
            "extension at the end",
            raw(&[(header(EntryType::XHeader, b"p", 0), b"")]),
        ),
    ];
    for (what, bytes) in cases {
        assert!(all(&bytes).is_err(), "{what}");
    }
}

#[test]
fn truncation_is_seen_everywhere_but_between_entries() {
    let bytes = raw(&[
        (header(EntryType::Regular, b"a", 1000), &[1; 1000]),
        (header(EntryType::Regular, b"b", 5), b"abcde"),
    ]);
    for length in 0..bytes.len() {
        let whole = matches!(length, 0 | 1536 | 2560 | 3072);
        assert_eq!(all(&bytes[..length]).is_ok(), whole, "{length}");
    }
}
