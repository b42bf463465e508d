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
use super::answers::{for_browsers, response, text, unavailable};
use super::heartbeat::Heartbeat;
use super::hosts::is_by_address;
use super::kept::Kept;
use super::listener::{HttpAnswer, Pages};
use super::map_page::MapPage;
use crate::cluster::leader_report::answer::{LEADS, NAMESPACE_QUERY};
use crate::cluster::readiness::Readiness;
use crate::cluster::status_server::Overview;
use crate::metrics::Metrics;
use crate::metrics::exposition::Format;
use crate::status::Report;

/// What there is, for somebody who asks the wrong port.
const PORTS: &str = "the controller serves /livez and /readyz at --probe-listen, /metrics at --metrics-listen, and / (for \
                     people) and /status at --status-listen, on loopback by default\n";
/// The name of another host.
const WRONG_HOST: &str =
    "this server answers only requests to localhost or to an address, as through kubectl prepull ui\n";
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
    page: MapPage,
    /// Held while a report on one namespace or a map is made.
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
        let (readiness, overview) = (readiness.clone(), overview.clone());
        Self { readiness, overview, status, page: MapPage::new(), reporting: Arc::default() }
    }

    /// What is expensive and not kept. One at a time, so that many clients do not keep all threads busy.
    async fn once(&self, make: impl FnOnce(&Overview) -> Option<String> + Send + 'static) -> MadeText {
        let _one_at_a_time = self.reporting.lock().await;
        let overview = self.overview.clone();
        tokio::task::spawn_blocking(move || Some(make(&overview)?.into())).await
    }

    async fn status(&self, request: &Parts) -> HttpAnswer {
        let made = match namespace_of(request).filter(|_| self.overview.is_of_all_namespaces()) {
            Some(namespace) => self.once(move |overview| json(&*overview.report_on(&namespace)?)).await,
            None => self.status.get().await,
        };
        self.as_json(made)
    }

    async fn map(&self) -> HttpAnswer {
        self.as_json(self.once(|overview| Some(serde_json::to_string(&overview.map()?).ok()? + "\n")).await)
    }

    fn as_json(&self, made: MadeText) -> HttpAnswer {
        match made {
            Ok(Some(made)) => {
                let mut answer = response(StatusCode::OK, JSON, made);
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

/// A text, none if there is none yet, or that computing it panicked.
type MadeText = Result<Option<Bytes>, JoinError>;

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
        if !is_by_address(&request) {
            return for_browsers(text(StatusCode::MISDIRECTED_REQUEST, WRONG_HOST));
        }
        for_browsers(match page(&request, &["/", "/status", "/map"]) {
            Err(refusal) => *refusal,
            Ok("/") => self.page.answer(),
            Ok("/map") => self.map().await,
            Ok(_) => self.status(&request).await,
        })
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
