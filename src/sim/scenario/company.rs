//! A company: products, groups and people, as plain data with fixed ids, and how it moves into a tenant.

use super::names::Names;
use crate::model::{GroupId, PlanId, SkuId, Timestamp, UserId};
use crate::sim::administrator::{NewUser, UserKind};
use crate::sim::groups::{Membership, NewGroup};
use crate::sim::rng::Rng;
use crate::sim::subscriptions::{NewSku, ServicePlan};
use crate::sim::tenant::Tenant;

/// Products that the company buys, with the ids of Microsoft's product list.
pub mod products {
    use crate::model::{PlanId, SkuId};

    pub const SPE_E3: SkuId = SkuId::from_u128(0x05e9a617_0261_4cee_bb44_138d3ef5d965);
    pub const SPE_E5: SkuId = SkuId::from_u128(0x06ebc4ee_1bb5_47dd_8120_11324bc54e06);
    pub const EXCHANGESTANDARD: SkuId = SkuId::from_u128(0x4b9405b0_7788_4568_add1_99614e613b69);

    pub const EXCHANGE_S_ENTERPRISE: PlanId = PlanId::from_u128(0xefb87545_963c_4e0d_99df_69c6916d9eb0);
    pub const EXCHANGE_S_STANDARD: PlanId = PlanId::from_u128(0x9aaf7827_d63c_4b61_89c3_182f06f82e5c);
    /// In many products, carries no mailbox.
    pub const EXCHANGE_S_FOUNDATION: PlanId = PlanId::from_u128(0x113feb6c_3fe4_4440_bddc_54d774bf0318);
    pub const TEAMS1: PlanId = PlanId::from_u128(0x57ff2da0_773e_42df_b2af_ffb7a2317929);
    pub const SHAREPOINTENTERPRISE: PlanId = PlanId::from_u128(0x5dbe027f_2339_4123_9542_606e4d348a72);
    pub const OFFICESUBSCRIPTION: PlanId = PlanId::from_u128(0x43de0ff5_c92c_492b_9116_175376d08c38);
    pub const AAD_PREMIUM_P2: PlanId = PlanId::from_u128(0xeec0eb4f_6444_4f95_aba0_50c24d67f998);
}

/// What someone is in the company.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Microsoft 365 E3, directly.
    Staff,
    /// Microsoft 365 E3 through the licensing group.
    GroupStaff,
    /// Microsoft 365 E5, in the group of executives.
    Executive,
    /// Exchange Online Plan 1.
    Frontline,
    SharedMailbox,
    Room,
    Guest,
    /// Gone already: disabled, marked by HR.
    Leaver,
    /// Holds a directory role.
    Administrator,
}

/// Someone, or something with a mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    pub id: UserId,
    pub role: Role,
    pub user: NewUser,
}

/// A company on paper. The ids are fixed by the seed, so a policy can name them before the tenant exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Company {
    pub domain: String,
    pub skus: Vec<NewSku>,
    pub groups: Vec<NewGroup>,
    pub people: Vec<Person>,
    /// Members get Microsoft 365 E3.
    pub licensing_group: GroupId,
    pub executives: GroupId,
    pub administrators: GroupId,
}

/// Per thousand users, and at least how many.
const SHARES: [(Role, usize, usize); 8] = [
    (Role::GroupStaff, 180, 4),
    (Role::Executive, 30, 2),
    (Role::Frontline, 60, 2),
    (Role::SharedMailbox, 70, 3),
    (Role::Room, 30, 1),
    (Role::Guest, 40, 1),
    (Role::Leaver, 30, 2),
    (Role::Administrator, 10, 2),
];

/// Fewer would leave a role empty.
const SMALLEST: usize = 30;

const DEPARTMENTS: [&str; 6] = ["Salg", "Økonomi", "Teknologi", "Produksjon", "HR", "Marked"];

/// Where everybody is licensed through the group, so that a policy can say who belongs into it.
pub const GROUP_LICENSED_DEPARTMENT: &str = "Kundeservice";

/// Where a mailbox without the office is enough.
pub const FRONTLINE_DEPARTMENT: &str = "Butikk";

const TITLES: [&str; 6] =
    ["Konsulent", "Rådgiver", "Avdelingsleder", "Ingeniør", "Koordinator", "Controller"];

