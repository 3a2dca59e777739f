//! OCI formats: digests, references, manifests, image configurations, runtime specifications.

pub mod runtime;
