//! Image records: load, import, tag, list, remove.
