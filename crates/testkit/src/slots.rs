//! A number per running context, so that bridges, subnets and directories never meet: a locked file a number.

use std::fs::{self, File};
use std::path::Path;

/// A number that is this process's alone until it is dropped.
#[derive(Debug)]
pub struct Slot {
    /// 1 to 250.
    pub number: u8,
    _lock: File,
}

impl Slot {
    /// Takes a free number.
    pub fn take() -> Self {
        let directory = Path::new("/run/lock/corten-test");
        fs::create_dir_all(directory).expect("create the directory of slots");
        (1..=250)
            .find_map(|number: u8| {
                let lock = File::create(directory.join(number.to_string())).ok()?;
                lock.try_lock().ok()?;
                Some(Self {
                    number,
                    _lock: lock,
                })
            })
            .expect("one of 250 slots is free")
    }
}