impl Company {
    /// A company of `users` accounts, at least 30.
    pub fn build(users: usize, seed: u64) -> Self {
        let mut rng = Rng::stream(seed, "company");
        let mut names = Names::default();
        let [licensing_group, executives, administrators] = [(); 3].map(|()| GroupId::from(rng.uuid()));
        let users = users.max(SMALLEST);
        let mut company = Self {
            domain: "contoso.com".to_owned(),
            skus: Vec::new(),
            groups: Vec::new(),
            people: Vec::with_capacity(users),
            licensing_group,
            executives,
            administrators,
        };
        for (role, per_thousand, least) in SHARES {
            for _ in 0..(users * per_thousand / 1000).max(least) {
                company.hire(role, &mut names, &mut rng);
            }
        }
        while company.people.len() < users {
            company.hire(Role::Staff, &mut names, &mut rng);
        }
        company.groups = company.found_groups();
        company.skus = company.buy();
        company
    }

    /// People of one role.
    pub fn of(&self, role: Role) -> impl Iterator<Item = &Person> {
        self.people.iter().filter(move |person| person.role == role)
    }

    /// Moves in: products, groups, people; everything is in place at once and leaves no audit events.
    pub fn move_in(&self, tenant: &mut Tenant, now: Timestamp) {
        tenant.set_moving_in(true);
        for sku in &self.skus {
            tenant.add_sku(now, sku.clone());
        }
        for group in &self.groups {
            tenant.add_group(now, group.clone());
        }
        for person in &self.people {
            tenant.add_user(now, person.user.clone());
        }
        tenant.set_moving_in(false);
    }

    fn hire(&mut self, role: Role, names: &mut Names, rng: &mut Rng) {
        let id = UserId::from(rng.uuid());
        let mut user = match role {
            Role::SharedMailbox => self.resource(names.shared(rng), UserKind::Shared),
            Role::Room => self.resource(names.room(rng), UserKind::Room),
            Role::Guest => guest(names, rng, &self.domain),
            Role::Staff
            | Role::GroupStaff
            | Role::Executive
            | Role::Frontline
            | Role::Leaver
            | Role::Administrator => self.employee(names, rng),
        };
        user.id = Some(id);
        match role {
            Role::Staff => {
                let disabled = if rng.chance(0.1) { vec![products::TEAMS1] } else { Vec::new() };
                user.licences.push((products::SPE_E3, disabled));
                user.on_premises_synced = rng.chance(0.25);
            }
            Role::GroupStaff => {
                user.groups.push(self.licensing_group);
                user.department = Some(GROUP_LICENSED_DEPARTMENT.to_owned());
            }
            Role::Executive => {
                user.licences.push((products::SPE_E5, Vec::new()));
                user.groups.push(self.executives);
                user.job_title = Some("Direktør".to_owned());
            }
            Role::Frontline => {
                user.licences.push((products::EXCHANGESTANDARD, Vec::new()));
                user.department = Some(FRONTLINE_DEPARTMENT.to_owned());
            }
            Role::Leaver => {
                user.licences.push((products::SPE_E3, Vec::new()));
                user.employee_type = Some("leaver".to_owned());
                user.account_enabled = false;
            }
            Role::Administrator => {
                user.licences.push((products::SPE_E3, Vec::new()));
                user.groups.push(self.administrators);
                user.holds_admin_role = true;
            }
            Role::SharedMailbox | Role::Room | Role::Guest => {}
        }
        self.people.push(Person { id, role, user });
    }

    fn employee(&self, names: &mut Names, rng: &mut Rng) -> NewUser {
        let name = names.person(rng);
        let address = format!("{}@{}", name.mail_name, self.domain);
        let mut user = NewUser::new(&address, &format!("{} {}", name.given, name.surname), UserKind::Member);
        user.given_name = Some(name.given.to_owned());
        user.surname = Some(name.surname.to_owned());
        user.department = rng.pick(&DEPARTMENTS).map(|department| (*department).to_owned());
        user.job_title = rng.pick(&TITLES).map(|title| (*title).to_owned());
        user.company_name = Some("Contoso AS".to_owned());
        user.country = Some("Norway".to_owned());
        user.employee_type = Some("employee".to_owned());
        user
    }

    fn resource(&self, (display_name, mail_name): (String, String), kind: UserKind) -> NewUser {
        let mut user = NewUser::new(&format!("{mail_name}@{}", self.domain), &display_name, kind);
        user.account_enabled = false;
        user
    }

