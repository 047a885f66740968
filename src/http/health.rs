//! Whether mailkeeper can do its work: what the daemon knows of itself, judged against the time. No I/O.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::model::{Span, Timestamp};

/// Clocks that are apart by less are right.
const CLOCKS_APART: Span = Span::from_minutes(5);

/// What the daemon knows of itself. The default is a process that has not started its tenants.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Health {
    pub tenants: BTreeMap<String, TenantHealth>,
    /// Why state or journal cannot be written.
    pub store_failure: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantHealth {
    /// Start of the last complete observation.
    pub last_complete_observation: Option<Timestamp>,
    /// The longest time between two passes that the schedule gives.
    pub schedule_period: Span,
    /// Why the newest policy cannot be loaded.
    pub policy_failure: Option<String>,
}

impl TenantHealth {
    /// One pass may fail without anybody being woken; two may not.
    pub fn observation_may_be_old(&self) -> Span {
        Span::from_millis(self.schedule_period.as_millis().saturating_mul(2))
    }

    /// True when there is no complete observation, or none that is young enough.
    pub fn is_observation_missing(&self, now: Timestamp) -> bool {
        self.observation_missing(now).is_some()
    }
}

/// One thing that stands between mailkeeper and its work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Missing {
    pub what: MissingKind,
    /// `None` when it concerns the whole process.
    pub tenant: Option<String>,
    /// For people.
    pub detail: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MissingKind {
    /// No tenant has been started.
    Tenants,
    /// No complete observation, or none that is young enough.
    Observation,
    /// The newest policy cannot be loaded.
    Policy,
    /// State or journal cannot be written.
    Store,
}

impl Health {
    /// What is missing at `now`; empty when ready.
    pub fn missing(&self, now: Timestamp) -> Vec<Missing> {
        let mut missing = Vec::new();
        if let Some(detail) = &self.store_failure {
            missing.push(Missing { what: MissingKind::Store, tenant: None, detail: detail.clone() });
        }
        if self.tenants.is_empty() {
            let detail = "no tenant has been started yet".to_owned();
            missing.push(Missing { what: MissingKind::Tenants, tenant: None, detail });
        }
        for (name, tenant) in &self.tenants {
            let one = |what, detail| Missing { what, tenant: Some(name.clone()), detail };
            missing
                .extend(tenant.observation_missing(now).map(|detail| one(MissingKind::Observation, detail)));
            missing.extend(tenant.policy_failure.clone().map(|detail| one(MissingKind::Policy, detail)));
        }
        missing
    }
}

impl TenantHealth {
    fn observation_missing(&self, now: Timestamp) -> Option<String> {
        let Some(observed) = self.last_complete_observation else {
            return Some("there is no complete observation yet".to_owned());
        };
        let (age, limit) = (now - observed, self.observation_may_be_old());
        if age.is_negative() && age.is_beyond(CLOCKS_APART) {
            return Some(format!(
                "the last complete observation lies in the future, at {observed}: the clock was wrong"
            ));
        }
        (age > limit)
            .then(|| format!("the last complete observation is {age} old, at most {limit} is allowed"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample::NOW;

    fn tenant(age: Option<Span>, policy_failure: Option<&str>) -> Health {
        let tenant = TenantHealth {
            last_complete_observation: age.map(|age| NOW - age),
            schedule_period: Span::from_minutes(10),
            policy_failure: policy_failure.map(str::to_owned),
        };
        Health { tenants: BTreeMap::from([("contoso".to_owned(), tenant)]), store_failure: None }
    }

    #[test]
    fn readiness_names_everything_that_is_missing() {
        let full_store =
            Health { store_failure: Some("disk full".to_owned()), ..tenant(None, Some("line 3")) };
        let cases = [
            ("a young observation", tenant(Some(Span::from_minutes(1)), None), vec![]),
            ("just young enough", tenant(Some(Span::from_minutes(20)), None), vec![]),
            ("clocks a little apart", tenant(Some(Span::from_minutes(-1)), None), vec![]),
            (
                "a clock that was wrong",
                tenant(Some(Span::from_minutes(-60)), None),
                vec![MissingKind::Observation],
            ),
            ("too old", tenant(Some(Span::from_secs(1201)), None), vec![MissingKind::Observation]),
            ("never observed", tenant(None, None), vec![MissingKind::Observation]),
            ("a bad policy", tenant(Some(Span::ZERO), Some("line 3")), vec![MissingKind::Policy]),
            ("nothing started", Health::default(), vec![MissingKind::Tenants]),
            (
                "all at once",
                full_store,
                vec![MissingKind::Store, MissingKind::Observation, MissingKind::Policy],
            ),
        ];
        for (case, health, expected) in cases {
            let found: Vec<_> = health.missing(NOW).into_iter().map(|missing| missing.what).collect();
            assert_eq!(found, expected, "{case}");
        }
    }
}
