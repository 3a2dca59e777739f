//! memfd.
