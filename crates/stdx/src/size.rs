//! Sizes in bytes, printed and parsed as Go's units package does.
