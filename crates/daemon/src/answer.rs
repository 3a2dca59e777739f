//! What a handler gives back, and how the common ones are made.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Response, StatusCode};
use serde::{Serialize, Serializer};

use crate::body::Body;
use crate::error::{Error, Result};
use crate::hijack::Hijack;

/// What a handler gives back.
#[derive(Debug)]
pub enum Answer {
    /// An HTTP answer.
    Response(Response<Body>),
    /// The connection itself, from here on no longer HTTP.
    Hijack(Hijack),
}

impl From<Response<Body>> for Answer {
    fn from(response: Response<Body>) -> Self {
        Self::Response(response)
    }
}

/// A body of that type.
pub fn with_type(status: StatusCode, content_type: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// JSON with status 200, a line feed at its end as Go's encoder writes it.
pub fn json(value: &impl Serialize) -> Result<Answer> {
    json_with(StatusCode::OK, value)
}

/// A JSON list with status 200, each of whose items is let go when it is written.
pub fn json_list(items: impl IntoIterator<Item: Serialize>) -> Result<Answer> {
    let mut bytes = Vec::new();
    serde_json::Serializer::new(&mut bytes)
        .collect_seq(items)
        .map_err(unencoded)?;
    bytes.push(b'\n');
    Ok(whole(StatusCode::OK, bytes.into()))
}

/// JSON with that status.
pub fn json_with(status: StatusCode, value: &impl Serialize) -> Result<Answer> {
    Ok(whole(status, line(value)?))
}

fn whole(status: StatusCode, json: Bytes) -> Answer {
    with_type(status, "application/json", Body::Whole(json)).into()
}

/// 204.
pub fn no_content() -> Answer {
    empty(StatusCode::NO_CONTENT)
}

/// A status and nothing else.
pub fn empty(status: StatusCode) -> Answer {
    let mut response = Response::new(Body::Whole(Bytes::new()));
    *response.status_mut() = status;
    response.into()
}

/// One JSON value and a line feed.
pub fn line(value: &impl Serialize) -> Result<Bytes> {
    let mut bytes = serde_json::to_vec(value).map_err(unencoded)?;
    bytes.push(b'\n');
    Ok(bytes.into())
}

#[expect(clippy::needless_pass_by_value, reason = "the form that map_err wants")]
fn unencoded(error: serde_json::Error) -> Error {
    Error::Internal(format!("encode answer: {error}"))
}

/// One message of a progress stream: JSON and CRLF.
pub fn progress(message: &api::progress::Message) -> Bytes {
    let mut bytes = serde_json::to_vec(message).unwrap_or_default();
    bytes.extend_from_slice(b"\r\n");
    bytes.into()
}
