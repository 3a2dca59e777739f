//! A blob that exists is what its name says.
#![allow(clippy::disallowed_methods, reason = "tests make files by hand")]

use super::*;

fn rest(root: &Path) -> usize {
    fs::read_dir(root.join("content/ingest")).unwrap().count()
}

#[test]
fn blobs_are_stored_listed_read_and_removed() {
    let root = tempfile::tempdir().unwrap();
    let content = Content::open(root.path()).unwrap();
    let digest = content.add(b"hello").unwrap();
    assert_eq!(
        digest.hex(),
        "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
    );
    assert_eq!(content.add(b"hello").unwrap(), digest);
    assert_eq!(content.read(&digest, 5).unwrap(), b"hello");
    assert!(matches!(
        content.read(&digest, 4),
        Err(Error::TooLarge { .. })
    ));
    assert_eq!(content.list().unwrap(), [(digest.clone(), 5)]);
    assert_eq!(rest(root.path()), 0);
    content.remove(&digest).unwrap();
    content.remove(&digest).unwrap();
    assert!(matches!(content.read(&digest, 5), Err(Error::NotFound(_))));
}

#[test]
fn wrong_digest_and_wrong_length_leave_nothing() {
    let root = tempfile::tempdir().unwrap();
    let content = Content::open(root.path()).unwrap();
    let other = digest_of(b"other");
    let mut ingest = content.ingest().unwrap();
    ingest.write_all(b"hello").unwrap();
    assert!(matches!(
        ingest.commit(&other, None),
        Err(Error::Mismatch { .. })
    ));
    let mut ingest = content.ingest().unwrap();
    ingest.write_all(b"hello").unwrap();
    assert!(matches!(
        ingest.commit(&digest_of(b"hello"), Some(4)),
        Err(Error::Size {
            expected: 4,
            found: 5
        })
    ));
    drop(content.ingest().unwrap());
    assert_eq!(rest(root.path()), 0);
    assert_eq!(content.list().unwrap(), []);
}

#[test]
fn damage_is_seen_and_rests_of_a_crash_are_removed() {
    let root = tempfile::tempdir().unwrap();
    let content = Content::open(root.path()).unwrap();
    let digest = content.add(b"hello").unwrap();
    fs::write(
        root.path().join("content/blobs/sha256").join(digest.hex()),
        "hellO",
    )
    .unwrap();
    assert!(matches!(
        content.read(&digest, 9),
        Err(Error::Mismatch { .. })
    ));
    let mut spool = content.spool().unwrap();
    spool.create().unwrap();
    std::mem::forget(spool);
    assert_eq!(rest(root.path()), 1);
    drop(Content::open(root.path()).unwrap());
    assert_eq!(rest(root.path()), 0);
}

#[test]
fn readers_hash_what_they_read() {
    let mut reader = HashReader::new(&b"hello"[..]);
    std::io::copy(&mut reader, &mut std::io::sink()).unwrap();
    assert_eq!(reader.finish(), (digest_of(b"hello"), 5));
}

#[test]
fn the_beginning_of_a_blob_is_continued_after_a_restart() {
    let root = tempfile::tempdir().unwrap();
    let digest = digest_of(b"hello world");
    {
        let content = std::sync::Arc::new(Content::open(root.path()).unwrap());
        let mut partial = Partial::open(&content, &digest, 11).unwrap();
        partial.write(b"hello ").unwrap();
    }
    let content = std::sync::Arc::new(Content::open(root.path()).unwrap());
    let mut partial = Partial::open(&content, &digest, 11).unwrap();
    assert_eq!(partial.length(), 6);
    assert!(matches!(
        partial.write(b"world, and more"),
        Err(Error::Size { .. })
    ));
    partial.write(b"world").unwrap();
    partial.commit().unwrap();
    assert_eq!(content.read(&digest, 11).unwrap(), b"hello world");
    assert_eq!(
        fs::read_dir(root.path().join("content/partial"))
            .unwrap()
            .count(),
        0
    );
}

#[test]
fn a_download_with_wrong_bytes_leaves_nothing_and_one_that_is_short_stays() {
    let root = tempfile::tempdir().unwrap();
    let content = std::sync::Arc::new(Content::open(root.path()).unwrap());
    let digest = digest_of(b"hello");
    let mut partial = Partial::open(&content, &digest, 5).unwrap();
    partial.write(b"hell").unwrap();
    assert!(matches!(partial.commit(), Err(Error::Size { .. })));
    let mut partial = Partial::open(&content, &digest, 5).unwrap();
    partial.write(b"!").unwrap();
    assert!(matches!(partial.commit(), Err(Error::Mismatch { .. })));
    assert_eq!(
        Partial::open(&content, &digest, 5).unwrap().length(),
        0,
        "wrong bytes are not continued"
    );
}

#[test]
fn what_nobody_wants_is_swept_when_it_is_old() {
    let root = tempfile::tempdir().unwrap();
    let content = std::sync::Arc::new(Content::open(root.path()).unwrap());
    let (kept, other) = (
        content.add(b"kept").unwrap(),
        content.add(b"other").unwrap(),
    );
    let begun = digest_of(b"begun");
    Partial::open(&content, &begun, 5)
        .unwrap()
        .write(b"b")
        .unwrap();
    let wanted = |digest: &Digest| *digest == kept;
    assert_eq!(content.sweep(wanted, Duration::from_mins(1)).unwrap(), 0);
    assert!(content.has(&other).unwrap());
    assert_eq!(content.sweep(wanted, Duration::ZERO).unwrap(), 6);
    assert_eq!(content.list().unwrap(), [(kept, 4)]);
}

#[test]
fn a_spooled_file_becomes_a_blob_and_is_still_read() {
    let root = tempfile::tempdir().unwrap();
    let content = Content::open(root.path()).unwrap();
    let mut spool = content.spool().unwrap();
    let (number, mut file) = spool.create().unwrap();
    file.write_all(b"layer").unwrap();
    let digest = digest_of(b"layer");
    content.adopt(&spool, &[(number, &digest)]).unwrap();
    content.adopt(&spool, &[(number, &digest)]).unwrap();
    assert!(spool.open(number).is_ok());
    drop(spool);
    assert_eq!(content.read(&digest, 5).unwrap(), b"layer");
    assert_eq!(rest(root.path()), 0);
}
