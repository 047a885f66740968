//! Every metric, declared once: name, type, labels and help beside each other.
//!
//! No values are set here. The list [`DESCRIPTIONS`] and the registered families come from the same lines, so that
//! what is documented is what is exported.

use prometheus::core::Collector;
use prometheus::{GaugeVec, HistogramOpts, HistogramVec, IntCounterVec, Opts, Registry};

/// What one metric is, for documentation and tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Description {
    /// With the `mailkeeper_` prefix.
    pub name: &'static str,
    /// `gauge`, `counter` or `histogram`.
    pub kind: &'static str,
    pub labels: &'static [&'static str],
    pub help: &'static str,
}

/// Seconds. One list for both histograms: a request takes 50 milliseconds to a minute, a pass a second to half an hour.
const DURATION_BUCKETS: [f64; 12] = [0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0];

macro_rules! families {
    ($($field:ident: $kind:ty = $name:literal [$($label:literal)*] $help:literal;)+) => {
        /// The registered families; a field is named like its metric.
        pub(super) struct Families {
            $(#[doc = $help] pub(super) $field: $kind,)+
        }

        impl Families {
            /// # Errors
            /// When two declarations below share a name, or one is not a legal metric.
            pub(super) fn register(registry: &Registry) -> prometheus::Result<Self> {
                Ok(Self { $($field: <$kind>::declare(registry, $name, &[$($label),*], $help)?,)+ })
            }
        }

        /// Every metric of this program, in the order of the operator's manual.
        pub const DESCRIPTIONS: &[Description] = &[
            $(Description { name: $name, kind: <$kind>::KIND, labels: &[$($label),*], help: $help },)+
        ];
    };
}

families! {
    mailboxes: GaugeVec = "mailkeeper_mailboxes" ["tenant" "state"]
        "Mailboxes that a keep rule names, by state; unknown counts accounts in danger of which no rule can be told, too.";
    mailbox_deadline: GaugeVec = "mailkeeper_mailbox_deadline_timestamp_seconds"
        ["tenant" "user_id" "kind" "cause" "rule" "upn"]
        "When the mailbox passes Microsoft's limit; the most urgent mailboxes only, upn is empty unless the settings allow it.";
    mailbox_act_by: GaugeVec = "mailkeeper_mailbox_act_by_timestamp_seconds"
        ["tenant" "user_id" "kind" "cause" "rule" "upn"]
        "The deadline less the margin of the policy; the same mailboxes as mailkeeper_mailbox_deadline_timestamp_seconds.";
    mailboxes_expiring: GaugeVec = "mailkeeper_mailboxes_expiring" ["tenant" "within"]
        "Mailboxes whose deadline lies ahead and no further than this; cumulative.";
    earliest_deadline: GaugeVec = "mailkeeper_earliest_deadline_timestamp_seconds" ["tenant"]
        "The soonest deadline that lies ahead; absent when there is none.";
    mailboxes_lost: IntCounterVec = "mailkeeper_mailboxes_lost_total" ["tenant" "cause" "warned"]
        "Mailboxes that passed the limit; warned says whether they had been reported before.";
    actions: IntCounterVec = "mailkeeper_actions_total" ["tenant" "action" "outcome"]
        "Requests that change something, by what came of them.";
    recoveries: IntCounterVec = "mailkeeper_recoveries_total" ["tenant" "verdict"]
        "What an observation later than our action said of the mailbox; new_empty_mailbox is data loss.";
    waiting: GaugeVec = "mailkeeper_waiting" ["tenant" "reason"]
        "Drifts of the newest plan without a step, by reason.";
    users_left_alone: GaugeVec = "mailkeeper_users_left_alone" ["tenant" "reason"]
        "Users that are left alone whatever happens to them, by reason.";
    users_released: GaugeVec = "mailkeeper_users_released" ["tenant"]
        "Users who fell out of the keep rules within a day, although the policy did not change.";
    asks_open: GaugeVec = "mailkeeper_asks_open" ["tenant"]
        "Questions that wait for a person.";
    asks_oldest: GaugeVec = "mailkeeper_asks_oldest_timestamp_seconds" ["tenant"]
        "When the oldest open question was asked; absent when none is open.";
    hold: GaugeVec = "mailkeeper_hold" ["tenant"]
        "1 while a person has put mailkeeper on hold.";
    mode: GaugeVec = "mailkeeper_mode" ["tenant"]
        "1 while mailkeeper may act, 0 while it only observes.";
    seats_free: GaugeVec = "mailkeeper_seats_free" ["tenant" "sku"]
        "Seats that can be given out now; negative when more are assigned than bought.";
    seats_missing: GaugeVec = "mailkeeper_seats_missing" ["tenant" "sku"]
        "Seats that the newest plan would need beyond the free ones.";
    subscription_ends: GaugeVec = "mailkeeper_subscription_ends_timestamp_seconds" ["tenant" "sku"]
        "When the subscription that counts moves to its next stage unless renewed; absent where that is not known.";
    subscription_seats_short: GaugeVec = "mailkeeper_subscription_seats_short" ["tenant" "sku" "status"]
        "Seats in use that lose their subscription at its next stage, or have lost it; 0 while it renews itself.";
    subscription_mailboxes: GaugeVec = "mailkeeper_subscription_mailboxes" ["tenant" "sku"]
        "Healthy kept mailboxes that this product alone keeps.";
    last_complete_observation: GaugeVec = "mailkeeper_last_complete_observation_timestamp_seconds" ["tenant"]
        "Start of the last observation that may be believed; 0 when there was none.";
    last_pass: GaugeVec = "mailkeeper_last_pass_timestamp_seconds" ["tenant" "outcome"]
        "End of the last pass with this outcome; 0 when there was none since the start of the process.";
    pass_duration: HistogramVec = "mailkeeper_pass_duration_seconds" ["tenant" "outcome"]
        "How long passes took.";
    observation_rejected: IntCounterVec = "mailkeeper_observation_rejected_total" ["tenant" "reason"]
        "Why observations were not believed: nothing followed from them.";
    observation_unreadable: IntCounterVec = "mailkeeper_observation_unreadable_total" ["tenant" "reason"]
        "What could not be read in observations that were believed all the same.";
    policy_info: GaugeVec = "mailkeeper_policy_info" ["tenant" "digest" "revision"]
        "1; the labels name the policy in force and, in a git work tree, its commit.";
    policy_load_failed: GaugeVec = "mailkeeper_policy_load_failed" ["tenant"]
        "1 while the newest policy cannot be loaded and the last good one stands.";
    journal_info: GaugeVec = "mailkeeper_journal_info" ["tenant" "head"]
        "1; the label is the head of the journal's hash chain, so that a scrape witnesses the journal.";
    graph_requests: IntCounterVec = "mailkeeper_graph_requests_total" ["tenant" "endpoint" "status"]
        "Requests to Microsoft Graph and to sign-in, by HTTP status; none when no answer came.";
    graph_request_duration: HistogramVec = "mailkeeper_graph_request_duration_seconds" ["tenant" "endpoint" "status"]
        "How long requests took until the answer was read or given up.";
    graph_throttled: IntCounterVec = "mailkeeper_graph_throttled_total" ["tenant" "endpoint" "status"]
        "Answers that asked us to slow down.";
    graph_resource_units: IntCounterVec = "mailkeeper_graph_resource_units_total" ["tenant" "endpoint" "status"]
        "Resource units that Graph charged for our requests.";
    invariant_violations: IntCounterVec = "mailkeeper_invariant_violations_total" ["id"]
        "Broken promises of mailkeeper itself since the start of the process, over all tenants; must stay 0.";
    build_info: GaugeVec = "mailkeeper_build_info" ["version"]
        "1; the label names the version of mailkeeper.";
}

/// How each type of metric is made; the macro above calls it by the type.
trait Family: Sized {
    const KIND: &'static str;

    fn declare(registry: &Registry, name: &str, labels: &[&str], help: &str) -> prometheus::Result<Self>;
}

impl Family for GaugeVec {
    const KIND: &'static str = "gauge";

    fn declare(registry: &Registry, name: &str, labels: &[&str], help: &str) -> prometheus::Result<Self> {
        registered(registry, Self::new(Opts::new(name, help), labels)?)
    }
}

impl Family for IntCounterVec {
    const KIND: &'static str = "counter";

    fn declare(registry: &Registry, name: &str, labels: &[&str], help: &str) -> prometheus::Result<Self> {
        registered(registry, Self::new(Opts::new(name, help), labels)?)
    }
}

impl Family for HistogramVec {
    const KIND: &'static str = "histogram";

    fn declare(registry: &Registry, name: &str, labels: &[&str], help: &str) -> prometheus::Result<Self> {
        let options = HistogramOpts::new(name, help).buckets(DURATION_BUCKETS.to_vec());
        registered(registry, Self::new(options, labels)?)
    }
}

fn registered<T: Collector + Clone + 'static>(registry: &Registry, family: T) -> prometheus::Result<T> {
    registry.register(Box::new(family.clone()))?;
    Ok(family)
}
