//! A stock kernel with cgroup v2.
use anyhow::Result;

pub(crate) fn subset(_binaries: &[crate::testing::Binary]) -> Result<crate::testing::Count> {
    Ok(crate::testing::Count::default())
}

pub(crate) fn run(_options: &[&str]) -> Result<()> {
    Ok(())
}
