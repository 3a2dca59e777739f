//! The text of `corten/hello`.

/// Says hello.
pub fn hello() {}
