//! Blobs by digest, verified on the way in.
