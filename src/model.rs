//! The words of the domain. No I/O, no clock, ordered collections only; uses nothing else of this crate.

mod id;
mod time;

pub use id::{GroupId, PlanId, SkuId, TenantId, UserId};
pub use time::{Span, Timestamp};
