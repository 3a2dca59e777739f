//! One request, one answer: timeouts, bounded heads and bodies, and failures in known words.

use std::error::Error as _;
use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::{Bytes, BytesMut};
use http::header::{self, HeaderMap, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body as _, Incoming};
use hyper_util::client::legacy;
use hyper_util::client::proxy::matcher::Matcher;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::time::timeout;

use super::connect::{Connector, intercept, plain};
use super::send::ATTEMPTS;
use super::url::Url;
use crate::error::Cause;
use crate::wire::{Challenge, Code, Errors, challenge};
use crate::{Error, Result};

/// For an answer's head.
pub(super) const HEAD: Duration = Duration::from_secs(if cfg!(test) { 10 } else { 60 });
/// Between two pieces of a body.
pub(super) const IDLE: Duration = Duration::from_secs(30);
/// For a small document as a whole.
const DOCUMENT: Duration = Duration::from_mins(2);
/// Bytes of an answer's head, and its fields.
const MAX_HEAD: usize = 64 * 1024;
const MAX_FIELDS: usize = 100;
/// Bytes of an error document.
pub(super) const MAX_ERROR: usize = 64 * 1024;

/// What is sent.
pub(super) type Body = UnsyncBoxBody<Bytes, io::Error>;

/// A request that may be sent more than once.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    /// For the origin of `url` alone.
    pub(super) authorization: Option<HeaderValue>,
    pub(super) body: Bytes,
    /// For the answer's head.
    pub(super) limit: Duration,
    /// How often it is sent, while the failure may pass.
    pub(super) attempts: u32,
}

impl Call {
    pub(super) fn new(method: Method, url: Url) -> Self {
        Self {
            method,
            url,
            headers: HeaderMap::new(),
            authorization: None,
            body: Bytes::new(),
            limit: HEAD,
            attempts: ATTEMPTS,
        }
    }

    pub(super) fn payload(&self) -> Body {
        Full::new(self.body.clone())
            .map_err(|never| match never {})
            .boxed_unsync()
    }

    /// A failure of this request.
    pub(super) fn failed(&self, cause: Cause) -> Error {
        Error::Transport {
            method: word(&self.method),
            url: self.url.to_string(),
            cause,
        }
    }
}

/// The method as Go prints it.
fn word(method: &Method) -> &'static str {
    match method.as_str() {
        "HEAD" => "Head",
        "POST" => "Post",
        "PUT" => "Put",
        "PATCH" => "Patch",
        "DELETE" => "Delete",
        _ => "Get",
    }
}

/// Connections to hosts with the same TLS settings.
#[derive(Clone, Debug)]
pub(super) struct Http {
    client: legacy::Client<Connector, Body>,
    proxies: Arc<Matcher>,
    user_agent: HeaderValue,
}

impl Http {
    pub(super) fn new(connector: Connector, user_agent: HeaderValue) -> Self {
        let proxies = connector.proxies.clone();
        let client = legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(Duration::from_secs(30))
            .pool_max_idle_per_host(8)
            .http1_max_buf_size(MAX_HEAD)
            .http1_max_headers(MAX_FIELDS)
            .build(connector);
        Self {
            client,
            proxies,
            user_agent,
        }
    }

    /// Sends a request; follows nothing, repeats nothing.
    pub(super) async fn once(&self, call: &Call, body: Body) -> Result<Response<Incoming>> {
        let uri = call.url.uri().ok_or_else(|| Error::Protocol {
            host: call.url.authority.clone(),
            why: format!("no such address: {}", call.url),
        })?;
        let proxy = (!call.url.secure)
            .then(|| intercept(&self.proxies, &uri, &call.url))
            .flatten();
        let mut request = Request::new(body);
        *request.method_mut() = call.method.clone();
        *request.uri_mut() = uri;
        let headers = request.headers_mut();
        headers.clone_from(&call.headers);
        headers.insert(header::USER_AGENT, self.user_agent.clone());
        if let Some(value) = &call.authorization {
            headers.insert(header::AUTHORIZATION, value.clone());
        }
        if let Some(value) = proxy.as_ref().and_then(|proxy| proxy.basic_auth()) {
            headers.insert(header::PROXY_AUTHORIZATION, value.clone());
        }
        match timeout(call.limit, self.client.request(request)).await {
            Err(_) => Err(call.failed(Cause::Timeout)),
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(call.failed(cause(&error))),
        }
    }
}

fn cause(error: &legacy::Error) -> Cause {
    let Some(source) = error.source() else {
        return Cause::Broken(error.to_string());
    };
    if let Some(cause) = source.downcast_ref::<Cause>() {
        return cause.clone();
    }
    broken(source)
}

