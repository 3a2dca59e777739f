//! Archives become images. Unpacking sets owners, so these need root; without it they are passed over.
#![allow(
    clippy::disallowed_methods,
    reason = "tests make files and start tar by hand"
)]

mod fsck;
mod hostile;
mod load;
mod names;
mod prune;
mod restart;
mod scene;
