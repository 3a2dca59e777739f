//! Progress as it comes from the daemon: on a terminal one line a layer that changes in place, elsewhere a line for each
//! state and no numbers. The escape sequences are those of docker.

use std::collections::HashMap;
use std::io::Write as _;
use std::os::fd::AsFd as _;

use api::progress::Message;
use client::Body;

use crate::report::{Failure, print};

/// Where progress is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sink {
    Stdout,
    Stderr,
    Nowhere,
}

/// Shows a stream of progress to its end; the error that it may end with.
pub(crate) async fn show(body: &mut Body, sink: Sink) -> Result<(), Failure> {
    let mut screen = Screen::new(sink);
    let mut failure = None;
    body.values(&mut |value| {
        let Ok(message) = serde_json::from_value::<Message>(value) else {
            return;
        };
        if !message.error.is_empty() {
            failure.get_or_insert(message.error);
        } else if failure.is_none() && message.aux.is_none() {
            let text = screen.draw(&message);
            match sink {
                Sink::Stdout => print(&text),
                // Nobody there to read is not an error.
                Sink::Stderr => drop(std::io::stderr().lock().write_all(text.as_bytes())),
                Sink::Nowhere => {}
            }
        }
    })
    .await?;
    failure.map_or(Ok(()), |text| Err(Failure::new(text)))
}

/// What is on the screen.
#[derive(Debug)]
struct Screen {
    /// Columns of the terminal; none where there is no terminal.
    columns: Option<u16>,
    /// The lines that change in place, counted from the first.
    lines: HashMap<String, usize>,
}

impl Screen {
    fn new(sink: Sink) -> Self {
        let (out, err) = (std::io::stdout(), std::io::stderr());
        let fd = match sink {
            Sink::Stdout => out.as_fd(),
            Sink::Stderr => err.as_fd(),
            Sink::Nowhere => {
                return Self {
                    columns: None,
                    lines: HashMap::new(),
                };
            }
        };
        let size = sys::tty::is_terminal(fd).then(|| sys::tty::size(fd));
        let columns = size.map(|size| size.map_or(200, |size| size.columns));
        Self {
            columns,
            lines: HashMap::new(),
        }
    }

    fn draw(&mut self, message: &Message) -> String {
        let mut text = String::new();
        let mut up = 0;
        let live = message.progress_detail.is_some() || !message.progress.is_empty();
        if !message.id.is_empty() && live {
            let count = self.lines.len();
            let line = *self.lines.entry(message.id.clone()).or_insert(count);
            if self.columns.is_some() && self.lines.len() > count {
                text.push('\n');
            }
            up = self.lines.len() - line;
            if self.columns.is_some() {
                text += &format!("\x1b[{up}A");
            }
        } else {
            // What is not counted is printed below; the lines above change no more.
            self.lines.clear();
        }
        text += &self.line(message);
        // Zero would be one for a terminal.
        if up > 0 && self.columns.is_some() {
            text += &format!("\x1b[{up}B");
        }
        text
    }

    fn line(&self, message: &Message) -> String {
        let id = match message.id.as_str() {
            "" => String::new(),
            id => format!("{id}: "),
        };
        let (status, stream) = (&message.status, &message.stream);
        match (&message.progress_detail, self.columns) {
            (Some(detail), Some(columns)) if stream.is_empty() => {
                let number = |number: i64| u64::try_from(number).unwrap_or_default();
                let bar =
                    stdx::progress::text(number(detail.current), number(detail.total), columns);
                format!("\x1b[2K\r{id}{status} {bar}\r")
            }
            (Some(detail), None) if (detail.current, detail.total) != (0, 0) => String::new(),
            _ if !stream.is_empty() => format!("{id}{stream}"),
            _ => format!("{id}{status}\n"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages() -> Vec<Message> {
        [
            r#"{"status":"Pulling from library/busybox","id":"latest"}"#,
            r#"{"status":"Pulling fs layer","progressDetail":{},"id":"aaa"}"#,
            r#"{"status":"Pulling fs layer","progressDetail":{},"id":"bbb"}"#,
            r#"{"status":"Downloading","progressDetail":{"current":1,"total":2},"progress":"x","id":"aaa"}"#,
            r#"{"status":"Pull complete","progressDetail":{},"id":"bbb"}"#,
            r#"{"status":"Digest: sha256:00"}"#,
        ]
        .iter()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
    }

    fn drawn(columns: Option<u16>) -> String {
        let mut screen = Screen {
            columns,
            lines: HashMap::new(),
        };
        messages()
            .iter()
            .map(|message| screen.draw(message))
            .collect()
    }

    #[test]
    fn without_a_terminal_there_are_lines_and_no_numbers() {
        assert_eq!(
            drawn(None),
            "latest: Pulling from library/busybox\naaa: Pulling fs layer\nbbb: Pulling fs layer\nbbb: Pull complete\n\
             Digest: sha256:00\n"
        );
    }

    #[test]
    fn on_a_terminal_each_layer_has_a_line_that_changes() {
        assert_eq!(
            drawn(Some(80)),
            "latest: Pulling from library/busybox\n\
             \n\x1b[1A\x1b[2K\raaa: Pulling fs layer \r\x1b[1B\
             \n\x1b[1A\x1b[2K\rbbb: Pulling fs layer \r\x1b[1B\
             \x1b[2A\x1b[2K\raaa: Downloading       1B/2B\r\x1b[2B\
             \x1b[1A\x1b[2K\rbbb: Pull complete \r\x1b[1B\
             Digest: sha256:00\n"
        );
    }
}
