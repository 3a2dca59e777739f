//! A registry's places, and what is known of each: how it is spoken to, and how it wants to know who asks.

use std::time::{Duration, Instant};

use http::header::{HeaderName, HeaderValue};
use http::{Method, Response, StatusCode};
use hyper::body::Incoming;
use tokio::sync::Mutex;

use super::auth::{Realm, Wanted, basic, bearer};
use super::hosts::Place;
use super::http::{Body, Call, Http, challenges};
use super::reach::{Reach, Trust};
use super::url::Url;
use super::{Credentials, Plain, Shared};
use crate::error::Cause;
use crate::wire::{Challenge, path};
use crate::{Error, Result};

/// How long what a registry said of itself counts.
const FRESH: Duration = Duration::from_mins(5);
/// How long a place that said nothing is passed over, where another follows.
const PASSED_OVER: Duration = Duration::from_mins(1);
/// How long such a place has to say something, once. Docker waits as long for mirrors.
const PATIENCE: Duration = Duration::from_secs(if cfg!(test) { 3 } else { 15 });

/// Scopes of one token.
const MAX_SCOPES: usize = 8;

/// A registry: its mirrors, then itself.
#[derive(Debug)]
pub(super) struct Registry {
    pub(super) endpoints: Vec<Endpoint>,
}

/// One place, with what is known of it.
#[derive(Debug)]
pub(super) struct Endpoint {
    pub(super) place: Place,
    /// Whether another is asked where this one fails.
    followed: bool,
    /// What it said when it was asked, or why it did not.
    known: Mutex<Option<(Instant, Result<Known>)>>,
}

/// What a place said of itself.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) http: Http,
    pub(super) secure: bool,
    /// Of this machine: it may name its neighbours.
    pub(super) local: bool,
    basic: bool,
    bearer: Option<Realm>,
}

/// How a place is reached, and what it answered.
#[derive(Debug)]
pub(super) struct Way {
    answer: Response<Incoming>,
    pub(super) http: Http,
    pub(super) secure: bool,
    pub(super) local: bool,
}

/// Who asks, and for what.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asker<'a> {
    pub(super) credentials: &'a Credentials,
    pub(super) scopes: &'a [String],
}

impl Registry {
    pub(super) fn new(places: Vec<Place>) -> Self {
        let mut endpoints: Vec<Endpoint> = places.into_iter().map(Endpoint::new).collect();
        if let Some((_, mirrors)) = endpoints.split_last_mut() {
            for mirror in mirrors {
                mirror.followed = true;
            }
        }
        Self { endpoints }
    }

    pub(super) fn has_places(&self, places: &[Place]) -> bool {
        self.endpoints
            .iter()
            .map(|endpoint| &endpoint.place)
            .eq(places)
    }
}

impl Endpoint {
    pub(super) fn new(place: Place) -> Self {
        Self {
            place,
            followed: false,
            known: Mutex::default(),
        }
    }

    /// What is known of the place; asks it (specification: end-1) where that is nothing, or old.
    pub(super) async fn known(&self, shared: &Shared) -> Result<Known> {
        let arrived = Instant::now();
        let mut known = self.known.lock().await;
        if let Some((at, said)) = known.as_ref() {
            let counts = match said {
                Ok(_) => FRESH,
                Err(_) if self.followed => PASSED_OVER,
                // Only those who waited for the answer share it: whoever comes later asks anew.
                Err(_) => Duration::ZERO,
            };
            if arrived < *at + counts {
                return said.clone();
            }
        }
        let said = self.ask(shared).await;
        *known = Some((Instant::now(), said.clone()));
        said
    }

    /// Where its users' credentials belong.
    pub(super) async fn origin(&self, shared: &Shared) -> Result<Url> {
        Ok(self.place.url(self.known(shared).await?.secure, "/"))
    }

    /// Forgets it all after a failure that may come of it. One that took its whole time is what is known of a place that
    /// others follow: they are asked at once.
    async fn learn(&self, error: &Error) {
        let Error::Transport { cause, .. } = error else {
            return;
        };
        if self.followed && *cause == Cause::Timeout {
            *self.known.lock().await = Some((Instant::now(), Err(error.clone())));
        } else if cause.is_connect() {
            *self.known.lock().await = None;
        }
    }

