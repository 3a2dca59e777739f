//! The head of an answer: status and header fields.

use crate::Error;
use crate::connection::Connection;

/// No daemon sends a head this long.
const LIMIT: usize = 64 * 1024;

/// Status and fields of an answer.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) status: u16,
    fields: Vec<(String, String)>,
}

impl Head {
    /// The value of a field, by its name in lower case.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.fields
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// Reads the head of the next final answer; interim ones (100) are skipped.
    pub(crate) async fn read(connection: &mut Connection) -> Result<Self, Error> {
        loop {
            let head = Self::read_any(connection).await?;
            if head.status != 100 {
                return Ok(head);
            }
        }
    }

    async fn read_any(connection: &mut Connection) -> Result<Self, Error> {
        let status_line = connection.line(LIMIT).await?;
        let mut words = status_line.splitn(3, ' ');
        if !words
            .next()
            .is_some_and(|version| version.starts_with("HTTP/1."))
        {
            return Err(Error::Protocol("not HTTP/1"));
        }
        let status = words
            .next()
            .and_then(|code| code.parse().ok())
            .ok_or(Error::Protocol("no status"))?;
        let mut fields = Vec::new();
        loop {
            let line = connection.line(LIMIT).await?;
            if line.is_empty() {
                return Ok(Self { status, fields });
            }
            if fields.len() > 256 {
                return Err(Error::Protocol("too many header fields"));
            }
            let (name, value) = line
                .split_once(':')
                .ok_or(Error::Protocol("a header field without colon"))?;
            fields.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
        }
    }
}
