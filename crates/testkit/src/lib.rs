//! Contexts, fixtures and filters for tests.
