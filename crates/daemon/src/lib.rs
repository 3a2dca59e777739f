//! The HTTP server of the Engine API, and the place where the parts are joined.
