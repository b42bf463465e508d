//! How watches list what exists before they follow its changes, so that little of it is in memory at a time.
//!
//! Where the API server has streaming lists (by default in Kubernetes 1.32, and from 1.34 on), objects come one by one. Elsewhere they come
//! in small pages. And one watch lists at a time, so that the peaks of memory do not add up.

use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::stream::{self, BoxStream};
use futures::{Stream, StreamExt};
use kube::runtime::watcher::{self, Event, InitialListStrategy, watcher};
use kube::{Api, Resource};
use serde::de::DeserializeOwned;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tracing::{debug, info};

use crate::cluster::watch_error;

/// How many objects to request per page. A pod of 20 images takes some 40 kB of JSON, and several times that while a page is
/// decoded. At the usual 500 per page, that would be most of the memory that the controller ever needs.
const PAGE_SIZE: u32 = 50;
/// How long a watch waits for the others. Memory is not worth that one which hangs stops all.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a streaming list may be silent. No list may depend on that its end is announced.
const SILENCE: Duration = Duration::from_secs(30);

/// What the watches of a controller share about their listings.
#[derive(Clone, Debug)]
pub struct Listings {
    turn: Arc<Semaphore>,
    /// Whether the API server has said that it has no streaming lists.
    paged: Arc<AtomicBool>,
}

impl Default for Listings {
    fn default() -> Self {
        Self { turn: Arc::new(Semaphore::new(1)), paged: Arc::default() }
    }
}

impl Listings {
    /// Watches objects, all those first that exist.
    pub fn watch<K>(
        &self,
        api: Api<K>,
        config: watcher::Config,
    ) -> impl Stream<Item = watcher::Result<Event<K>>> + Send + use<K>
    where
        K: Resource + Clone + Debug + DeserializeOwned + Send + 'static,
    {
        let config = config.page_size(PAGE_SIZE);
        self.in_turn(move |strategy| {
            let config = watcher::Config { initial_list_strategy: strategy, ..config.clone() };
            watcher(api.clone(), config).boxed()
        })
    }

    fn in_turn<K, B>(&self, begin: B) -> impl Stream<Item = watcher::Result<Event<K>>> + Send + use<K, B>
    where
        K: Send + 'static,
        B: Fn(InitialListStrategy) -> BoxStream<'static, watcher::Result<Event<K>>> + Send + 'static,
    {
        let first = Listing { listings: self.clone(), begin, events: None, state: State::First };
        stream::unfold(first, |mut listing| async { listing.next().await.map(|event| (event, listing)) })
    }

    async fn turn(&self) -> Option<OwnedSemaphorePermit> {
        timeout(PATIENCE, Arc::clone(&self.turn).acquire_owned()).await.ok()?.ok()
    }
}

