//! Sending: redirects followed with care, and what may pass tried again, for a bounded time.

use std::time::{Duration, Instant, SystemTime};

use http::header::{self, HeaderValue};
use http::{Method, Response, StatusCode};
use hyper::body::Incoming;
use tokio::time::sleep;

use super::Shared;
use super::http::{Call, Http, retry_after};
use super::url::Url;
use crate::{Error, Result};

/// Redirects of one request.
const MAX_REDIRECTS: usize = 8;
/// How often a request is sent.
pub(super) const ATTEMPTS: u32 = 5;
/// No registry makes us wait longer.
const MAX_WAIT: Duration = Duration::from_secs(30);

/// The pause after the attempt with this number, from zero.
pub(super) fn pause(attempt: u32) -> Duration {
    Duration::from_millis(200 << attempt.min(5))
}

impl Shared {
    /// Sends a request, follows redirects, and repeats it while the failure may pass: not where the time of one request has
    /// gone without an answer. Returns the call that was answered: its address is the one where the redirects ended.
    pub(super) async fn send(
        &self,
        http: Http,
        local: bool,
        call: Call,
    ) -> Result<(Call, Response<Incoming>)> {
        let begun = Instant::now();
        let mut attempt = 0;
        loop {
            let outcome = self.follow(http.clone(), local, call.clone()).await;
            let wait = match &outcome {
                Ok((_, answer)) if is_temporary(answer.status()) => {
                    retry_after(answer.headers(), SystemTime::now()).unwrap_or(pause(attempt))
                }
                Err(error) if error.is_temporary() && begun.elapsed() < call.limit => {
                    pause(attempt)
                }
                _ => return outcome,
            };
            attempt += 1;
            if attempt == call.attempts || wait > MAX_WAIT {
                return outcome;
            }
            sleep(wait).await;
        }
    }

    async fn follow(
        &self,
        mut http: Http,
        local: bool,
        mut call: Call,
    ) -> Result<(Call, Response<Incoming>)> {
        for _ in 0..MAX_REDIRECTS {
            let answer = http.once(&call, call.payload()).await?;
            let is_redirect = matches!(answer.status().as_u16(), 301 | 302 | 303 | 307 | 308)
                && matches!(call.method, Method::GET | Method::HEAD);
            let Some(location) = answer
                .headers()
                .get(header::LOCATION)
                .filter(|_| is_redirect)
            else {
                return Ok((call, answer));
            };
            let next = redirected(&call.url, location)?;
            if !next.same_origin(&call.url) {
                call.authorization = None;
                // What a registry's configuration adds may be a secret, too.
                let mut headers = http::HeaderMap::new();
                for name in [header::ACCEPT, header::RANGE] {
                    if let Some(value) = call.headers.remove(&name) {
                        headers.insert(name, value);
                    }
                }
                call.headers = headers;
                http = self.foreign(&next, local).await?;
            }
            call.url = next;
        }
        Err(Error::Protocol {
            host: call.url.authority.clone(),
            why: format!("stopped after {MAX_REDIRECTS} redirects"),
        })
    }
}

/// Where a redirect leads, if we go there.
pub(super) fn redirected(from: &Url, location: &HeaderValue) -> Result<Url> {
    let refuse = |to: String, why| Error::Redirect {
        from: from.to_string(),
        to,
        why,
    };
    let text = String::from_utf8_lossy(location.as_bytes());
    let Some(next) = from.join(&text) else {
        // Neither a signature nor a password belongs into a message.
        let shown = text.split('?').next().unwrap_or_default();
        let shown = shown.rsplit('@').next().unwrap_or_default();
        let shown = shown.chars().take(200).collect();
        return Err(refuse(shown, "it is no http or https address"));
    };
    if from.secure && !next.secure {
        return Err(refuse(next.to_string(), "it is not encrypted"));
    }
    Ok(next)
}

fn is_temporary(status: StatusCode) -> bool {
    matches!(status.as_u16(), 429 | 500 | 502..=504)
}
