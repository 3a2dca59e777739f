//! One daemon of a host at a time chooses a subnet: from its look at what is taken until its bridge has the address. Two
//! that looked at the same moment would choose the same one.

use std::fs::File;
use std::os::unix::fs::OpenOptionsExt as _;

/// The same for all daemons of a host, whatever their roots.
const PATH: &str = "/run/corten-subnets.lock";

/// Waits for its turn, which ends when what is returned is dropped. A host where such a file cannot be made has its
/// networks all the same.
pub(super) fn take() -> Option<File> {
    let mut options = File::options();
    let file = options.create(true).write(true).truncate(false).mode(0o600);
    let file = file.open(PATH).ok()?;
    file.lock().ok()?;
    Some(file)
}