    fn found_groups(&self) -> Vec<NewGroup> {
        let group = |id, name: &str, licences| NewGroup {
            id: Some(id),
            name: name.to_owned(),
            membership: Membership::Assigned,
            licences,
        };
        vec![
            group(self.licensing_group, "Licences Microsoft 365 E3", vec![(products::SPE_E3, Vec::new())]),
            group(self.executives, "Executives", Vec::new()),
            group(self.administrators, "Directory role holders", Vec::new()),
        ]
    }

    /// Seats for everyone, and a few spare.
    fn buy(&self) -> Vec<NewSku> {
        use products::{
            AAD_PREMIUM_P2, EXCHANGE_S_ENTERPRISE, EXCHANGE_S_FOUNDATION, EXCHANGE_S_STANDARD,
            OFFICESUBSCRIPTION, SHAREPOINTENTERPRISE, TEAMS1,
        };
        let plan = |id: PlanId, name, service| ServicePlan::new(id, name, service);
        let suite = || {
            vec![
                plan(EXCHANGE_S_ENTERPRISE, "EXCHANGE_S_ENTERPRISE", "exchange"),
                plan(EXCHANGE_S_FOUNDATION, "EXCHANGE_S_FOUNDATION", "exchange"),
                plan(TEAMS1, "TEAMS1", "TeamspaceAPI"),
                plan(SHAREPOINTENTERPRISE, "SHAREPOINTENTERPRISE", "SharePoint"),
                plan(OFFICESUBSCRIPTION, "OFFICESUBSCRIPTION", "MicrosoftOffice"),
            ]
        };
        let mut full_suite = suite();
        full_suite.push(plan(AAD_PREMIUM_P2, "AAD_PREMIUM_P2", "AADPremiumService"));
        let standard = vec![plan(EXCHANGE_S_STANDARD, "EXCHANGE_S_STANDARD", "exchange")];
        let sku = |sku, part_number: &str, plans| {
            let used = self.seats_needed(sku);
            let seats = u32::try_from(used + (used / 30).max(3)).unwrap_or(u32::MAX);
            NewSku { sku, part_number: part_number.to_owned(), plans, seats }
        };
        vec![
            sku(products::SPE_E3, "SPE_E3", suite()),
            sku(products::SPE_E5, "SPE_E5", full_suite),
            sku(products::EXCHANGESTANDARD, "EXCHANGESTANDARD", standard),
        ]
    }

    pub(super) fn seats_needed(&self, sku: SkuId) -> usize {
        let needs = |person: &&Person| {
            let direct = person.user.licences.iter().any(|(held, _)| *held == sku);
            let by_group = sku == products::SPE_E3 && person.user.groups.contains(&self.licensing_group);
            direct || by_group
        };
        self.people.iter().filter(needs).count()
    }
}

fn guest(names: &mut Names, rng: &mut Rng, domain: &str) -> NewUser {
    let name = names.person(rng);
    let upn = format!("{}_fabrikam.com#EXT#@{domain}", name.mail_name);
    let mut user = NewUser::new(&upn, &format!("{} {}", name.given, name.surname), UserKind::Guest);
    user.usage_location = None;
    user
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::tenant::TenantOptions;
    use crate::sim::truth::MailboxState;

    const START: Timestamp = Timestamp::from_secs(1_800_000_000);

    #[test]
    fn a_company_is_the_same_for_the_same_seed_and_has_every_role() {
        let company = Company::build(200, 7);
        assert_eq!(company, Company::build(200, 7));
        assert_ne!(company.people, Company::build(200, 8).people);
        assert_eq!(company.people.len(), 200);
        for (role, _, least) in SHARES {
            assert!(company.of(role).count() >= least, "{role:?}");
        }
    }

    #[test]
    fn everyone_who_should_has_a_working_mailbox_and_the_seats_suffice() {
        let company = Company::build(100, 1);
        let mut tenant = Tenant::new(TenantOptions::new(1));
        company.move_in(&mut tenant, START);
        assert_eq!(tenant.user_count(), 100);
        for person in &company.people {
            let expected = if person.role == Role::Guest { MailboxState::None } else { MailboxState::Active };
            assert_eq!(tenant.mailbox_truth(person.id).state, expected, "{person:?}");
        }
        for sku in &company.skus {
            let seats = tenant.seats(sku.sku).expect("bought");
            assert_eq!(seats.consumed as usize, company.seats_needed(sku.sku), "{}", sku.part_number);
            assert!(seats.seats > seats.consumed, "{}", sku.part_number);
        }
    }
}
