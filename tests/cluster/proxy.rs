//! Stands between a controller and the API server, counts the requests, and kills or pauses the controller at one of them.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use http_body_util::BodyExt;
use hyper::body::{Body as _, Incoming};
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use kube::Client;
use kube::client::Body;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};

pub struct Proxy {
    pub kubeconfig: PathBuf,
    state: Arc<State>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct State {
    requests: AtomicUsize,
    /// Which process to kill, and before which request.
    victim: Mutex<Option<(Pid, usize)>>,
    /// Which process to pause, and what is in the path of the write at which that happens.
    pausing: Mutex<Option<(Pid, String)>>,
    /// The writes since then, that one included, by method and path.
    writes_since_pause: Mutex<Vec<String>>,
    /// What is in the paths of requests that are never answered.
    silent_about: Mutex<Option<String>>,
    /// What is in the paths of requests about resources that the API server does not know.
    ignorant_of: Mutex<Option<String>>,
    /// What serves the connections that there were.
    connections: Mutex<JoinSet<()>>,
}

impl Proxy {
    /// Passes requests on with the rights of `client`.
    pub async fn start(client: Client) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let kubeconfig = std::env::temp_dir().join(format!("proxy-{}-{}", std::process::id(), address.port()));
        let text = format!(
            "{{apiVersion: v1, kind: Config, current-context: proxy, \
             clusters: [{{name: proxy, cluster: {{server: \"http://{address}\"}}}}], users: [{{name: nobody, user: {{}}}}], \
             contexts: [{{name: proxy, context: {{cluster: proxy, user: nobody}}}}]}}"
        );
        std::fs::write(&kubeconfig, text).unwrap();
        let state = Arc::new(State::default());
        let task = tokio::spawn(serve(listener, client, Arc::clone(&state)));
        Self { kubeconfig, state, task }
    }

    /// Restarts the count, and kills the process before the request of that number (from 1).
    pub fn kill_before(&self, request: usize, process: u32) {
        *self.state.victim.lock().unwrap() = Some((Pid::from_raw(process.try_into().unwrap()), request));
        self.state.requests.store(0, Ordering::SeqCst);
    }

    /// Pauses the process at its next write to a path with that text in it. The write itself is passed on.
    pub fn pause_at(&self, path: &str, process: u32) {
        *self.state.pausing.lock().unwrap() = Some((Pid::from_raw(process.try_into().unwrap()), path.to_owned()));
    }

    /// The writes of the process since it was paused, by method and path: first the one at which it was paused. Its Lease and its
    /// Events do not count.
    pub fn writes_since_pause(&self) -> Vec<String> {
        self.state.writes_since_pause.lock().unwrap().clone()
    }

    /// Never answers a request whose path holds that text.
    pub fn be_silent_about(&self, text: &str) {
        *self.state.silent_about.lock().unwrap() = Some(text.to_owned());
    }

    /// Does not know the resources whose paths hold that text, as if nobody had defined them.
    pub fn know_nothing_of(&self, text: Option<&str>) {
        *self.state.ignorant_of.lock().unwrap() = text.map(str::to_owned);
    }

    /// Ends all connections, and with them all watches.
    pub fn disconnect(&self) {
        self.state.connections.lock().unwrap().abort_all();
    }

    /// Lets everything through from now on.
    pub fn spare(&self) {
        *self.state.victim.lock().unwrap() = None;
    }

    /// How many requests there were since the count began.
    pub fn requests(&self) -> usize {
        self.state.requests.load(Ordering::SeqCst)
    }
}

impl State {
    fn pause_at_write(&self, request: &Request<Incoming>) {
        let path = request.uri().path();
        let is_dry_run = request.uri().query().is_some_and(|query| query.contains("dryRun"));
        if request.method() == Method::GET || is_dry_run || path.contains("/leases") || path.contains("/events") {
            return;
        }
        let mut writes = self.writes_since_pause.lock().unwrap();
        let process = self.pausing.lock().unwrap().take_if(|(_, text)| path.contains(text.as_str()));
        if let Some((process, _)) = process {
            kill(process, Signal::SIGSTOP).unwrap();
        } else if writes.is_empty() {
            return;
        }
        writes.push(format!("{} {path}", request.method()));
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
        drop(std::fs::remove_file(&self.kubeconfig));
    }
}

async fn serve(listener: TcpListener, client: Client, state: Arc<State>) {
    loop {
        let (connection, _) = listener.accept().await.unwrap();
        let (client, shared) = (client.clone(), Arc::clone(&state));
        let service = service_fn(move |request| pass_on(request, client.clone(), Arc::clone(&shared)));
        let served = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(connection), service);
        state.connections.lock().unwrap().spawn(async move { drop(served.await) });
    }
}

async fn pass_on(request: Request<Incoming>, client: Client, state: Arc<State>) -> Result<Response<Body>, kube::Error> {
    let number = state.requests.fetch_add(1, Ordering::SeqCst) + 1;
    let victim = *state.victim.lock().unwrap();
    if let Some((process, _)) = victim.filter(|(_, last)| number >= *last) {
        // It may be dead already, and then this is one of the requests that it had on the way.
        let _ = kill(process, Signal::SIGKILL);
        std::future::pending::<()>().await;
    }
    state.pause_at_write(&request);
    let silent_about = state.silent_about.lock().unwrap().clone();
    if silent_about.is_some_and(|text| request.uri().path().contains(&text)) {
        std::future::pending::<()>().await;
    }
    let ignorant_of = state.ignorant_of.lock().unwrap().clone();
    if ignorant_of.is_some_and(|text| request.uri().path().contains(&text)) {
        // In the API server's own words.
        let answer = Response::builder().status(404).header("Content-Type", "text/plain; charset=utf-8");
        return Ok(answer.body(Body::from(b"404 page not found\n".to_vec())).unwrap());
    }
    let (head, body) = request.into_parts();
    let body = match body.is_end_stream() {
        true => Body::empty(),
        false => Body::from(body.collect().await.unwrap().to_bytes().to_vec()),
    };
    client.send(Request::from_parts(head, body)).await
}
