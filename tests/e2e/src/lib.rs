//! Tests with real clients, a file a verb: `tests/`. What they compare with: `testdata/`.
