//! The checker's own, little model of a policy: drawn from a seed, written out as YAML for the product, and asked by
//! the checker. Shares nothing with the product's policy but the file format.

use std::collections::BTreeSet;

use mailkeeper::model::{SkuId, Span, UserId};
use mailkeeper::sim::rng::Rng;
use mailkeeper::sim::scenario::{Company, Role, products};

/// What a rule wants done about a loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    Act,
    Ask,
    Report,
}

impl Wish {
    fn draw(rng: &mut Rng) -> Self {
        match rng.below(10) {
            0..=6 => Self::Act,
            7..=8 => Self::Ask,
            _ => Self::Report,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Act => "act",
            Self::Ask => "ask",
            Self::Report => "report",
        }
    }
}

/// The keep rules that every drawn policy has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RuleName {
    Executives,
    Shared,
    GroupStaff,
    Staff,
}

impl RuleName {
    fn word(self) -> &'static str {
        match self {
            Self::Executives => "executives",
            Self::Shared => "shared mailboxes",
            Self::GroupStaff => "staff licensed by group",
            Self::Staff => "staff",
        }
    }
}

/// How the policy stands to one user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    Kept(RuleName),
    Offboarded,
    Protected,
    NotNamed,
}

/// One keep rule.
#[derive(Debug, Clone)]
pub struct Rule {
    pub on_license_lost: Wish,
    pub on_deleted: Wish,
    pub settle: Span,
    pub gives_location: bool,
    /// Licences come by membership of the company's licensing group.
    pub by_group: bool,
    /// Part numbers, the preferred one first.
    pub licenses: Vec<&'static str>,
}

/// How much may be done.
#[derive(Debug, Clone)]
pub struct Limits {
    pub per_pass: usize,
    pub per_day: usize,
    pub share_percent: usize,
    pub floor: usize,
    pub reserved_e3: u32,
}

/// One policy.
#[derive(Debug, Clone)]
pub struct Shape {
    pub retention: Span,
    pub offboarded: BTreeSet<UserId>,
    /// Frontline workers are kept, too.
    pub keeps_frontline: bool,
    /// Shared mailboxes are recognised by Exchange's own word for them, else by their department.
    pub asks_kind: bool,
    /// Deleted accounts come back beside those that took their place.
    pub restores_beside: bool,
    pub limits: Limits,
    executives: Rule,
    shared: Rule,
    group_staff: Rule,
    staff: Rule,
}

/// What the policy looks at, as the generator knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    pub role: Role,
    pub is_leaver: bool,
    pub holds_admin_group: bool,
    pub is_executive: bool,
}

/// Set on the people of these roles, so that a rule can tell them apart.
pub const FRONTLINE: &str = "Frontline";
pub const SHARED: &str = "Shared mailboxes";
pub const GROUP_COMPANY: &str = "Contoso Gruppe AS";

/// What a name ends with where its own is taken.
pub const BESIDE: &str = "-back";

impl Shape {
    pub fn draw(company: &Company, retention: Span, rng: &mut Rng) -> Self {
        let staff: Vec<UserId> = company.of(Role::Staff).map(|person| person.id).collect();
        let offboarded = (0..rng.below(3)).filter_map(|_| rng.pick(&staff).copied()).collect();
        let per_pass = usize::try_from(rng.between(2, 8)).unwrap_or(2);
        Self {
            retention,
            offboarded,
            keeps_frontline: rng.chance(0.6),
            asks_kind: rng.chance(0.5),
            restores_beside: per_pass.is_multiple_of(2),
            limits: Limits {
                per_pass,
                per_day: per_pass + usize::try_from(rng.between(2, 30)).unwrap_or(2),
                share_percent: usize::try_from(rng.between(3, 40)).unwrap_or(3),
                floor: usize::try_from(rng.between(4, 12)).unwrap_or(4),
                reserved_e3: u32::try_from(rng.between(0, 2)).unwrap_or(0),
            },
            executives: Rule::draw(false, vec!["SPE_E5", "SPE_E3"], rng),
            shared: Rule { on_license_lost: Wish::Report, ..Rule::draw(false, Vec::new(), rng) },
            group_staff: Rule::draw(rng.chance(0.6), vec!["SPE_E3"], rng),
            staff: Rule::draw(false, vec!["SPE_E3", "EXCHANGESTANDARD"], rng),
        }
    }

    pub fn rule(&self, name: RuleName) -> &Rule {
        match name {
            RuleName::Executives => &self.executives,
            RuleName::Shared => &self.shared,
            RuleName::GroupStaff => &self.group_staff,
            RuleName::Staff => &self.staff,
        }
    }

