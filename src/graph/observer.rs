//! A hook that sees every request, for metrics. Says nothing of users, bodies or links.

use std::time::Duration;

use super::request::Endpoint;

/// One request and how it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestSample {
    pub endpoint: Endpoint,
    /// `None` when no complete answer arrived.
    pub status: Option<u16>,
    pub duration: Duration,
    /// As Graph counted them (`x-ms-resource-unit`), else as documented.
    pub resource_units: u32,
    pub is_throttled: bool,
}

/// Called once for each request that was sent, also for repetitions.
pub trait RequestObserver: Send + Sync {
    fn observed(&self, sample: &RequestSample);
}

/// Looks away.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unobserved;

impl RequestObserver for Unobserved {
    fn observed(&self, _sample: &RequestSample) {}
}
