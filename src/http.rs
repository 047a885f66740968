//! `/metrics`, `/healthz`, `/readyz`, the status page and its JSON: read-only, loopback by default.
//!
//! Shows documents that others made. Nothing here asks Graph or the store, changes anything, or signs anybody in: who
//! may reach the listener may read it.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::extract::{RawQuery, State};
use axum::http::{StatusCode, header};
use axum::middleware;
use axum::response::{Html, IntoResponse, Json, Response};
use axum::routing::get;
use serde::Serialize;
use tokio::sync::watch;

use crate::clock::Clock;
use crate::model::Timestamp;
use crate::report::TenantView;
use crate::report::metrics::{CONTENT_TYPE, Metrics};

mod guard;
mod health;
mod page;
mod server;

pub use health::{Health, Missing, MissingKind, TenantHealth};
pub use server::{Server, ServerError};

/// The newest document of each tenant, by its name.
pub type Views = BTreeMap<String, Arc<TenantView>>;

/// What the handlers read. Clones share everything.
#[derive(Clone)]
pub struct HttpState {
    pub views: watch::Receiver<Views>,
    pub health: watch::Receiver<Health>,
    pub metrics: Metrics,
    pub clock: Arc<dyn Clock>,
}

/// All pages, behind the guard against what a read-only server need not accept.
pub fn router(state: HttpState) -> Router {
    Router::new()
        .route("/", get(status_page))
        .route("/metrics", get(metrics))
        .route("/healthz", get(async || "alive\n"))
        .route("/readyz", get(ready))
        .route("/api/v1/status", get(status))
        .fallback(async || {
            (StatusCode::NOT_FOUND, "not found: there is /, /metrics, /healthz, /readyz and /api/v1/status\n")
        })
        .layer(middleware::from_fn(guard::guard))
        .with_state(state)
}

/// `?refresh=off` stops the page from loading itself again.
async fn status_page(State(state): State<HttpState>, RawQuery(query): RawQuery) -> Html<String> {
    let refreshes = query.as_deref() != Some("refresh=off");
    let (views, health) = (state.views.borrow().clone(), state.health.borrow().clone());
    Html(page::page(&views, &health, state.clock.now(), refreshes).into_string())
}

async fn metrics(State(state): State<HttpState>) -> Response {
    ([(header::CONTENT_TYPE, CONTENT_TYPE)], state.metrics.render()).into_response()
}

/// `{"ready": bool, "missing": [{"what", "tenant", "detail"}]}`; 503 while something is missing.
async fn ready(State(state): State<HttpState>) -> Response {
    #[derive(Serialize)]
    struct Body {
        ready: bool,
        missing: Vec<Missing>,
    }

    let missing = state.health.borrow().missing(state.clock.now());
    let status = if missing.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(Body { ready: missing.is_empty(), missing })).into_response()
}

/// `{"at": time, "tenants": [document, ..]}`, tenants in the order of their names.
async fn status(State(state): State<HttpState>) -> Response {
    #[derive(Serialize)]
    struct Body {
        at: Timestamp,
        tenants: Vec<Arc<TenantView>>,
    }

    let tenants = state.views.borrow().values().cloned().collect();
    Json(Body { at: state.clock.now(), tenants }).into_response()
}

#[cfg(test)]
mod tests;
