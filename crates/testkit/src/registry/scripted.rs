//! A registry that answers as a closure says, over plain sockets: so it can break every rule of HTTP.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// What a TLS client begins with.
const TLS_HANDSHAKE: u8 = 22;

/// A request as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The method.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// Names in lower case, and values.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Request {
    /// A header's value; the name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(known, _)| known == name)?;
        Some(value)
    }

    /// The first byte that a `Range: bytes=N-` asks for.
    pub fn offset(&self) -> usize {
        let range = self
            .header("range")
            .and_then(|range| range.strip_prefix("bytes="));
        range
            .and_then(|range| range.split('-').next()?.parse().ok())
            .unwrap_or(0)
    }
}

/// How an answer's body ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum End {
    /// As it should.
    #[default]
    Whole,
    /// The connection is closed after so many bytes.
    Closed(usize),
    /// The connection is reset after so many bytes.
    Reset(usize),
    /// The body is repeated until nobody reads any more, without a length.
    Endless,
}

/// What is answered.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    end: End,
}

impl Answer {
    /// A status without a body.
    pub fn new(status: u16) -> Self {
        Self {
            status,
            ..Self::default()
        }
    }

    /// 200 with a body.
    pub fn ok(body: impl Into<Vec<u8>>) -> Self {
        Self::new(200).body(body)
    }

    /// 401 with a challenge.
    pub fn challenge(challenge: &str) -> Self {
        Self::new(401).header("WWW-Authenticate", challenge).body(
            r#"{"errors":[{"code":"UNAUTHORIZED","message":"authentication required","detail":null}]}"#,
        )
    }

    /// A blob from the byte that the request asks for: 200 or 206.
    pub fn range(request: &Request, content: &[u8]) -> Self {
        let offset = request.offset().min(content.len());
        if request.header("range").is_none() {
            return Self::ok(content);
        }
        let range = format!(
            "bytes {offset}-{}/{}",
            content.len().saturating_sub(1),
            content.len()
        );
        Self::new(206)
            .header("Content-Range", &range)
            .body(&content[offset..])
    }

    /// With a body.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// With a header. A `Content-Length` replaces the true one.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Closes the connection after so many bytes of the body.
    pub fn closed_after(mut self, bytes: usize) -> Self {
        self.end = End::Closed(bytes);
        self
    }

    /// Resets the connection after so many bytes of the body. For requests without a body.
    pub fn reset_after(mut self, bytes: usize) -> Self {
        self.end = End::Reset(bytes);
        self
    }

    /// Repeats the body for as long as somebody reads.
    pub fn endless(mut self) -> Self {
        self.end = End::Endless;
        self
    }
}

type Script = dyn Fn(&Request) -> Answer + Send + Sync;

struct Shared {
    script: Box<Script>,
    requests: Mutex<Vec<Request>>,
    ended: AtomicBool,
}

/// A registry on a free port of loopback that answers by script. It ends when dropped.
pub struct Scripted {
    shared: Arc<Shared>,
    address: SocketAddr,
    thread: Option<JoinHandle<()>>,
}

impl std::fmt::Debug for Scripted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scripted")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl Scripted {
    /// A registry on 127.0.0.1.
    #[track_caller]
    pub fn start(script: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("listen on loopback");
        let address = listener.local_addr().expect("a listener has an address");
        let shared = Arc::new(Shared {
            script: Box::new(script),
            requests: Mutex::default(),
            ended: AtomicBool::new(false),
        });
        let thread = thread::spawn({
            let shared = shared.clone();
            move || accept(&listener, &shared)
        });
        Self {
            shared,
            address,
            thread: Some(thread),
        }
    }

    /// Where it listens: `127.0.0.1:port`.
    pub fn host(&self) -> String {
        self.address.to_string()
    }

    /// The requests so far.
    pub fn requests(&self) -> Vec<Request> {
        self.shared
            .requests
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::SeqCst);
        // Wakes the thread that accepts.
        _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            _ = thread.join();
        }
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    let mut connections = Vec::new();
    for stream in listener.incoming() {
        if shared.ended.load(Ordering::SeqCst) {
            break;
        }
        let Ok(stream) = stream else { continue };
        // Not a second descriptor: it would keep the connection open.
        let stream = Arc::new(stream);
        let weak = Arc::downgrade(&stream);
        let shared = shared.clone();
        let thread = thread::spawn(move || _ = serve(&stream, &shared));
        connections.push((weak, thread));
    }
    for (weak, thread) in connections {
        if let Some(stream) = weak.upgrade() {
            _ = stream.shutdown(Shutdown::Both);
        }
        _ = thread.join();
    }
}

