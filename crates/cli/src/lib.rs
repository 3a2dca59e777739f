//! The docker-compatible command line.
