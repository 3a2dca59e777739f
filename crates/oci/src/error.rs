//! What can be wrong with a text or a document of these formats.

use stdx::ErrorKind;

/// A text that is not what it should be. The texts of references and digests are Docker's.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not `algorithm:hex`.
    #[error("invalid checksum digest format")]
    DigestFormat,
    /// The wrong number of digits.
    #[error("invalid checksum digest length")]
    DigestLength,
    /// Another algorithm than SHA-256.
    #[error("unsupported digest algorithm")]
    DigestAlgorithm,
    /// Not a reference.
    #[error("invalid reference format")]
    Reference,
    /// A repository with capitals.
    #[error("invalid reference format: repository name ({0}) must be lowercase")]
    Uppercase(String),
    /// A repository that could be taken for an image's identifier.
    #[error("invalid repository name ({0}), cannot specify 64-byte hexadecimal strings")]
    Identifier(String),
    /// A repository above the length that registries take.
    #[error("repository name must not be more than {0} characters")]
    NameTooLong(usize),
    /// A tag that breaks the grammar.
    #[error("invalid tag format")]
    Tag,
    /// A document that is not JSON of the right shape.
    #[error("parse {what}: {source}")]
    Json {
        /// Which document.
        what: &'static str,
        /// Where it is wrong.
        source: serde_json::Error,
    },
    /// A document that contradicts itself or a limit.
    #[error("parse {what}: {reason}")]
    Document {
        /// Which document.
        what: &'static str,
        /// What is wrong.
        reason: String,
    },
}

impl Error {
    /// The class of the failure: whoever wrote the text is wrong.
    pub fn kind(&self) -> ErrorKind {
        ErrorKind::Invalid
    }
}