/// A broken connection, in the words of Go's library.
pub(super) fn broken(error: &(dyn std::error::Error + 'static)) -> Cause {
    let eof = || Cause::Broken("unexpected EOF".to_owned());
    if let Some(hyper) = error.downcast_ref::<hyper::Error>() {
        if hyper.is_incomplete_message() {
            return eof();
        }
        if hyper.is_parse() || hyper.is_parse_too_large() {
            return Cause::Malformed(hyper.to_string());
        }
    }
    let mut at = Some(error);
    while let Some(inner) = at {
        if let Some(io) = inner.downcast_ref::<io::Error>() {
            return match io.kind() {
                io::ErrorKind::UnexpectedEof => eof(),
                _ => Cause::Broken(format!("read: {}", plain(io))),
            };
        }
        at = inner.source();
    }
    Cause::Broken(error.to_string())
}

/// Reads a small document to its end.
pub(super) async fn read(
    call: &Call,
    answer: Response<Incoming>,
    what: &'static str,
    limit: usize,
) -> Result<Bytes> {
    let too_large = || Error::TooLarge {
        what,
        host: call.url.authority.clone(),
        limit,
    };
    let mut body = answer.into_body();
    if body.size_hint().lower() > limit as u64 {
        return Err(too_large());
    }
    let reading = async {
        let mut bytes = BytesMut::new();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| call.failed(broken(&error)))?;
            let Ok(data) = frame.into_data() else {
                continue;
            };
            if bytes.len() + data.len() > limit {
                return Err(too_large());
            }
            bytes.extend_from_slice(&data);
        }
        Ok(bytes.freeze())
    };
    match timeout(DOCUMENT, reading).await {
        Ok(read) => read,
        Err(_) => Err(call.failed(Cause::Timeout)),
    }
}

/// The challenges of an answer with 401.
pub(super) fn challenges(headers: &HeaderMap) -> Vec<Challenge> {
    let values = headers.get_all(header::WWW_AUTHENTICATE).iter().take(8);
    values
        .filter_map(|value| value.to_str().ok())
        .flat_map(challenge::parse)
        .collect()
}

/// Turns an answer that is no success into the error that Docker prints for it.
pub(super) async fn refused(call: &Call, answer: Response<Incoming>) -> Error {
    let status = answer.status();
    let denied = status == StatusCode::UNAUTHORIZED
        && challenges(answer.headers()).iter().any(|challenge| {
            matches!(challenge, Challenge::Bearer { error, .. } if error == "insufficient_scope")
        });
    if denied {
        let errors = Errors::one(Code::DENIED, "requested access to the resource is denied");
        return Error::Registry {
            status: status.as_u16(),
            errors,
        };
    }
    if !status.is_client_error() {
        return Error::Status(status);
    }
    let body = match read(call, answer, "error", MAX_ERROR).await {
        Ok(body) => body,
        Err(error) => return error,
    };
    let code = status.as_u16();
    match Errors::parse(&body) {
        Ok(errors) if !errors.0.is_empty() => Error::Registry {
            status: code,
            errors,
        },
        _ if status == StatusCode::UNAUTHORIZED => Error::Registry {
            status: code,
            errors: Errors::one(Code::UNAUTHORIZED, "authentication required"),
        },
        _ if status == StatusCode::TOO_MANY_REQUESTS => Error::Registry {
            status: code,
            errors: Errors::one(Code::TOOMANYREQUESTS, "too many requests"),
        },
        outcome => Error::Document {
            status: code,
            why: match outcome {
                Err(error) => error.to_string(),
                Ok(_) => "no error details found in HTTP response body".to_owned(),
            },
            body: String::from_utf8_lossy(&body).chars().take(200).collect(),
        },
    }
}

/// How long `Retry-After` asks to wait (RFC 9110, section 10.2.3).
pub(super) fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let value = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = value.parse::<u32>() {
        return Some(Duration::from_secs(seconds.into()));
    }
    let at = http_date(value)?;
    let now = now.duration_since(SystemTime::UNIX_EPOCH).ok()?.as_secs();
    Some(Duration::from_secs(at.saturating_sub(now)))
}

/// `Sun, 06 Nov 1994 08:49:37 GMT`, as seconds since 1970.
fn http_date(text: &str) -> Option<u64> {
    const MONTHS: &str = "JanFebMarAprMayJunJulAugSepOctNovDec";
    let words: Vec<&str> = text.split_once(", ")?.1.split(' ').collect();
    let [day, month, year, clock, "GMT"] = words[..] else {
        return None;
    };
    let (day, year): (u64, u64) = (day.parse().ok()?, year.parse().ok()?);
    let month = (month.len() == 3).then(|| MONTHS.find(month)).flatten()? as u64 / 3 + 1;
    let mut clock = clock.split(':').map(|part| part.parse::<u64>().ok());
    let (hour, minute, second) = (clock.next()??, clock.next()??, clock.next()??);
    if !(1970..=9999).contains(&year) || day > 31 || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    // Days of the proleptic Gregorian calendar; the year begins in March.
    let (year, shifted) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * shifted + 2) / 5 + day;
    let days = days.checked_sub(719_469)?;
    Some(((days * 24 + hour) * 60 + minute) * 60 + second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_read_as_seconds_and_as_dates() {
        let ask = |value: &'static str, now: u64| {
            let mut headers = HeaderMap::new();
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static(value));
            retry_after(&headers, SystemTime::UNIX_EPOCH + Duration::from_secs(now))
                .map(|wait| wait.as_secs())
        };
        assert_eq!(ask("17", 0), Some(17));
        assert_eq!(ask("Sun, 06 Nov 1994 08:49:37 GMT", 784_111_770), Some(7));
        assert_eq!(ask("Thu, 01 Jan 1970 00:00:05 GMT", 0), Some(5));
        assert_eq!(ask("Sun, 06 Nov 1994 08:49:37 GMT", 784_111_780), Some(0));
        assert_eq!(ask("-1", 0), None);
        assert_eq!(ask("soon", 0), None);
    }
}
