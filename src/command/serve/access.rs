//! Who may get a page, as the API server says.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hyper::StatusCode;
use hyper::header::{AUTHORIZATION, HeaderMap, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tracing::warn;

use super::answers::text;
use super::known_tokens::{KnownTokens, TokenKey};
use super::listener::HttpAnswer;
use crate::cluster::access_reviews::{Access, AccessReviews};
use crate::error::Error;
use crate::messages::api_errors;

/// How many tokens the API server is asked about at a time.
const MOST_REVIEWS: usize = 4;
/// How long the API server may take, and how long a token waits until it is asked about. Scrapes give up after 10 s.
const PATIENCE: Duration = Duration::from_secs(5);
/// A log line about an API server that cannot be asked is enough for so long.
const QUIET: Duration = Duration::from_secs(60);

/// Admits clients whose token authenticates a user that may get the page.
#[derive(Clone)]
pub struct Guard(Arc<GuardState>);

struct GuardState {
    reviews: AccessReviews,
    known: Mutex<KnownTokens>,
    places: Semaphore,
    warned: Mutex<Option<Instant>>,
}

/// Why a client is not admitted.
#[derive(Debug, PartialEq, Eq)]
pub enum Refusal {
    /// There is no token.
    NoToken,
    /// The token authenticates nobody.
    WrongToken,
    /// The user may not get the page.
    NoRight,
    /// The address has sent too many wrong tokens.
    TooMany,
    /// The API server could not be asked, for this reason.
    NotAsked(String),
}

impl Guard {
    /// Asks the API server with these reviews.
    pub fn new(reviews: AccessReviews) -> Self {
        let (known, places) = (Mutex::default(), Semaphore::new(MOST_REVIEWS));
        Self(Arc::new(GuardState { reviews, known, places, warned: Mutex::default() }))
    }

    /// Admits a request for a page, or says why not. Without an answer of the API server, nobody is admitted.
    ///
    /// # Errors
    /// Why the client is not admitted.
    pub async fn admit(&self, headers: &HeaderMap, page: &str, peer: IpAddr) -> Result<(), Refusal> {
        let token = token(headers).ok_or(Refusal::NoToken)?;
        let key = TokenKey::new(token, page);
        if let Some(access) = self.known().get(&key, Instant::now()) {
            return decided(access);
        }
        let busy = || Refusal::NotAsked("too many clients wait for the API server to check their tokens".to_owned());
        let waited = timeout(PATIENCE, self.0.places.acquire()).await.map_err(|_| busy())?;
        let _place = waited.map_err(|_| busy())?;
        {
            // Another request may have asked about the same token meanwhile.
            let (known, now) = (self.known(), Instant::now());
            if let Some(access) = known.get(&key, now) {
                return decided(access);
            }
            if !known.may_ask(peer, now) {
                return Err(Refusal::TooMany);
            }
        }
        let late = Err(Error::TimedOut { seconds: PATIENCE.as_secs() });
        let access = timeout(PATIENCE, self.0.reviews.review(token, page)).await.unwrap_or(late);
        let access = access.map_err(|error| self.not_asked(&error))?;
        self.known().learn(key, access, peer, Instant::now());
        decided(access)
    }

    fn known(&self) -> MutexGuard<'_, KnownTokens> {
        self.0.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The client learns no more than that: the reason is for the operator, who finds it in the log.
    fn not_asked(&self, error: &Error) -> Refusal {
        let mut warned = self.0.warned.lock().unwrap_or_else(PoisonError::into_inner);
        if warned.is_none_or(|warned| warned.elapsed() >= QUIET) {
            *warned = Some(Instant::now());
            let error = api_errors::of_controller(error);
            warn!(%error, "nobody gets metrics, because the API server cannot be asked who may");
        }
        Refusal::NotAsked("the API server cannot be asked who may get this; the controller's log says why".to_owned())
    }
}

fn decided(access: Access) -> Result<(), Refusal> {
    match access {
        Access::Allowed => Ok(()),
        Access::Denied => Err(Refusal::NoRight),
        Access::Unauthenticated => Err(Refusal::WrongToken),
    }
}

/// The bearer token of a request (RFC 6750, section 2.1). The name of the scheme is in any case (RFC 9110, section 11.1).
fn token(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    let token = token.trim();
    let is_token = !token.is_empty() && !token.contains(|character: char| character.is_whitespace());
    (scheme.eq_ignore_ascii_case("bearer") && is_token).then_some(token)
}

impl Refusal {
    /// The answer to the client.
    pub fn answer(self) -> HttpAnswer {
        match self {
            Self::NoToken => unauthorized("this page needs a token: Authorization: Bearer TOKEN\n"),
            Self::WrongToken => unauthorized("the API server does not know the token\n"),
            Self::NoRight => text(StatusCode::FORBIDDEN, "the account of the token has no right to get this page\n"),
            Self::TooMany => {
                let mut answer =
                    text(StatusCode::TOO_MANY_REQUESTS, "too many wrong tokens from this address; wait 10 s\n");
                answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("10"));
                answer
            }
            Self::NotAsked(why) => text(StatusCode::SERVICE_UNAVAILABLE, why + "\n"),
        }
    }
}