    /// Off-boarded first, then protected, then the first rule.
    pub fn standing(&self, user: UserId, facts: Facts) -> Standing {
        if facts.is_leaver || self.offboarded.contains(&user) {
            return Standing::Offboarded;
        }
        if facts.holds_admin_group {
            return Standing::Protected;
        }
        if facts.is_executive {
            return Standing::Kept(RuleName::Executives);
        }
        match facts.role {
            Role::Guest => Standing::NotNamed,
            Role::Frontline if !self.keeps_frontline => Standing::NotNamed,
            Role::SharedMailbox | Role::Room => Standing::Kept(RuleName::Shared),
            Role::GroupStaff => Standing::Kept(RuleName::GroupStaff),
            Role::Staff | Role::Frontline | Role::Executive | Role::Leaver | Role::Administrator => {
                Standing::Kept(RuleName::Staff)
            }
        }
    }

    /// The same without off-boarded and protected entries: a fault to be found.
    pub fn yaml_without_exclusions(&self, company: &Company) -> String {
        let whole = self.yaml(company);
        let (head, rest) = whole.split_once("offboarded:").unwrap_or((&whole, ""));
        let (_, keep) = rest.split_once("keep:").unwrap_or(("", rest));
        format!("{head}keep:{keep}")
    }

    /// The policy as an operator would write it.
    pub fn yaml(&self, company: &Company) -> String {
        let mut text = String::from("version: 1\n\n");
        let days = self.retention.as_millis() / Span::from_days(1).as_millis();
        text += &format!("retention:\n  days: {days}\n  margin: 2d\n\noffboarded:\n");
        for user in &self.offboarded {
            text += &format!("  - id: {user}\n    reason: by name\n");
        }
        text += "  - match: { employee_type: leaver }\n    reason: leavers\n\nprotected:\n";
        text += &format!(
            "  - match: {{ group: {} }}\n    reason: administrators\n\nkeep:\n",
            company.administrators
        );
        text += &self.rule_yaml(RuleName::Executives, &format!("group: {}", company.executives), company);
        let shared = if self.asks_kind {
            "mailbox: [shared, room]".to_owned()
        } else {
            format!("department: \"{SHARED}\"")
        };
        text += &self.rule_yaml(RuleName::Shared, &shared, company);
        text += &self.rule_yaml(RuleName::GroupStaff, &format!("company: \"{GROUP_COMPANY}\""), company);
        let but = if self.keeps_frontline {
            String::new()
        } else {
            format!(", not: {{ department: {FRONTLINE} }}")
        };
        // Who comes back without mail address must still be named.
        let what = if self.restores_beside { "upn" } else { "mail" };
        text += &self.rule_yaml(RuleName::Staff, &format!("{what}: \"*@{}\"{but}", company.domain), company);
        let Limits { per_pass, per_day, share_percent, floor, reserved_e3 } = &self.limits;
        text +=
            &format!("limits:\n  per_pass: {per_pass}\n  per_day: {per_day}\n  share: {share_percent}%\n");
        text += &format!("  floor: {floor}\n  seats_reserved: {{ SPE_E3: {reserved_e3} }}\n");
        text
    }

    fn rule_yaml(&self, name: RuleName, condition: &str, company: &Company) -> String {
        let rule = self.rule(name);
        let mut text = format!("  - name: {}\n    match: {{ {condition} }}\n", name.word());
        if !rule.licenses.is_empty() {
            text += &format!("    licenses: [{}]\n", rule.licenses.join(", "));
            text += &format!("    on_license_lost: {}\n", rule.on_license_lost.word());
            if rule.by_group {
                text += &format!("    assign: {{ group: {} }}\n", company.licensing_group);
            }
            if rule.gives_location {
                text += "    usage_location: \"NO\"\n";
            }
        }
        if self.restores_beside {
            let name = format!("*{BESIDE}@{}", company.domain);
            text += &format!("    restore: {{ drop_taken_addresses: true, upn_if_taken: \"{name}\" }}\n");
        }
        let minutes = rule.settle.as_millis() / Span::from_minutes(1).as_millis();
        text += &format!("    on_deleted: {}\n    settle: {minutes}m\n\n", rule.on_deleted.word());
        text
    }
}

impl Rule {
    fn draw(by_group: bool, licenses: Vec<&'static str>, rng: &mut Rng) -> Self {
        Self {
            on_license_lost: Wish::draw(rng),
            on_deleted: Wish::draw(rng),
            settle: Span::from_minutes(*rng.pick(&[0, 30, 60, 120]).unwrap_or(&0)),
            gives_location: rng.chance(0.5),
            by_group,
            licenses,
        }
    }
}

/// The reserve of a product.
pub fn reserved(limits: &Limits, sku: SkuId) -> u32 {
    if sku == products::SPE_E3 { limits.reserved_e3 } else { 0 }
}
