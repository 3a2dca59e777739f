//! root.
