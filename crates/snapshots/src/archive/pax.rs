//! PAX records: `length key=value\n`, the value being any bytes.

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStringExt as _;

use sys::root::Timestamp;

use super::invalid;

/// Where builders keep extended attributes.
const XATTR: &[u8] = b"SCHILY.xattr.";

/// The records that mean something here.
#[derive(Default)]
pub(super) struct Records {
    pub(super) path: Option<Vec<u8>>,
    pub(super) link: Option<Vec<u8>>,
    pub(super) size: Option<u64>,
    pub(super) uid: Option<u64>,
    pub(super) gid: Option<u64>,
    pub(super) modified: Option<Timestamp>,
    pub(super) xattrs: Vec<(OsString, Vec<u8>)>,
}

impl Records {
    pub(super) fn parse(mut bytes: &[u8]) -> io::Result<Self> {
        let mut records = Self::default();
        while !bytes.is_empty() {
            let (record, rest) = split(bytes).ok_or_else(|| invalid("a PAX record is damaged"))?;
            let equals = record
                .iter()
                .position(|byte| *byte == b'=')
                .ok_or_else(|| invalid("a PAX record has no value"))?;
            records.add(&record[..equals], &record[equals + 1..])?;
            bytes = rest;
        }
        Ok(records)
    }

    fn add(&mut self, key: &[u8], value: &[u8]) -> io::Result<()> {
        let number = || {
            let digits = std::str::from_utf8(value)
                .ok()
                .filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
            let number = digits.and_then(|text| text.parse::<u64>().ok());
            number
                .map(Some)
                .ok_or_else(|| invalid("a PAX record has a damaged number"))
        };
        match key {
            b"path" => self.path = Some(value.to_vec()),
            b"linkpath" => self.link = Some(value.to_vec()),
            b"size" => self.size = number()?,
            b"uid" => self.uid = number()?,
            b"gid" => self.gid = number()?,
            b"mtime" => {
                self.modified =
                    Some(time(value).ok_or_else(|| invalid("a PAX record has a damaged time"))?);
            }
            _ if key.starts_with(b"GNU.sparse.") => {
                return Err(invalid("sparse files are not supported"));
            }
            _ => {
                if let Some(name) = key.strip_prefix(XATTR) {
                    if name.is_empty() || name.contains(&0) {
                        return Err(invalid("an extended attribute has a damaged name"));
                    }
                    self.xattrs
                        .push((OsString::from_vec(name.to_vec()), value.to_vec()));
                }
            }
        }
        Ok(())
    }
}

/// The first record without its length and its line feed, and what follows it.
fn split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let space = bytes.iter().take(20).position(|byte| *byte == b' ')?;
    let length: usize = std::str::from_utf8(&bytes[..space]).ok()?.parse().ok()?;
    if length <= space + 1 || length > bytes.len() || bytes[length - 1] != b'\n' {
        return None;
    }
    Some((&bytes[space + 1..length - 1], &bytes[length..]))
}

/// `[-]seconds[.fraction]`.
fn time(value: &[u8]) -> Option<Timestamp> {
    let text = std::str::from_utf8(value).ok()?;
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    let negative = seconds.starts_with('-');
    let seconds: i64 = seconds.parse().ok()?;
    if !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let nanoseconds: u32 = format!("{fraction:0<9}")[..9].parse().ok()?;
    if negative && nanoseconds > 0 {
        return Some(Timestamp {
            seconds: seconds.checked_sub(1)?,
            nanoseconds: 1_000_000_000 - nanoseconds,
        });
    }
    Some(Timestamp {
        seconds,
        nanoseconds,
    })
}
