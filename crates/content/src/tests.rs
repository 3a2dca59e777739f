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
        ingest.commit(Some(&other), None),
        Err(Error::Mismatch { .. })
    ));
    let mut ingest = content.ingest().unwrap();
    ingest.write_all(b"hello").unwrap();
    assert!(matches!(
        ingest.commit(None, Some(4)),
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
