//! The operations, one file each, named as the verb that users type.

pub mod container;
pub mod image;
pub mod network;
pub mod system;