    async fn ask(&self, shared: &Shared) -> Result<Known> {
        match self.way(shared, path::BASE).await {
            Ok(way) => self.understand(&way),
            Err(mut failures) => Err(failures.pop().expect("one scheme was tried")),
        }
    }

    /// How the place is reached, found out with a path that anybody may ask for; or why not, by each scheme.
    pub(super) async fn way(&self, shared: &Shared, path: &str) -> Result<Way, Vec<Error>> {
        let trust = shared
            .insecure
            .trust(&self.place.url(true, path::BASE))
            .await;
        let mut settings = self.place.tls.clone();
        let (reach, insecure) = match trust {
            Trust::Verified => (Reach::Any, false),
            Trust::Insecure(reach) => (reach, true),
        };
        // Where the user gave certificates to check, they are checked, and nothing is said in clear.
        let insecure = insecure && settings.authorities.is_empty();
        settings.skip_verify |= insecure;
        let local = reach != Reach::Any || self.place.url(true, "/").is_loopback();
        let schemes: &[bool] = match self.place.secure {
            Some(true) => &[true],
            Some(false) => &[false],
            // Never to HTTP where the user did not say so, whatever TLS fails of.
            None if insecure && shared.options.plain != Plain::Never => &[true, false],
            None => &[true],
        };
        let http = shared
            .connections(settings, reach)
            .map_err(|error| vec![error])?;
        let mut failures = Vec::new();
        for secure in schemes {
            let mut call = self.call(Method::GET, *secure, path);
            if self.followed {
                (call.limit, call.attempts) = (PATIENCE, 1);
            }
            let error = match shared.send(http.clone(), local, call).await {
                Ok((call, answer)) => {
                    return Ok(Way {
                        // Where a redirect led, later requests are not sent: they are redirected themselves.
                        secure: call.url.secure,
                        answer,
                        http,
                        local,
                    });
                }
                Err(error) => error,
            };
            let goes_on = match &error {
                Error::Transport { cause, .. } => {
                    cause.is_connect()
                        && (shared.options.plain != Plain::WhenAnswered
                            || *cause == Cause::PlainHttp)
                }
                _ => false,
            };
            failures.push(error);
            if !goes_on {
                break;
            }
        }
        Err(failures)
    }

