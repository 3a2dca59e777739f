//! OCI formats: digests, references, manifests, image configurations, runtime specifications.
//!
//! Pure: text in, values out. Bytes whose digest matters are kept by the caller, never written again from the values.

pub mod digest;
mod error;
pub mod image;
pub mod reference;
pub mod runtime;
pub mod schema1;

pub use digest::Digest;
pub use error::Error;
pub use image::{Healthcheck, ImageConfig};
pub use reference::Reference;
pub use schema1::Schema1;
