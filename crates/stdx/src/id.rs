//! Random identifiers.
