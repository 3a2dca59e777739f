//! Docker json-file logs: written by the monitor, read by the engine.
