//! Overlay layers: prepare, commit, mount, apply.
