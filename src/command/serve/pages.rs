//! What each listener serves.

use std::net::IpAddr;
use std::sync::Arc;

use hyper::body::Bytes;
use hyper::header::{ACCEPT, ALLOW, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Method, StatusCode};
use tokio::sync::Mutex;
use tokio::task::JoinError;

use super::access::Guard;
use super::answers::{response, text, unavailable};
use super::heartbeat::Heartbeat;
use super::kept::Kept;
use super::listener::{HttpAnswer, Pages};
use crate::cluster::leader_report::answer::{LEADS, NAMESPACE_QUERY};
use crate::cluster::readiness::Readiness;
use crate::cluster::status_server::Overview;
use crate::metrics::Metrics;
use crate::metrics::exposition::Format;
use crate::status::Report;

/// What there is, for somebody who asks the wrong port.
const PORTS: &str = "the controller serves /livez and /readyz at --probe-listen, /metrics at --metrics-listen, and /status at \
                     --status-listen, on loopback by default\n";
const JSON: &str = "application/json";

/// The kubelet's probes. They need neither locks that are held for long nor another thread.
#[derive(Clone)]
pub struct ProbePages {
    /// For `/readyz`.
    pub readiness: Readiness,
    /// For `/livez`.
    pub heartbeat: Heartbeat,
}

/// What Prometheus scrapes.
#[derive(Clone)]
pub struct MetricsPages {
    openmetrics: Kept,
    prometheus: Kept,
    guard: Option<Guard>,
}

/// What users see by a forwarded port.
#[derive(Clone)]
pub struct StatusPages {
    readiness: Readiness,
    overview: Overview,
    status: Kept,
    /// Held while a report on one namespace is made.
    reporting: Arc<Mutex<()>>,
}

impl Pages for ProbePages {
    async fn answer(&self, request: Parts, _: IpAddr) -> HttpAnswer {
        match page(&request, &["/livez", "/readyz"]) {
            Err(refusal) => *refusal,
            Ok("/livez") => match self.heartbeat.silence() {
                None => text(StatusCode::OK, "ok\n"),
                Some(silence) => {
                    let silent = format!("the controller has been busy or stuck for {} s\n", silence.as_secs());
                    text(StatusCode::SERVICE_UNAVAILABLE, silent)
                }
            },
            Ok(_) => match self.readiness.why_not_ready() {
                none if none.is_empty() => text(StatusCode::OK, "ok\n"),
                reasons => unavailable(&reasons),
            },
        }
    }
}

impl MetricsPages {
    /// With a guard, only those get metrics whom it admits.
    pub fn new(metrics: &Metrics, overview: &Overview, guard: Option<Guard>) -> Self {
        let of = |format: Format| {
            let (metrics, overview) = (metrics.clone(), overview.clone());
            Kept::new(move || Some(metrics.exposition(format, overview.leads(), overview.report())))
        };
        Self { openmetrics: of(Format::OpenMetrics), prometheus: of(Format::Prometheus), guard }
    }
}

impl Pages for MetricsPages {
    async fn answer(&self, request: Parts, peer: IpAddr) -> HttpAnswer {
        if let Err(refusal) = page(&request, &["/metrics"]) {
            return *refusal;
        }
        if let Some(guard) = &self.guard
            && let Err(refusal) = guard.admit(&request.headers, request.uri.path(), peer).await
        {
            return refusal.answer();
        }
        let wanted = request.headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
        let format = Format::wanted(&wanted.collect::<Vec<_>>().join(","));
        let kept = match format {
            Format::OpenMetrics => &self.openmetrics,
            Format::Prometheus => &self.prometheus,
        };
        match kept.get().await {
            Ok(exposition) => response(StatusCode::OK, format.content_type(), exposition.unwrap_or_default()),
            Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
        }
    }
}

impl StatusPages {
    /// Until everything is listed, there is no status, and `readiness` says why.
    pub fn new(readiness: &Readiness, overview: &Overview) -> Self {
        let source = overview.clone();
        let status = Kept::dated(move || {
            let (made, report) = source.dated_report()?;
            Some((made, json(&report)?))
        });
        Self { readiness: readiness.clone(), overview: overview.clone(), status, reporting: Arc::default() }
    }

    /// The report on one of all namespaces. One at a time, so that many clients do not keep all threads busy.
    async fn on_namespace(&self, namespace: String) -> Result<Option<Bytes>, JoinError> {
        let _one_at_a_time = self.reporting.lock().await;
        let overview = self.overview.clone();
        let report = move || Some(json(&*overview.report_on(&namespace)?)?.into());
        tokio::task::spawn_blocking(report).await
    }
}

/// A report has no key that is not a text, which is what JSON cannot write.
fn json(report: &Report) -> Option<String> {
    Some(serde_json::to_string_pretty(report).ok()? + "\n")
}

/// The namespace that a request asks for.
fn namespace_of(request: &Parts) -> Option<String> {
    let queries = request.uri.query()?.split('&').filter_map(|query| query.split_once('='));
    let mut namespaces = queries.filter(|(key, _)| *key == NAMESPACE_QUERY).map(|(_, namespace)| namespace);
    namespaces.next().map(str::to_owned)
}

impl Pages for StatusPages {
    async fn answer(&self, request: Parts, _: IpAddr) -> HttpAnswer {
        if let Err(refusal) = page(&request, &["/status"]) {
            return *refusal;
        }
        let status = match namespace_of(&request).filter(|_| self.overview.is_of_all_namespaces()) {
            Some(namespace) => self.on_namespace(namespace).await,
            None => self.status.get().await,
        };
        match status {
            Ok(Some(status)) => {
                let mut answer = response(StatusCode::OK, JSON, status);
                // For commands: who does not lead may have lost the API server, and know only what was.
                let leads = if self.overview.leads() { "true" } else { "false" };
                answer.headers_mut().insert(LEADS, HeaderValue::from_static(leads));
                answer
            }
            Ok(None) => unavailable(&self.readiness.why_not_ready()),
            Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
        }
    }
}

/// Which of the pages that the listener has is requested, or why there is none.
fn page<'a>(request: &Parts, pages: &[&'a str]) -> Result<&'a str, Box<HttpAnswer>> {
    if ![Method::GET, Method::HEAD].contains(&request.method) {
        let mut refusal = text(StatusCode::METHOD_NOT_ALLOWED, "only GET is supported\n");
        refusal.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return Err(Box::new(refusal));
    }
    let page = pages.iter().find(|page| **page == request.uri.path());
    let unknown = || text(StatusCode::NOT_FOUND, format!("this port serves {}\n{PORTS}", pages.join(" and ")));
    page.copied().ok_or_else(|| Box::new(unknown()))
}
