//! Connections: names looked up, addresses checked, proxies passed, TLS spoken.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use http::{HeaderValue, Uri};
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::reach::Reach;
use super::tls;
use super::url::Url;
use crate::error::Cause;

/// For one address. Docker waits as long.
const DIAL: Duration = Duration::from_secs(10);
/// For TLS, and for a proxy's answer.
const HANDSHAKE: Duration = Duration::from_secs(20);
/// Addresses of a name that are tried.
const ADDRESSES: usize = 8;
/// Bytes of a proxy's answer.
const PROXY_HEAD: usize = 16 * 1024;

/// Makes connections for one kind of host.
#[derive(Clone, Debug)]
pub(super) struct Connector {
    pub(super) tls: Arc<ClientConfig>,
    pub(super) proxies: Arc<Matcher>,
    pub(super) reach: Reach,
}

type Connecting = Pin<Box<dyn Future<Output = Result<TokioIo<Link>, Cause>> + Send>>;

impl tower_service::Service<Uri> for Connector {
    type Response = TokioIo<Link>;
    type Error = Cause;
    type Future = Connecting;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Cause>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Connecting {
        let connector = self.clone();
        Box::pin(async move { connector.connect(&uri).await.map(TokioIo::new) })
    }
}

impl Connector {
    async fn connect(&self, uri: &Uri) -> Result<Link, Cause> {
        let url = Url::new(
            uri.scheme_str() == Some("https"),
            uri.authority().map_or("", http::uri::Authority::as_str),
            "/",
        );
        if let Some(address) = url.address()
            && !self.reach.allows(address)
        {
            return Err(Cause::Address(address.to_string()));
        }
        let Some(proxy) = intercept(&self.proxies, uri, &url) else {
            let stream = dial(&url, &self.reach).await?;
            return self.finish(Box::new(stream), &url, false).await;
        };
        let stream = self.dial_proxy(&proxy).await?;
        if !url.secure {
            return Ok(Link {
                stream,
                proxied: true,
            });
        }
        let stream = timeout(HANDSHAKE, tunnel(stream, &url, proxy.basic_auth()))
            .await
            .map_err(|_| Cause::Timeout)??;
        self.finish(stream, &url, false).await
    }

    async fn dial_proxy(&self, proxy: &Intercept) -> Result<Box<dyn Stream>, Cause> {
        let wrong = |cause: &dyn std::fmt::Display| Cause::Proxy(cause.to_string());
        let url = Url::parse(&proxy.uri().to_string())
            .ok_or_else(|| wrong(&"only proxies with http and https are known"))?;
        let stream = dial(&url, &Reach::Any)
            .await
            .map_err(|cause| wrong(&cause))?;
        if url.secure {
            return self
                .encrypt(Box::new(stream), &url)
                .await
                .map_err(|cause| wrong(&cause));
        }
        Ok(Box::new(stream))
    }

    async fn finish(
        &self,
        stream: Box<dyn Stream>,
        url: &Url,
        proxied: bool,
    ) -> Result<Link, Cause> {
        let stream = if url.secure {
            self.encrypt(stream, url).await?
        } else {
            stream
        };
        Ok(Link { stream, proxied })
    }

    async fn encrypt(&self, stream: Box<dyn Stream>, url: &Url) -> Result<Box<dyn Stream>, Cause> {
        let name = ServerName::try_from(url.host().to_owned())
            .map_err(|error| Cause::Tls(format!("tls: {error}")))?;
        let plain = Arc::new(AtomicBool::new(false));
        let stream = Listening {
            stream,
            heard: false,
            plain: plain.clone(),
        };
        let connecting = TlsConnector::from(self.tls.clone()).connect(name, stream);
        match timeout(HANDSHAKE, connecting).await {
            Err(_) => Err(Cause::Timeout),
            Ok(Err(_)) if plain.load(Ordering::Relaxed) => Err(Cause::PlainHttp),
            Ok(Ok(stream)) => Ok(Box::new(stream)),
            Ok(Err(error)) => Err(tls_cause(&error)),
        }
    }
}

