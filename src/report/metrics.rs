//! What Prometheus scrapes: gauges are set from the status document, counters are raised as things happen.
//!
//! The metrics themselves are declared in `families`. Nothing here decides or measures: it counts what it is told.
//! Series of closed sets (states, reasons, outcomes, ..) exist with 0 from the first moment, so that a rate sees the
//! first event; series that name a mailbox, a product or a digest disappear when what they name does.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prometheus::core::Collector;
use prometheus::{GaugeVec, IntCounterVec, Registry, TextEncoder};

use self::families::Families;
pub use self::families::{DESCRIPTIONS, Description};
use super::status::{PassOutcome, RiskRow, TenantView, waiting_by_reason};
use crate::invariant::{self, InvariantId};
use crate::model::{Action, Cause, MailboxState, OutcomeKind, ProblemKind, Reason, Span, Timestamp, Verdict};

mod families;

/// The content type of [`Metrics::render`].
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The `within` label of `mailkeeper_mailboxes_expiring`.
const EXPIRING: [(&str, Span); 5] = [
    ("1d", Span::from_days(1)),
    ("3d", Span::from_days(3)),
    ("7d", Span::from_days(7)),
    ("14d", Span::from_days(14)),
    ("30d", Span::from_days(30)),
];

/// Every cause, so that the loss counters exist before the first loss.
const CAUSES: [Cause; 9] = [
    Cause::LicenseRemoved,
    Cause::GroupLicenseRemoved,
    Cause::GroupLicenseError,
    Cause::PlanDisabled,
    Cause::SubscriptionLapsed,
    Cause::KindChanged,
    Cause::NeverLicensed,
    Cause::AccountDeleted,
    Cause::AccountPurged,
];

/// Longest label value, in characters: a user principal name has at most 113, and rule names are written by people.
const LABEL_LENGTH: usize = 200;

/// What the settings allow per mailbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MetricsLimits {
    /// At most so many mailboxes have series of their own, the most urgent first.
    pub mailboxes: usize,
    /// Whether the user principal name may be a label.
    pub upn: bool,
}

/// One finished request to Graph, however it ended.
#[derive(Debug, Clone, Copy)]
pub struct GraphRequest {
    /// A name from our own code, never a path: a path carries ids.
    pub endpoint: &'static str,
    /// HTTP status; `None` when no answer came.
    pub status: Option<u16>,
    pub duration: Duration,
    /// From the `x-ms-resource-unit` header; 0 where it is missing.
    pub resource_units: u64,
    pub is_throttled: bool,
}

/// All metrics of the process. Clones are cheap and count into the same registry.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    registry: Registry,
    families: Families,
    /// Held while a document is published and while text is made, so that a scrape never sees half of a document.
    published: Mutex<Published>,
}