fn unauthorized(why: &'static str) -> HttpAnswer {
    let mut answer = text(StatusCode::UNAUTHORIZED, why);
    answer.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    answer
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures::future::join_all;
    use hyper::{Request, Response};
    use kube::Client;
    use kube::client::Body;
    use serde_json::json;
    use tower::{BoxError, service_fn};

    use super::*;

    const PEER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    /// An API server that knows the tokens `reader` and `stranger`, or that nobody reaches, and how often it was asked.
    fn guard(reachable: bool) -> (Guard, Arc<AtomicUsize>) {
        let asked = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&asked);
        let server = service_fn(move |request: Request<Body>| {
            counter.fetch_add(1, Ordering::SeqCst);
            async move {
                if !reachable {
                    return Err(BoxError::from("connection refused"));
                }
                let path = request.uri().path().to_owned();
                let body = request.into_body().collect_bytes().await?;
                let asked: serde_json::Value = serde_json::from_slice(&body)?;
                let status = if path.ends_with("/tokenreviews") {
                    let token = asked["spec"]["token"].as_str().expect("a token");
                    match ["reader", "stranger"].contains(&token) {
                        true => json!({"authenticated": true, "user": {"username": token, "groups": ["all"]}}),
                        false => json!({"error": "invalid bearer token"}),
                    }
                } else {
                    assert_eq!(asked["spec"]["nonResourceAttributes"], json!({"path": "/metrics", "verb": "get"}));
                    assert_eq!(asked["spec"]["groups"], json!(["all"]));
                    json!({"allowed": asked["spec"]["user"] == "reader"})
                };
                let answer = json!({"metadata": {}, "spec": asked["spec"], "status": status});
                Ok(Response::new(Body::from(serde_json::to_vec(&answer)?)))
            }
        });
        (Guard::new(AccessReviews::new(Client::new(server, "prepull"))), asked)
    }

    fn headers(authorization: &str) -> HeaderMap {
        HeaderMap::from_iter([(AUTHORIZATION, authorization.parse().expect("a header"))])
    }

    async fn admitted(guard: &Guard, authorization: &str) -> Result<(), Refusal> {
        guard.admit(&headers(authorization), "/metrics", PEER).await
    }

    #[tokio::test]
    async fn the_api_server_decides_who_is_admitted_and_is_asked_once() {
        let (guard, asked) = guard(true);
        for _ in 0..100 {
            assert_eq!(admitted(&guard, "Bearer reader").await, Ok(()));
            assert_eq!(admitted(&guard, "bearer stranger").await, Err(Refusal::NoRight));
            assert_eq!(admitted(&guard, "Bearer garbage").await, Err(Refusal::WrongToken));
        }
        assert_eq!(asked.load(Ordering::SeqCst), 5, "two reviews of each token that is known, one of the other");
    }

    #[tokio::test]
    async fn without_a_token_nobody_is_admitted_and_nobody_is_asked() {
        let (guard, asked) = guard(true);
        for authorization in ["", "Bearer", "Bearer ", "Basic cmVhZGVyOg==", "reader", "Bearer reader more"] {
            assert_eq!(admitted(&guard, authorization).await, Err(Refusal::NoToken), "{authorization}");
        }
        assert_eq!(guard.admit(&HeaderMap::new(), "/metrics", PEER).await, Err(Refusal::NoToken));
        assert_eq!(asked.load(Ordering::SeqCst), 0);
    }

    #[tokio::test]
    async fn without_an_answer_of_the_api_server_nobody_is_admitted_and_the_next_client_asks_again() {
        let (guard, asked) = guard(false);
        for _ in 0..2 {
            let refusal = admitted(&guard, "Bearer reader").await.expect_err("no answer of the API server");
            assert!(matches!(refusal, Refusal::NotAsked(_)), "{refusal:?}");
            assert_eq!(refusal.answer().status(), StatusCode::SERVICE_UNAVAILABLE);
        }
        assert_eq!(asked.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn a_flood_of_wrong_tokens_does_not_flood_the_api_server() {
        let (guard, asked) = guard(true);
        let tokens: Vec<String> = (0..1_000).map(|number| format!("Bearer wrong-{number}")).collect();
        let refused = join_all(tokens.iter().map(|token| admitted(&guard, token))).await;
        let count = |of: &Refusal| refused.iter().filter(|it| it.as_ref().is_err_and(|refusal| refusal == of)).count();
        let asked = asked.load(Ordering::SeqCst);
        assert_eq!((count(&Refusal::WrongToken), count(&Refusal::TooMany)), (asked, 1_000 - asked));
        assert!(asked < 20 + MOST_REVIEWS, "{asked}");
    }

    #[tokio::test]
    async fn a_scraper_elsewhere_is_admitted_during_the_flood() {
        let (guard, _) = guard(true);
        for number in 0..100 {
            drop(admitted(&guard, &format!("Bearer wrong-{number}")).await);
        }
        assert_eq!(admitted(&guard, "Bearer reader").await, Err(Refusal::TooMany));
        let elsewhere = IpAddr::from([10, 0, 0, 1]);
        assert_eq!(guard.admit(&headers("Bearer reader"), "/metrics", elsewhere).await, Ok(()));
        assert_eq!(admitted(&guard, "Bearer reader").await, Ok(()), "it is known now");
    }
}
