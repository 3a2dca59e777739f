//! The one binary of Corten: picks the role, nothing else.

fn main() {}
