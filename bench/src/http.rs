//! Just enough HTTP/1.1 over a unix socket to call an Engine API without the cost of a command line.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

/// The API version that all measured engines serve.
const VERSION: &str = "/v1.44";
const TIMEOUT: Duration = Duration::from_mins(2);

/// A connection that is kept open between calls.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: BufReader<UnixStream>,
}

impl Connection {
    pub(crate) fn open(socket: &Path) -> Result<Self> {
        let stream = UnixStream::connect(socket)
            .with_context(|| format!("connect to {}", socket.display()))?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        Ok(Self {
            stream: BufReader::new(stream),
        })
    }

    /// Makes one call and returns status and body.
    pub(crate) fn call(
        &mut self,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> Result<(u16, String)> {
        let body = body.map_or_else(String::new, Value::to_string);
        let request = format!(
            "{method} {VERSION}{path} HTTP/1.1\r\nHost: docker\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        self.stream.get_mut().write_all(request.as_bytes())?;
        self.answer().with_context(|| format!("{method} {path}"))
    }

    /// Makes one call that must succeed and returns its JSON, or null.
    pub(crate) fn done(&mut self, method: &str, path: &str, body: Option<&Value>) -> Result<Value> {
        let (status, text) = self.call(method, path, body)?;
        ensure!(
            status < 400,
            "{method} {path}: status {status}: {}",
            text.trim()
        );
        Ok(serde_json::from_str(&text).unwrap_or(Value::Null))
    }

    fn answer(&mut self) -> Result<(u16, String)> {
        let line = self.line()?;
        let status = line
            .split(' ')
            .nth(1)
            .and_then(|word| word.parse().ok())
            .context("not an HTTP answer")?;
        let (mut length, mut chunked) = (0, false);
        loop {
            let line = self.line()?.to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse()?;
            }
            chunked |= line.starts_with("transfer-encoding:") && line.contains("chunked");
        }
        let mut body = Vec::new();
        if chunked {
            while let size @ 1.. = usize::from_str_radix(self.line()?.trim(), 16)? {
                self.exact(size, &mut body)?;
                self.line()?;
            }
            self.line()?;
        } else {
            self.exact(length, &mut body)?;
        }
        Ok((status, String::from_utf8_lossy(&body).into_owned()))
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        if self.stream.read_line(&mut line)? == 0 {
            bail!("the connection was closed");
        }
        Ok(line.trim_end().to_owned())
    }

    fn exact(&mut self, length: usize, body: &mut Vec<u8>) -> Result<()> {
        let start = body.len();
        body.resize(start + length, 0);
        Ok(self.stream.read_exact(&mut body[start..])?)
    }
}

/// Creates a container that runs `command`; returns its id.
pub(crate) fn create(connection: &mut Connection, image: &str, command: &[&str]) -> Result<String> {
    let body = serde_json::json!({ "Image": image, "Cmd": command });
    let answer = connection.done("POST", "/containers/create", Some(&body))?;
    Ok(answer["Id"]
        .as_str()
        .context("the answer has no id")?
        .to_owned())
}
