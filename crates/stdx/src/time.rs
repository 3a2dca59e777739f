//! Times and durations, printed and parsed as Go does.
