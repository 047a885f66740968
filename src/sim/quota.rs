//! Throttling as the identity service does it: a token bucket of resource units by tenant size, and one of writes.
//! Source: Graph throttling limits, identity and access. Faults that throttle at random are in `faults`.

use super::call::Call;
use super::casts::Relation;
use super::errors::GraphError;
use super::lookups::Lookup;
use super::operation::Operation;
use crate::graph::transport::HttpResponse;
use crate::model::{Span, Timestamp};

/// How much one app may ask of one tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quota {
    /// 3,500, 5,000 or 8,000 resource units per 10 s by the number of users, 3,000 writes per 150 s.
    Microsoft,
    /// Numbers of one's own, for tests that want to meet the limit.
    Custom {
        units_per_10s: u32,
        writes_per_150s: u32,
    },
    Unlimited,
}

impl Quota {
    fn units_per_10s(self, users: usize) -> Option<u32> {
        match self {
            Quota::Microsoft if users < 50 => Some(3500),
            Quota::Microsoft if users <= 500 => Some(5000),
            Quota::Microsoft => Some(8000),
            Quota::Custom { units_per_10s, .. } => Some(units_per_10s),
            Quota::Unlimited => None,
        }
    }

    fn writes_per_150s(self) -> Option<u32> {
        match self {
            Quota::Microsoft => Some(3000),
            Quota::Custom { writes_per_150s, .. } => Some(writes_per_150s),
            Quota::Unlimited => None,
        }
    }
}

/// A bucket that refills evenly.
#[derive(Debug, Clone)]
struct Bucket {
    used: f64,
    at: Timestamp,
}

impl Bucket {
    fn new() -> Self {
        Self { used: 0.0, at: Timestamp::default() }
    }

    fn settle(&mut self, now: Timestamp, limit: f64, window: Span) {
        let elapsed = (now - self.at).as_secs_f64().max(0.0);
        self.used = (self.used - limit * elapsed / window.as_secs_f64()).max(0.0);
        self.at = now;
    }

    /// Whether `cost` fits, or after how many seconds it would. Takes nothing.
    fn check(&mut self, now: Timestamp, cost: f64, limit: f64, window: Span) -> Result<(), i64> {
        self.settle(now, limit, window);
        if self.used + cost <= limit {
            return Ok(());
        }
        let wait = (self.used + cost - limit) * window.as_secs_f64() / limit.max(1.0);
        Err((wait.ceil() as i64).max(1))
    }
}

#[derive(Debug, Clone)]
pub(super) struct Meter {
    quota: Quota,
    units: Bucket,
    writes: Bucket,
    audits: Bucket,
}

const UNIT_WINDOW: Span = Span::from_secs(10);
const WRITE_WINDOW: Span = Span::from_secs(150);
/// Graph throttling limits (2021): audit log, per app and tenant, per 10 s.
const AUDITS_PER_10S: f64 = 100.0;

/// What a request may cost, and how full the bucket is afterwards.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Charge {
    pub units: u32,
    /// 1.0 is the limit.
    pub load: f64,
}

impl Meter {
    pub fn new(quota: Quota) -> Self {
        Self { quota, units: Bucket::new(), writes: Bucket::new(), audits: Bucket::new() }
    }

    pub fn set_quota(&mut self, quota: Quota) {
        self.quota = quota;
    }

    /// Charges one request, or refuses it with 429 and takes nothing from any bucket. A batch costs what its items
    /// cost.
    pub fn charge(
        &mut self,
        now: Timestamp,
        users: usize,
        operation: &Operation,
        call: &Call,
        scope: &str,
    ) -> Result<Charge, GraphError> {
        if *operation == Operation::Batch {
            return Ok(Charge { units: 0, load: 0.0 });
        }
        let units = cost(operation, call);
        let throttled = |wait, reason: &str| {
            GraphError::new(429, "TooManyRequests", "Too many requests. Please retry again later.")
                .with_header("retry-after", format!("{wait}"))
                .with_header("x-ms-throttle-scope", scope)
                .with_header("x-ms-throttle-information", reason)
        };
        let write_limit = self.quota.writes_per_150s().filter(|_| operation.is_write()).map(f64::from);
        let is_audit = matches!(operation, Operation::ListAudits | Operation::GetAudit(_));
        let audit_limit = (is_audit && self.quota != Quota::Unlimited).then_some(AUDITS_PER_10S);
        let unit_limit = self.quota.units_per_10s(users).map(f64::from);
        let (unit, all) = (1.0, f64::from(units));
        let mut dues = [
            (&mut self.writes, write_limit, unit, WRITE_WINDOW, "WriteLimitExceeded"),
            (&mut self.audits, audit_limit, unit, UNIT_WINDOW, "ResourceUnitLimitExceeded"),
            (&mut self.units, unit_limit, all, UNIT_WINDOW, "ResourceUnitLimitExceeded"),
        ];
        for (bucket, limit, due, window, reason) in &mut dues {
            if let Some(limit) = *limit {
                bucket.check(now, *due, limit, *window).map_err(|wait| throttled(wait, reason))?;
            }
        }
        for (bucket, limit, due, ..) in dues {
            bucket.used += limit.map_or(0.0, |_| due);
        }
        Ok(Charge { units, load: unit_limit.map_or(0.0, |limit| self.units.used / limit) })
    }
}