/// One watch.
struct Listing<K, B> {
    listings: Listings,
    begin: B,
    /// Its events, and whether it lists them as a stream.
    events: Option<(BoxStream<'static, watcher::Result<Event<K>>>, bool)>,
    state: State,
}

/// What a watch does.
enum State {
    /// It has not begun.
    First,
    /// It lists. It may have gone ahead without its turn.
    Lists { _turn: Option<OwnedSemaphorePermit> },
    /// It follows changes, or pauses after an error.
    Follows,
}

impl<K, B> Listing<K, B>
where
    B: Fn(InitialListStrategy) -> BoxStream<'static, watcher::Result<Event<K>>>,
{
    async fn next(&mut self) -> Option<watcher::Result<Event<K>>> {
        loop {
            if matches!(self.state, State::First) {
                self.state = State::Lists { _turn: self.listings.turn().await };
            }
            let begun = self.events.take();
            let (mut events, streamed) =
                begun.unwrap_or_else(|| self.begin(self.listings.paged.load(Ordering::Relaxed)));
            let event = match &self.state {
                State::Lists { .. } if streamed => match timeout(SILENCE, events.next()).await {
                    Ok(event) => event,
                    Err(_) => {
                        debug!("a streaming list does not end; listing in pages");
                        self.events = Some(self.begin(true));
                        continue;
                    }
                },
                _ => events.next().await,
            };
            if streamed
                && let Some(Err(error)) = &event
                && (has_no_streams(error) || is_not_fresh(error))
            {
                if has_no_streams(error) && !self.listings.paged.swap(true, Ordering::Relaxed) {
                    info!("the API server has no streaming lists; listing in pages");
                }
                self.events = Some(self.begin(true));
                continue;
            }
            self.events = Some((events, streamed));
            match &event {
                Some(Ok(Event::Init)) if !matches!(self.state, State::Lists { .. }) => {
                    self.state = State::Lists { _turn: self.listings.turn().await };
                }
                Some(Ok(Event::InitDone) | Err(_)) => self.state = State::Follows,
                _ => {}
            }
            return event;
        }
    }

    fn begin(&self, paged: bool) -> (BoxStream<'static, watcher::Result<Event<K>>>, bool) {
        let strategy = if paged { InitialListStrategy::ListWatch } else { InitialListStrategy::StreamingList };
        ((self.begin)(strategy), !paged)
    }
}

/// Without its feature gate WatchList, an API server takes `sendInitialEvents` for an invalid option (`ValidateListOptions` in
/// `k8s.io/apimachinery/pkg/apis/meta/internalversion/validation`).
fn has_no_streams(error: &watcher::Error) -> bool {
    watch_error::status(error).is_some_and(|status| status.code == 422)
}

/// Where the storage does not say how far it is, an API server waits in vain for its cache to be up to date, and times out
/// (`waitUntilFreshAndBlock` in `k8s.io/apiserver/pkg/storage/cacher`). It reads pages from the storage itself.
fn is_not_fresh(error: &watcher::Error) -> bool {
    watch_error::status(error).is_some_and(|status| status.code == 504)
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use futures::FutureExt;
    use futures::channel::mpsc::{UnboundedReceiver, UnboundedSender, unbounded};
    use kube::core::Status;

    use super::*;

    type Events = watcher::Result<Event<&'static str>>;

    /// A watch whose events come from the test: as a stream first, then in pages.
    struct Trial {
        streamed: UnboundedSender<Events>,
        paged: UnboundedSender<Events>,
        watch: BoxStream<'static, Events>,
        begun: Arc<Mutex<Vec<InitialListStrategy>>>,
    }

    impl Trial {
        fn of(listings: &Listings) -> Self {
            let ((streamed, from_stream), (paged, from_pages)) = (unbounded(), unbounded());
            let sources: Mutex<[Option<UnboundedReceiver<Events>>; 2]> =
                Mutex::new([Some(from_stream), Some(from_pages)]);
            let begun = Arc::<Mutex<Vec<_>>>::default();
            let seen = Arc::clone(&begun);
            let watch = listings.in_turn(move |strategy| {
                seen.lock().expect("a list").push(strategy.clone());
                let index = usize::from(strategy == InitialListStrategy::ListWatch);
                let source = sources.lock().expect("sources")[index].take();
                source.expect("a source begins once").boxed()
            });
            Self { streamed, paged, watch: watch.boxed(), begun }
        }

        async fn next(&mut self) -> String {
            match self.watch.next().await.expect("no end") {
                Ok(Event::InitApply(name) | Event::Apply(name) | Event::Delete(name)) => name.to_owned(),
                Ok(Event::Init) => "Init".to_owned(),
                Ok(Event::InitDone) => "InitDone".to_owned(),
                Err(error) => error.to_string(),
            }
        }

        fn is_idle(&mut self) -> bool {
            self.watch.next().now_or_never().is_none()
        }

        fn begun(&self) -> Vec<InitialListStrategy> {
            self.begun.lock().expect("a list").clone()
        }
    }

    fn send(to: &UnboundedSender<Events>, events: impl IntoIterator<Item = Events>) {
        events.into_iter().for_each(|event| to.unbounded_send(event).expect("a watch"));
    }

    fn error(code: u16) -> Events {
        let status = Status::failure("", "").with_code(code).boxed();
        Err(watcher::Error::WatchStartFailed(kube::Error::Api(status)))
    }

    #[tokio::test]
    async fn objects_come_one_by_one_where_the_api_server_can_do_it() {
        let mut trial = Trial::of(&Listings::default());
        send(&trial.streamed, [Ok(Event::Init), Ok(Event::InitApply("a")), Ok(Event::InitDone), Ok(Event::Apply("b"))]);
        for expected in ["Init", "a", "InitDone", "b"] {
            assert_eq!(trial.next().await, expected);
        }
        assert_eq!(trial.begun(), [InitialListStrategy::StreamingList]);
    }

    #[tokio::test]
    async fn they_come_in_pages_where_it_cannot_and_it_is_asked_once() {
        let listings = Listings::default();
        let (mut trial, mut other) = (Trial::of(&listings), Trial::of(&listings));
        send(&trial.streamed, [error(422)]);
        send(&trial.paged, [Ok(Event::Init), Ok(Event::InitDone)]);
        assert_eq!((trial.next().await, trial.next().await), ("Init".to_owned(), "InitDone".to_owned()));
        send(&other.paged, [Ok(Event::Init)]);
        assert_eq!(other.next().await, "Init");
        assert_eq!(other.begun(), [InitialListStrategy::ListWatch]);
    }

    #[tokio::test]
    async fn one_watch_gets_pages_where_the_api_server_cannot_bring_its_cache_up_to_date() {
        let listings = Listings::default();
        let (mut trial, mut other) = (Trial::of(&listings), Trial::of(&listings));
        send(&trial.streamed, [error(504)]);
        send(&trial.paged, [Ok(Event::Init), Ok(Event::InitDone)]);
        assert_eq!((trial.next().await, trial.next().await), ("Init".to_owned(), "InitDone".to_owned()));
        send(&other.streamed, [Ok(Event::Init)]);
        assert_eq!(other.next().await, "Init");
    }

    #[tokio::test(start_paused = true)]
    async fn they_come_in_pages_where_the_stream_never_ends() {
        let mut trial = Trial::of(&Listings::default());
        send(&trial.streamed, [Ok(Event::Init), Ok(Event::InitApply("a"))]);
        assert_eq!((trial.next().await, trial.next().await), ("Init".to_owned(), "a".to_owned()));
        send(&trial.paged, [Ok(Event::Init)]);
        assert_eq!(trial.next().await, "Init", "all of it again");
    }

    #[tokio::test(start_paused = true)]
    async fn any_other_error_is_reported_and_nothing_is_silent_too_long_after_the_listing() {
        let mut trial = Trial::of(&Listings::default());
        send(&trial.streamed, [error(403), Ok(Event::Init), Ok(Event::InitDone)]);
        assert!(trial.next().await.contains("failed to start"));
        assert_eq!((trial.next().await, trial.next().await), ("Init".to_owned(), "InitDone".to_owned()));
        assert!(timeout(10 * SILENCE, trial.watch.next()).await.is_err());
        assert_eq!(trial.begun().len(), 1);
    }

    #[tokio::test]
    async fn one_watch_lists_at_a_time() {
        let listings = Listings::default();
        let (mut one, mut other) = (Trial::of(&listings), Trial::of(&listings));
        send(&one.streamed, [Ok(Event::Init)]);
        send(&other.streamed, [Ok(Event::Init), Ok(Event::InitDone)]);
        assert_eq!(one.next().await, "Init");
        assert!(other.is_idle());
        send(&one.streamed, [Ok(Event::InitDone)]);
        assert_eq!(one.next().await, "InitDone");
        assert_eq!((other.next().await, other.next().await), ("Init".to_owned(), "InitDone".to_owned()));
        // Again after it has lost track of the changes.
        send(&one.streamed, [Ok(Event::Init)]);
        send(&other.streamed, [Ok(Event::Init)]);
        assert_eq!(one.next().await, "Init");
        assert!(other.is_idle());
        send(&one.streamed, [error(500)]);
        assert!(one.next().await.contains("failed"));
        assert_eq!(other.next().await, "Init");
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_hangs_does_not_stop_the_others() {
        let listings = Listings::default();
        let (mut hanging, mut other) = (Trial::of(&listings), Trial::of(&listings));
        send(&hanging.streamed, [Ok(Event::Init)]);
        assert_eq!(hanging.next().await, "Init");
        send(&other.streamed, [Ok(Event::Init)]);
        assert_eq!(other.next().await, "Init");
    }
}
