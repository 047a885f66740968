//! What a seed means: a company, a policy, a tenant with its contradictory facts, and a network with its faults.
//! Everything that is random before the first pass is drawn here, each from a stream of its own name.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use mailkeeper::clock::Clock;
use mailkeeper::model::{Span, Timestamp};
use mailkeeper::sim::clock::TokioClock;
use mailkeeper::sim::faults::Faults;
use mailkeeper::sim::rng::Rng;
use mailkeeper::sim::scenario::{Company, Role};
use mailkeeper::sim::switches::Switches;
use mailkeeper::sim::tenant::{Tenant, TenantOptions};

use super::acts::PERMISSIONS;
use super::people::People;
use super::shape::{FRONTLINE, GROUP_COMPANY, SHARED, Shape};

/// When every run begins.
pub const START: Timestamp = Timestamp::from_secs(1_795_000_000);

/// The oldest answer that a replica of the simulated directory gives.
pub const OLDEST_REPLICA: Span = Span::from_minutes(5);

/// The daemon's clock: the tenant's, and how far it is off.
pub struct LocalClock {
    pub tenant: Arc<TokioClock>,
    offset_ms: AtomicI64,
}

impl LocalClock {
    pub fn new(tenant: Arc<TokioClock>) -> Self {
        Self { tenant, offset_ms: AtomicI64::new(0) }
    }

    pub fn set_offset(&self, offset: Span) {
        self.offset_ms.store(offset.as_millis(), Ordering::SeqCst);
    }

    pub fn offset(&self) -> Span {
        Span::from_millis(self.offset_ms.load(Ordering::SeqCst))
    }
}

#[async_trait]
impl Clock for LocalClock {
    fn now(&self) -> Timestamp {
        self.tenant.now() + self.offset()
    }

    fn monotonic(&self) -> Duration {
        self.tenant.monotonic()
    }

    async fn sleep(&self, duration: Duration) {
        self.tenant.sleep(duration).await;
    }
}

/// What a seed starts from.
pub struct World {
    pub company: Company,
    pub shape: Shape,
    pub people: People,
    pub tenant: Tenant,
    pub faults: Faults,
    pub has_batch: bool,
    pub may_act: bool,
    /// Days instead of minutes between passes, so that limits are reached.
    pub is_slow: bool,
    pub steps: u32,
}

impl World {
    pub fn draw(seed: u64) -> Self {
        let mut rng = Rng::stream(seed, "world");
        let size = usize::try_from(rng.between(40, 90)).unwrap_or(40);
        let mut company = Company::build(size, seed);
        tell_apart(&mut company, &mut rng);
        let switches = switches(&mut rng);
        let is_resilient_policy = switches.delicensing_resiliency && rng.chance(0.5);
        let retention = Span::from_days(if is_resilient_policy { 60 } else { 30 });
        let shape = Shape::draw(&company, retention, &mut rng);
        let mut tenant = Tenant::new(TenantOptions { switches, ..TenantOptions::new(seed) });
        tenant.set_roles(&PERMISSIONS);
        company.move_in(&mut tenant, START);
        let people = People::of(&company, &shape, &tenant, START);
        let is_slow = rng.chance(0.3);
        Self {
            company,
            shape,
            people,
            tenant,
            faults: faults(seed),
            has_batch: rng.chance(0.7),
            may_act: rng.chance(0.9),
            is_slow,
            steps: u32::try_from(rng.between(8, 20)).unwrap_or(8),
        }
    }
}

/// Hostile, and in every third world with entries that nobody can understand.
fn faults(seed: u64) -> Faults {
    let mut faults = Faults::swarm(seed);
    if seed.is_multiple_of(3) {
        faults.set_odd_entries(0.02);
    }
    faults
}

/// Gives each role what a rule can recognise it by, and takes the usage location from some.
fn tell_apart(company: &mut Company, rng: &mut Rng) {
    for person in &mut company.people {
        match person.role {
            Role::Frontline => person.user.department = Some(FRONTLINE.to_owned()),
            Role::SharedMailbox | Role::Room => person.user.department = Some(SHARED.to_owned()),
            Role::GroupStaff => person.user.company_name = Some(GROUP_COMPANY.to_owned()),
            Role::Staff => {
                if rng.chance(0.1) {
                    person.user.usage_location = None;
                }
            }
            Role::Executive | Role::Guest | Role::Leaver | Role::Administrator => {}
        }
    }
}

fn switches(rng: &mut Rng) -> Switches {
    Switches {
        licences_return_on_restore: rng.chance(0.5),
        restore_exceeds_seats: rng.chance(0.5),
        deleted_licences_visible: rng.chance(0.5),
        deleted_users_hold_seats: rng.chance(0.5),
        delta_lists_deleted: rng.chance(0.5),
        delta_hides_restores: rng.chance(0.5),
        delta_repeats_objects: rng.chance(0.5),
        delta_expired_status: *rng.pick(&[400, 404, 410]).unwrap_or(&410),
        large_top_is_error: rng.chance(0.5),
        failed_group_licence_listed: rng.chance(0.5),
        deleted_plan_dated_at_removal: rng.chance(0.5),
        admin_centre_delete_soft_deletes: rng.chance(0.5),
        restore_renews_clock: rng.chance(0.5),
        exchange_settings_need_mailbox: rng.chance(0.5),
        delicensing_resiliency: rng.chance(0.25),
        audit_retention: Span::from_days(if rng.chance(0.5) { 30 } else { 7 }),
        healthy_error_is_none_text: rng.chance(0.5),
        restore_of_administrators_denied: rng.chance(0.5),
    }
}
