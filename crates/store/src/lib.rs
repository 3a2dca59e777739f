//! Durable records: atomic replacement, locks, quarantine.