    fn understand(&self, way: &Way) -> Result<Known> {
        let status = way.answer.status();
        if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
            return Err(Error::Status(status));
        }
        let (secure, local, http) = (way.secure, way.local, way.http.clone());
        let mut known = Known {
            http,
            secure,
            local,
            basic: false,
            bearer: None,
        };
        if status == StatusCode::UNAUTHORIZED {
            known.take(
                &self.place.url(secure, "/"),
                challenges(way.answer.headers()),
            )?;
        }
        Ok(known)
    }

    pub(super) fn call(&self, method: Method, secure: bool, path: &str) -> Call {
        let mut call = Call::new(method, self.place.url(secure, path));
        for (name, value) in &self.place.headers {
            if let (Ok(name), Ok(value)) =
                (name.parse::<HeaderName>(), value.parse::<HeaderValue>())
            {
                call.headers.append(name, value);
            }
        }
        call
    }

    /// Sends a request to this place with what it needs to know of the asker; asks for a new token once if need be.
    pub(super) async fn send(
        &self,
        shared: &Shared,
        asker: Asker<'_>,
        method: Method,
        path: &str,
        fill: impl Fn(&mut Call),
    ) -> Result<(Call, Response<Incoming>)> {
        let mut known = self.known(shared).await?;
        let mut asked = asker.scopes.to_vec();
        let mut again = true;
        loop {
            let mut call = self.call(method.clone(), known.secure, path);
            fill(&mut call);
            let here = Asker {
                credentials: self.credentials(asker.credentials),
                scopes: &asked,
            };
            call.authorization = self.authorization(shared, &known, here, &call).await?;
            let sent = call.authorization.clone();
            let outcome = shared.send(known.http.clone(), known.local, call).await;
            let (call, answer) = match outcome {
                Ok(outcome) => outcome,
                Err(error) => {
                    self.learn(&error).await;
                    return Err(error);
                }
            };
            let ours = call.url.same_origin(&self.place.url(known.secure, "/"));
            if answer.status() != StatusCode::UNAUTHORIZED || !ours || !again {
                return Ok((call, answer));
            }
            again = false;
            let challenges = challenges(answer.headers());
            let more = with_scope(&asked, &challenges);
            // A token that allows too little is still good for what it was asked for.
            if more == asked
                && let (Some(sent), Some(wanted)) = (&sent, wanted(&known, here, &call.url))
            {
                shared.tokens.forget(&wanted, sent);
            }
            let useful = known.basic || known.bearer.is_some() || !challenges.is_empty();
            if !useful || matches!(asker.credentials, Credentials::RegistryToken(_)) {
                return Ok((call, answer));
            }
            asked = more;
            known.take(&call.url, challenges)?;
            *self.known.lock().await = Some((Instant::now(), Ok(known.clone())));
        }
    }

    /// Sends a body once, to this place or where it said.
    pub(super) async fn put(
        &self,
        shared: &Shared,
        asker: Asker<'_>,
        mut call: Call,
        body: Body,
    ) -> Result<(Call, Response<Incoming>)> {
        let known = self.known(shared).await?;
        let own = self.place.url(known.secure, "/");
        let http = if call.url.same_origin(&own) {
            let here = Asker {
                credentials: self.credentials(asker.credentials),
                ..asker
            };
            call.authorization = self.authorization(shared, &known, here, &call).await?;
            known.http.clone()
        } else {
            call.authorization = None;
            shared.foreign(&call.url, known.local).await?
        };
        let answer = http.once(&call, body).await?;
        if answer.status() == StatusCode::UNAUTHORIZED
            && let (Some(sent), Some(wanted)) = (&call.authorization, wanted(&known, asker, &own))
        {
            shared.tokens.forget(&wanted, sent);
        }
        Ok((call, answer))
    }

    /// A mirror is somebody else: it never learns who we are to the registry.
    fn credentials<'a>(&self, credentials: &'a Credentials) -> &'a Credentials {
        if self.place.mirror {
            &Credentials::Anonymous
        } else {
            credentials
        }
    }

    async fn authorization(
        &self,
        shared: &Shared,
        known: &Known,
        asker: Asker<'_>,
        call: &Call,
    ) -> Result<Option<HeaderValue>> {
        if let Credentials::RegistryToken(token) = asker.credentials {
            return Ok(bearer(token));
        }
        if let Some(wanted) = wanted(known, asker, &call.url) {
            return shared.tokens.get(shared, &wanted).await.map(Some);
        }
        if !known.basic {
            return Ok(None);
        }
        match basic(asker.credentials) {
            Some(value) => Ok(Some(value)),
            None => Err(call.failed(Cause::NoCredentials)),
        }
    }
}

impl Known {
    /// Learns how the place wants to know who asks.
    pub(super) fn take(&mut self, registry: &Url, challenges: Vec<Challenge>) -> Result<()> {
        for challenge in challenges {
            match challenge {
                Challenge::Basic => self.basic = true,
                Challenge::Bearer { realm, service, .. } => {
                    self.bearer = Some(Realm::new(registry, self.local, &realm, service)?);
                }
            }
        }
        Ok(())
    }

    pub(super) fn realm(&self) -> Option<&Realm> {
        self.bearer.as_ref()
    }

    pub(super) fn wants_basic(&self) -> bool {
        self.basic
    }
}

fn wanted<'a>(known: &'a Known, asker: Asker<'a>, registry: &'a Url) -> Option<Wanted<'a>> {
    known.bearer.as_ref().map(|realm| Wanted {
        registry,
        local: known.local,
        realm,
        credentials: asker.credentials,
        scopes: asker.scopes,
    })
}

/// The scopes that were asked for, and those that the registry says are needed beyond them.
fn with_scope(asked: &[String], challenges: &[Challenge]) -> Vec<String> {
    let mut scopes = asked.to_vec();
    for challenge in challenges {
        let Challenge::Bearer { scope, .. } = challenge else {
            continue;
        };
        for needed in scope.split(' ').filter(|scope| !scope.is_empty()) {
            if scopes.len() < MAX_SCOPES && !scopes.iter().any(|known| covers(known, needed)) {
                scopes.push(needed.to_owned());
            }
        }
    }
    scopes
}

/// Whether one scope, `type:name:action,action`, allows what another asks for.
fn covers(known: &str, needed: &str) -> bool {
    match (known.rsplit_once(':'), needed.rsplit_once(':')) {
        (Some((of, actions)), Some((needed_of, needed))) if of == needed_of => needed
            .split(',')
            .all(|needed| actions.split(',').any(|known| known == needed)),
        _ => known == needed,
    }
}