/// The proxy for an address. None leads back to this machine, as in Go.
pub(super) fn intercept(proxies: &Matcher, uri: &Uri, url: &Url) -> Option<Intercept> {
    (!url.is_loopback())
        .then(|| proxies.intercept(uri))
        .flatten()
}

fn tls_cause(error: &io::Error) -> Cause {
    let inner = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match inner {
        Some(error) => Cause::Tls(tls::words(error)),
        None if error.kind() == io::ErrorKind::UnexpectedEof => Cause::Tls("EOF".to_owned()),
        None => Cause::Tls(format!("tls: {error}")),
    }
}

/// Connects to the first address that answers.
async fn dial(url: &Url, reach: &Reach) -> Result<TcpStream, Cause> {
    let lookup = |why: String| Cause::Lookup {
        host: url.host().to_owned(),
        why,
    };
    let addresses = timeout(HANDSHAKE, tokio::net::lookup_host((url.host(), url.port())))
        .await
        .map_err(|_| lookup("i/o timeout".to_owned()))?
        .map_err(|_| lookup("no such host".to_owned()))?;
    let mut failure = lookup("no such host".to_owned());
    for address in addresses.take(ADDRESSES) {
        if !reach.allows(address.ip()) {
            failure = Cause::Address(address.to_string());
            continue;
        }
        let why = match timeout(DIAL, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Ok(Err(error)) => format!("connect: {}", plain(&error)),
            Err(_) => "i/o timeout".to_owned(),
        };
        failure = Cause::Dial {
            address: address.to_string(),
            why,
        };
    }
    Err(failure)
}

/// The system's words without the number: `connection refused`.
pub(super) fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    let words = text.split(" (os error").next().unwrap_or(&text);
    words.to_lowercase()
}

/// Asks a proxy for a tunnel (RFC 9110, section 9.3.6).
async fn tunnel(
    mut stream: Box<dyn Stream>,
    url: &Url,
    authorization: Option<&HeaderValue>,
) -> Result<Box<dyn Stream>, Cause> {
    let broken = |error: io::Error| Cause::Proxy(plain(&error));
    let host = url.host();
    let host = if host.contains(':') {
        format!("[{host}]:{}", url.port())
    } else {
        format!("{host}:{}", url.port())
    };
    let mut head = format!("CONNECT {host} HTTP/1.1\r\nHost: {host}\r\n").into_bytes();
    if let Some(value) = authorization {
        head.extend(b"Proxy-Authorization: ");
        head.extend(value.as_bytes());
        head.extend(b"\r\n");
    }
    head.extend(b"\r\n");
    stream.write_all(&head).await.map_err(broken)?;
    let mut answer = Vec::new();
    // A byte at a time: what follows the head belongs to TLS.
    while !answer.ends_with(b"\r\n\r\n") {
        if answer.len() == PROXY_HEAD {
            return Err(Cause::Proxy("answer too long".to_owned()));
        }
        answer.push(stream.read_u8().await.map_err(broken)?);
    }
    let text = String::from_utf8_lossy(&answer);
    let line = text.lines().next().unwrap_or_default();
    match line.split(' ').nth(1) {
        Some("200") => Ok(stream),
        _ => Err(Cause::Proxy(line.chars().take(100).collect())),
    }
}

/// Bytes in both directions.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// A connection, ready for HTTP.
pub(super) struct Link {
    stream: Box<dyn Stream>,
    /// To a proxy that wants whole addresses in requests.
    proxied: bool,
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link")
            .field("proxied", &self.proxied)
            .finish_non_exhaustive()
    }
}

impl Connection for Link {
    fn connected(&self) -> Connected {
        Connected::new().proxy(self.proxied)
    }
}

/// A connection below TLS that hears whether it is HTTP that answers.
struct Listening {
    stream: Box<dyn Stream>,
    heard: bool,
    plain: Arc<AtomicBool>,
}

impl AsyncRead for Listening {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let outcome = Pin::new(&mut self.stream).poll_read(context, buffer);
        if !self.heard && outcome.is_ready() {
            self.heard = true;
            let plain = buffer.filled()[before..].starts_with(b"HTTP/");
            self.plain.store(plain, Ordering::Relaxed);
        }
        outcome
    }
}

impl AsyncWrite for Listening {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

impl AsyncRead for Link {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Link {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
