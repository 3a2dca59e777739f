//! What a compiler does not check: layers, headers, lengths, licences, words. Every finding is reported, not only the first.

mod crates;
mod files;
mod licences;
mod lints;
mod metadata;
#[cfg(test)]
mod tests;

use anyhow::{Result, bail};

use crate::shell;
use metadata::Metadata;

/// Runs every check on the checkout.
pub(crate) fn run() -> Result<()> {
    let findings = findings()?;
    for finding in &findings {
        println!("tidy: {finding}");
    }
    match findings.len() {
        0 => Ok(()),
        count => bail!("{count} findings"),
    }
}

fn findings() -> Result<Vec<String>> {
    let metadata = Metadata::read()?;
    let mut findings = Vec::new();
    findings.extend(crates::check(&metadata));
    findings.extend(licences::check(&metadata, shell::root())?);
    findings.extend(lints::check(shell::root())?);
    findings.extend(files::check(shell::root())?);
    Ok(findings)
}
