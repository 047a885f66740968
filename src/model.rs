//! The words of the domain. No I/O, no clock, ordered collections only; uses nothing else of this crate.

mod audit;
mod drift;
mod entitlement;
mod group;
mod id;
mod known;
mod ledger;
mod mailbox;
mod observation;
mod outcome;
mod plan;
mod reason;
mod seats;
mod subscription;
mod surroundings;
mod time;
mod user;

pub use audit::{Actor, ActorKind, AuditEvent};
pub use drift::{
    Candidate, Cause, Certainty, Drift, DriftKind, Evidence, LossClock, MailboxState, Remedy, Response,
    RuleRef,
};
pub use entitlement::{Entitlement, Path};
pub use group::Group;
pub use id::{GroupId, PlanId, SkuId, TenantId, UserId};
pub use known::{DELETED_RETENTION, KnownUser, Loss, Memory, Presence, RecordedMailbox, Remembered};
pub use ledger::{Attempt, FLAP_WINDOW, LedgerEntry, Pending, Replaced, Undone, Unproved};
pub use mailbox::{
    MAILBOX_PLANS, MailboxKind, MailboxMemory, Probe, ProbeAnswer, is_mailbox_plan, mailbox_plan_name,
};
pub use observation::{
    Completeness, Observation, ObservationKind, Problem, ProblemKind, Sighting, Unreadable,
};
pub use outcome::{DIRECTORY_SETTLE, MAILBOX_SETTLE, Outcome, OutcomeKind, Verdict};
pub use plan::{Action, Answer, Ask, Plan, RestoreOptions, SeatNeed, Step, Waiting};
pub use reason::Reason;
pub use seats::{Catalog, Sku, SkuPlan, Units};
pub use subscription::{Backing, Outlook, Subscription, first_to_end, outlook};
pub use surroundings::{Released, Rival, Surroundings, Taken};
pub use time::{Span, Timestamp, between};
pub use user::{
    AssignedPlan, CapabilityStatus, License, LicenseAssignment, ProvisioningError, User, UserType,
};