/// Answers requests of one connection. The last byte of a head is left unread until its answer is written: the kernel resets
/// a connection that is closed with bytes unread.
fn serve(stream: &TcpStream, shared: &Shared) -> io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_write_timeout(Some(Duration::from_secs(20)))?;
    let mut reader = stream;
    loop {
        let Some(mut request) = read_head(stream)? else {
            return stream.shutdown(Shutdown::Both);
        };
        if has_body(&request) {
            reader.read_exact(&mut [0])?;
            request.body = read_body(stream, &request)?;
        }
        let answer = (shared.script)(&request);
        let (head_only, body) = (request.method == "HEAD", has_body(&request));
        shared
            .requests
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(request);
        write(stream, &answer, head_only)?;
        if matches!(answer.end, End::Reset(_)) {
            return Ok(());
        }
        if !body {
            reader.read_exact(&mut [0])?;
        }
        if answer.end != End::Whole {
            return stream.shutdown(Shutdown::Both);
        }
    }
}

/// Reads a head but for its last byte; `None` where the client has closed.
fn read_head(stream: &TcpStream) -> io::Result<Option<Request>> {
    let mut head = Vec::new();
    let mut reader = stream;
    while !head.ends_with(b"\r\n\r") {
        let mut byte = [0];
        if reader.read(&mut byte)? == 0 {
            return Ok(None);
        }
        head.push(byte[0]);
        if head[0] == TLS_HANDSHAKE {
            // As Go's server answers.
            let answer =
                "HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTPS request to an HTTP server.\n";
            reader.write_all(answer.as_bytes())?;
            stream.shutdown(Shutdown::Write)?;
            // Bytes that are left unread would reset the connection, perhaps before the answer is read.
            while reader.read(&mut [0; 1024])? > 0 {}
            return Ok(None);
        }
    }
    let text = String::from_utf8_lossy(&head);
    let mut lines = text.lines();
    let mut words = lines.next().unwrap_or_default().split(' ');
    let (method, path) = (words.next(), words.next());
    let headers = lines.filter_map(|line| line.split_once(':'));
    Ok(Some(Request {
        method: method.unwrap_or_default().to_owned(),
        path: path.unwrap_or_default().to_owned(),
        headers: headers
            .map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()))
            .collect(),
        body: Vec::new(),
    }))
}

fn length(request: &Request) -> usize {
    let length = request.header("content-length");
    length.and_then(|length| length.parse().ok()).unwrap_or(0)
}

fn has_body(request: &Request) -> bool {
    length(request) > 0 || request.header("transfer-encoding").is_some()
}

fn read_body(mut stream: &TcpStream, request: &Request) -> io::Result<Vec<u8>> {
    let mut body = vec![0; length(request)];
    if request.header("transfer-encoding").is_none() {
        stream.read_exact(&mut body)?;
        return Ok(body);
    }
    // The client waits for the answer before it sends more, so what the reader holds back is nothing of the next request.
    let mut reader = BufReader::new(stream);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let size = usize::from_str_radix(line.trim(), 16).map_err(io::Error::other)?;
        let mut chunk = vec![0; size + 2];
        reader.read_exact(&mut chunk)?;
        if size == 0 {
            return Ok(body);
        }
        body.extend(&chunk[..size]);
    }
}

fn write(mut stream: &TcpStream, answer: &Answer, head_only: bool) -> io::Result<()> {
    let mut head = format!("HTTP/1.1 {} Scripted\r\n", answer.status);
    for (name, value) in &answer.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    let lies = answer
        .headers
        .iter()
        .any(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    if answer.end == End::Endless {
        head.push_str("Connection: close\r\n");
    } else if !lies {
        head.push_str(&format!("Content-Length: {}\r\n", answer.body.len()));
    }
    head.push_str("\r\n");
    stream.write_all(head.as_bytes())?;
    if head_only {
        return Ok(());
    }
    match answer.end {
        End::Whole => stream.write_all(&answer.body),
        End::Closed(bytes) | End::Reset(bytes) => {
            stream.write_all(&answer.body[..bytes.min(answer.body.len())])
        }
        End::Endless => loop {
            stream.write_all(&answer.body)?;
        },
    }
}