impl Charge {
    /// What was charged is said on every answer, errors included.
    pub fn mark_error(self, error: GraphError) -> GraphError {
        if self.units == 0 {
            return error;
        }
        error.with_header("x-ms-resource-unit", self.units.to_string())
    }

    pub fn mark(self, response: HttpResponse) -> HttpResponse {
        if self.units == 0 {
            return response;
        }
        let response = response.with_header("x-ms-resource-unit", self.units.to_string());
        if self.load > 0.8 {
            return response.with_header("x-ms-throttle-limit-percentage", format!("{:.1}", self.load));
        }
        response
    }
}

fn cost(operation: &Operation, call: &Call) -> u32 {
    let base = match operation {
        Operation::ListUsers
        | Operation::LicenseDetails(_)
        | Operation::ListMemberOf { .. }
        | Operation::CountMemberOf { .. } => 2,
        Operation::ListSkus | Operation::GetSku(_) => 3,
        Operation::ListMembers { relation: Relation::Transitive, .. }
        | Operation::CountMembers { relation: Relation::Transitive, .. } => 5,
        Operation::ListMembers { .. }
        | Operation::Lookup(Lookup::MemberReferences(_))
        | Operation::CountMembers { .. }
        | Operation::MembersWithLicenseErrors(_) => 3,
        Operation::CountUsers
        | Operation::UsersDelta
        | Operation::CreateUser
        | Operation::GetUser(_)
        | Operation::UpdateUser(_)
        | Operation::DeleteUser(_)
        | Operation::AssignLicense(_)
        | Operation::ReprocessLicenses(_)
        | Operation::RestoreLiveUser(_)
        | Operation::MailboxSettings(_)
        | Operation::UserPurpose(_)
        | Operation::MailboxSetting(..)
        | Operation::ExchangeSettings(_)
        | Operation::CheckMemberGroups(_)
        | Operation::ListDeleted(_)
        | Operation::CountDeleted(_)
        | Operation::GetDeletedItem(..)
        | Operation::RestoreDeletedItem(_)
        | Operation::PurgeDeletedItem(_)
        | Operation::ListSubscriptions
        | Operation::GetSubscription(_)
        | Operation::Organization
        | Operation::GetOrganization(_)
        | Operation::ListGroups
        | Operation::CountGroups
        | Operation::Service
        | Operation::GetGroup(_)
        | Operation::CreateGroup
        | Operation::UpdateGroup(_)
        | Operation::BindMembers(_)
        | Operation::DeleteGroup(_)
        | Operation::GroupAssignLicense(_)
        | Operation::AddMember(_)
        | Operation::RemoveMember(..)
        | Operation::ListAudits
        | Operation::GetAudit(_)
        | Operation::Lookup(_)
        | Operation::Batch => 1,
    };
    let small_page = call.option("top").and_then(|top| top.parse::<u32>().ok()).is_some_and(|top| top < 20);
    let saved = u32::from(call.has_option("select")) + u32::from(small_page);
    (base + u32::from(call.has_option("expand"))).saturating_sub(saved).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_refuses_when_full_and_says_how_long() {
        let mut bucket = Bucket::new();
        let start = Timestamp::from_secs(1_000_000);
        for _ in 0..10 {
            assert_eq!(bucket.check(start, 1.0, 10.0, UNIT_WINDOW), Ok(()));
            bucket.used += 1.0;
        }
        assert_eq!(bucket.check(start, 3.0, 10.0, UNIT_WINDOW), Err(3));
        assert_eq!(bucket.check(start + Span::from_secs(3), 3.0, 10.0, UNIT_WINDOW), Ok(()));
    }

    #[test]
    fn tenants_are_classed_by_size() {
        let units = |users| Quota::Microsoft.units_per_10s(users);
        assert_eq!(
            [units(49), units(50), units(500), units(501)],
            [Some(3500), Some(5000), Some(5000), Some(8000)]
        );
        assert_eq!(Quota::Unlimited.units_per_10s(1), None);
    }
}