impl Metrics {
    /// Registers every metric, and those of the process itself, with a registry of its own.
    pub fn new() -> Self {
        let registry = Registry::new();
        let families = Families::register(&registry).expect("the declared metrics are legal and differ");
        #[cfg(target_os = "linux")]
        registry
            .register(Box::new(prometheus::process_collector::ProcessCollector::for_self()))
            .expect("the process metrics have a prefix of their own");
        families.build_info.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1.0);
        for id in InvariantId::ALL {
            families.invariant_violations.with_label_values(&[id.label()]);
        }
        Self(Arc::new(Inner { registry, families, published: Mutex::default() }))
    }

    /// Name, type, labels and help of every metric.
    pub fn descriptions() -> &'static [Description] {
        DESCRIPTIONS
    }

    /// Lets every series of a closed set exist with 0. Costs nothing when repeated; [`Self::publish`] does it too.
    pub fn introduce(&self, tenant: &str) {
        self.introduce_once(&mut self.published(), tenant);
    }

    /// Replaces what the gauges say of this tenant by what the document says.
    pub fn publish(&self, view: &TenantView, limits: MetricsLimits) {
        let mut published = self.published();
        self.introduce_once(&mut published, &view.tenant);
        self.publish_mailboxes(&mut published, view, limits);
        self.publish_decisions(&mut published, view);
        self.publish_seats(&mut published, view);
        self.publish_subscriptions(&mut published, view);
        self.publish_trust(&mut published, view);
    }

    /// A request that changes something was sent, or was not.
    pub fn acted(&self, tenant: &str, action: &Action, outcome: OutcomeKind) {
        self.0.families.actions.with_label_values(&[tenant, action.label(), outcome.label()]).inc();
    }

    /// A later observation spoke about a repair.
    pub fn judged(&self, tenant: &str, verdict: Verdict) {
        self.0.families.recoveries.with_label_values(&[tenant, verdict.label()]).inc();
    }

    /// A mailbox passed its limit.
    pub fn lost(&self, tenant: &str, cause: Cause, is_warned: bool) {
        let warned = if is_warned { "true" } else { "false" };
        self.0.families.mailboxes_lost.with_label_values(&[tenant, cause.label(), warned]).inc();
    }

    /// Something is wrong with an observation.
    pub fn observation_problem(&self, tenant: &str, problem: ProblemKind) {
        problems(&self.0.families, problem).with_label_values(&[tenant, problem.label()]).inc();
    }

    pub fn pass_finished(&self, tenant: &str, outcome: PassOutcome, duration: Duration) {
        let family = &self.0.families.pass_duration;
        family.with_label_values(&[tenant, outcome.label()]).observe(duration.as_secs_f64());
    }

    pub fn graph_request(&self, tenant: &str, request: GraphRequest) {
        let families = &self.0.families;
        let status = request.status.map_or_else(|| "none".to_owned(), |status| status.to_string());
        let labels = [tenant, request.endpoint, status.as_str()];
        families.graph_requests.with_label_values(&labels).inc();
        families.graph_request_duration.with_label_values(&labels).observe(request.duration.as_secs_f64());
        families.graph_resource_units.with_label_values(&labels).inc_by(request.resource_units);
        if request.is_throttled {
            families.graph_throttled.with_label_values(&labels).inc();
        }
    }

    /// Everything in Prometheus' text format; see [`CONTENT_TYPE`].
    pub fn render(&self) -> String {
        let _whole_documents_only = self.published();
        for id in InvariantId::ALL {
            let counter = self.0.families.invariant_violations.with_label_values(&[id.label()]);
            counter.inc_by(invariant::violations(*id).saturating_sub(counter.get()));
        }
        TextEncoder::new()
            .encode_to_string(&self.0.registry.gather())
            .expect("gathered families are well-formed")
    }

    fn published(&self) -> MutexGuard<'_, Published> {
        // A panic between two gauges leaves them merely old; refusing every scrape afterwards would be worse.
        self.0.published.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn introduce_once(&self, published: &mut Published, tenant: &str) {
        if !published.tenants.insert(tenant.to_owned()) {
            return;
        }
        let families = &self.0.families;
        for cause in CAUSES {
            for warned in ["true", "false"] {
                families.mailboxes_lost.with_label_values(&[tenant, cause.label(), warned]);
            }
        }
        for action in Action::LABELS {
            for outcome in OutcomeKind::ALL {
                families.actions.with_label_values(&[tenant, action, outcome.label()]);
            }
        }
        for verdict in Verdict::ALL {
            families.recoveries.with_label_values(&[tenant, verdict.label()]);
        }
        for problem in ProblemKind::ALL {
            problems(families, problem).with_label_values(&[tenant, problem.label()]);
        }
        for outcome in PassOutcome::ALL {
            families.last_pass.with_label_values(&[tenant, outcome.label()]);
            families.pass_duration.with_label_values(&[tenant, outcome.label()]);
        }
        self.introduce_gauges(tenant);
    }

    fn introduce_gauges(&self, tenant: &str) {
        let families = &self.0.families;
        for state in MailboxState::ALL {
            families.mailboxes.with_label_values(&[tenant, state.label()]);
        }
        for (within, _) in EXPIRING {
            families.mailboxes_expiring.with_label_values(&[tenant, within]);
        }
        for reason in Reason::ALL {
            families.waiting.with_label_values(&[tenant, reason.label()]);
            families.users_left_alone.with_label_values(&[tenant, reason.label()]);
        }
        let single = [
            &families.asks_open,
            &families.hold,
            &families.mode,
            &families.last_complete_observation,
            &families.policy_load_failed,
        ];
        for family in single {
            family.with_label_values(&[tenant]);
        }
    }

    fn publish_mailboxes(&self, published: &mut Published, view: &TenantView, limits: MetricsLimits) {
        let families = &self.0.families;
        let tenant = view.tenant.as_str();
        for state in MailboxState::ALL {
            let count = view.states.get(&state).copied().unwrap_or(0);
            families.mailboxes.with_label_values(&[tenant, state.label()]).set(count as f64);
        }
        for (within, span) in EXPIRING {
            let gauge = families.mailboxes_expiring.with_label_values(&[tenant, within]);
            gauge.set(view.expiring_within(span) as f64);
        }
        let earliest = view.earliest_deadline().map(|deadline| (vec![], deadline.as_secs_f64()));
        published.replace(&families.earliest_deadline, tenant, earliest);

        let mut urgent = view.most_urgent(view.at);
        urgent.retain(|row| row.deadline.is_some());
        urgent.truncate(limits.mailboxes);
        let series = |time: fn(&RiskRow) -> Option<Timestamp>| {
            let one =
                |row: &&RiskRow| time(row).map(|time| (mailbox_labels(row, limits), time.as_secs_f64()));
            urgent.iter().filter_map(one).collect::<Vec<_>>()
        };
        published.replace(&families.mailbox_deadline, tenant, series(|row| row.deadline));
        published.replace(&families.mailbox_act_by, tenant, series(|row| row.act_by));
    }

    fn publish_decisions(&self, published: &mut Published, view: &TenantView) {
        let families = &self.0.families;
        let tenant = view.tenant.as_str();
        let waiting = waiting_by_reason(&view.plan);
        for reason in Reason::ALL {
            let count = waiting.get(reason).map_or(0, Vec::len);
            families.waiting.with_label_values(&[tenant, reason.label()]).set(count as f64);
            let count = view.left_alone.get(reason).copied().unwrap_or(0);
            families.users_left_alone.with_label_values(&[tenant, reason.label()]).set(count as f64);
        }
        let released = view.released.as_ref().map_or(0, |released| released.lately);
        families.users_released.with_label_values(&[tenant]).set(released as f64);
        families.asks_open.with_label_values(&[tenant]).set(view.asks.len() as f64);
        let oldest = view.asks.iter().map(|ask| ask.opened).min();
        published.replace(&families.asks_oldest, tenant, oldest.map(|opened| (vec![], opened.as_secs_f64())));
        families.hold.with_label_values(&[tenant]).set(flag(view.hold.is_some()));
        families.mode.with_label_values(&[tenant]).set(flag(view.is_acting));
    }

    fn publish_seats(&self, published: &mut Published, view: &TenantView) {
        let families = &self.0.families;
        let free = view.seats.iter().map(|seat| (vec![label(&seat.part_number)], seat.free as f64));
        published.replace(&families.seats_free, &view.tenant, free);
        let known = view.seats.iter().map(|seat| (vec![label(&seat.part_number)], 0.0));
        let needed =
            view.seat_needs.iter().map(|need| (vec![label(&need.part_number)], f64::from(need.missing)));
        published.replace(&families.seats_missing, &view.tenant, known.chain(needed));
    }

    fn publish_subscriptions(&self, published: &mut Published, view: &TenantView) {
        let families = &self.0.families;
        let ends = view.subscriptions.iter().filter_map(|row| {
            let next = row.outlook.next?;
            Some((vec![label(&row.part_number)], next.as_secs_f64()))
        });
        published.replace(&families.subscription_ends, &view.tenant, ends);
        let short = view.subscriptions.iter().map(|row| {
            let labels = vec![label(&row.part_number), row.outlook.backing.label().to_owned()];
            (labels, row.outlook.short as f64)
        });
        published.replace(&families.subscription_seats_short, &view.tenant, short);
        let kept = view.subscriptions.iter().map(|row| (vec![label(&row.part_number)], row.kept as f64));
        published.replace(&families.subscription_mailboxes, &view.tenant, kept);
    }

    fn publish_trust(&self, published: &mut Published, view: &TenantView) {
        let families = &self.0.families;
        let tenant = view.tenant.as_str();
        let observed = view.last_complete_observation.map_or(0.0, Timestamp::as_secs_f64);
        families.last_complete_observation.with_label_values(&[tenant]).set(observed);
        if let Some(pass) = &view.last_pass {
            let gauge = families.last_pass.with_label_values(&[tenant, pass.outcome.label()]);
            gauge.set(pass.finished.as_secs_f64());
        }
        let revision = view.policy.revision.as_deref().unwrap_or_default();
        let policy = (vec![label(&view.policy.digest), label(revision)], 1.0);
        published.replace(&families.policy_info, tenant, [policy]);
        families.policy_load_failed.with_label_values(&[tenant]).set(flag(view.policy.failed.is_some()));
        let head = view.journal_head.as_deref().map(|head| (vec![label(head)], 1.0));
        published.replace(&families.journal_info, tenant, head);
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

/// What the gauges hold that may have to be taken back.
#[derive(Default)]
struct Published {
    tenants: BTreeSet<String>,
    /// By metric and tenant, the label values that exist now.
    series: BTreeMap<(String, String), BTreeSet<Vec<String>>>,
}

impl Published {
    /// Makes `rows` the only series of this tenant. Label values come without the tenant; a later row wins over an
    /// earlier one with the same labels.
    fn replace(
        &mut self,
        family: &GaugeVec,
        tenant: &str,
        rows: impl IntoIterator<Item = (Vec<String>, f64)>,
    ) {
        let name = family.desc()[0].fq_name.clone();
        let before = self.series.entry((name, tenant.to_owned())).or_default();
        let mut now = BTreeSet::new();
        for (mut labels, value) in rows {
            labels.insert(0, tenant.to_owned());
            family.with_label_values(&labels).set(value);
            now.insert(labels);
        }
        for gone in before.difference(&now) {
            family.remove_label_values(gone).expect("what was published has the family's labels");
        }
        *before = now;
    }
}

/// In the order of the declaration, without the tenant.
fn mailbox_labels(row: &RiskRow, limits: MetricsLimits) -> Vec<String> {
    let upn = if limits.upn { label(&row.upn) } else { String::new() };
    let [kind, cause] = [row.drift.label(), row.cause.label()].map(str::to_owned);
    vec![row.user.to_string(), kind, cause, label(&row.rule), upn]
}

/// A label value from text that others wrote: control characters become blanks and the length is bounded. Quotes,
/// backslashes and markup stay; the text format escapes what it must.
fn label(text: &str) -> String {
    text.chars().map(|char| if char.is_control() { ' ' } else { char }).take(LABEL_LENGTH).collect()
}

fn flag(is_set: bool) -> f64 {
    f64::from(u8::from(is_set))
}

/// What rejects an observation, and what does not, are different news.
fn problems(families: &Families, problem: ProblemKind) -> &IntCounterVec {
    if problem.is_blocking() { &families.observation_rejected } else { &families.observation_unreadable }
}

#[cfg(test)]
mod tests;
