//! What a change of the policy would do, and which of it a person should look at before it counts. An inverted match, a
//! wildcard, an emptied list and a slip of a unit all parse well; what they do to the known users gives them away.
//! Pure.

use crate::model::{Catalog, DriftKind, KnownUser, Response, Surroundings, Timestamp};
use crate::policy::{KeepRule, Policy, Ruling, Unanswered};

use super::{Finding, diff};

/// Newly kept users who are in danger already: so many at once are no longer a rescue by hand.
const RESCUED: u64 = 3;

/// Users that a concern names.
const NAMED: usize = 3;

/// One policy after another, held against everybody who is known.
#[derive(Debug)]
pub struct Comparison<'a> {
    before: &'a Policy,
    after: &'a Policy,
    kept_before: u64,
    kept_after: u64,
    released: Some,
    /// Kept before, off-boarded or protected now by more than their own id: a pattern may reach further than was meant.
    set_aside: Some,
    /// Kept before, and now it cannot be told; `fact` is what is missing for the first of them.
    unjudged: Some,
    fact: Option<String>,
    /// Off-boarded or protected before by more than their own id, kept now.
    exposed: Some,
    /// The same, named singly before: whoever takes out one id means it.
    let_go: Some,
    newly_kept: Some,
    /// Of the newly kept, those with something to repair.
    rescued: Some,
}

/// A count and the first names.
#[derive(Debug, Default)]
struct Some {
    count: u64,
    names: Vec<String>,
}

impl Some {
    fn add(&mut self, known: &KnownUser) {
        self.count += 1;
        if self.names.len() < NAMED {
            self.names.push(known.user.upn.clone());
        }
    }

    fn text(&self) -> String {
        let more = if self.count > self.names.len() as u64 { ", .." } else { "" };
        format!("{} ({}{more})", self.count, self.names.join(", "))
    }
}

impl<'a> Comparison<'a> {
    pub fn new(before: &'a Policy, after: &'a Policy) -> Self {
        let none = Some::default;
        Self {
            before,
            after,
            kept_before: 0,
            kept_after: 0,
            released: none(),
            set_aside: none(),
            unjudged: none(),
            fact: None,
            exposed: none(),
            let_go: none(),
            newly_kept: none(),
            rescued: none(),
        }
    }

    /// Looks at one known user.
    pub fn see(&mut self, known: &KnownUser, catalog: &Catalog, surroundings: &Surroundings, now: Timestamp) {
        let (was, is) = (self.before.ruling(known), self.after.ruling(known));
        let was_kept = matches!(was, Ruling::Keep(_));
        self.kept_before += u64::from(was_kept);
        if !matches!(is, Ruling::Keep(_)) {
            match is {
                Ruling::NoRule if was_kept => self.released.add(known),
                Ruling::Undetermined { fact } if was_kept => {
                    self.unjudged.add(known);
                    self.fact.get_or_insert(fact);
                }
                Ruling::Offboarded(entry) | Ruling::Protected(entry)
                    if was_kept && !entry.matcher.ids().contains(&known.id()) =>
                {
                    self.set_aside.add(known);
                }
                Ruling::NoRule | Ruling::Undetermined { .. } => {}
                Ruling::Offboarded(_) | Ruling::Protected(_) | Ruling::Keep(_) => {}
            }
            return;
        }
        self.kept_after += 1;
        match was {
            // A bolder rule is meant: what it starts at once is held by the limits.
            Ruling::Keep(_) => return,
            Ruling::Offboarded(entry) | Ruling::Protected(entry) => {
                if entry.matcher.ids().contains(&known.id()) {
                    self.let_go.add(known);
                } else {
                    self.exposed.add(known);
                }
            }
            Ruling::NoRule | Ruling::Undetermined { .. } => {}
        }
        self.newly_kept.add(known);
        let finding = diff(self.after, known, catalog, surroundings, now);
        if let Finding::Drift(drift) = finding
            && drift.response != Response::Report
            && drift.kind != DriftKind::Gone
        {
            self.rescued.add(known);
        }
    }

    /// What a person should say yes to first, as sentences; empty when the change may count at once.
    pub fn concerns(&self) -> Vec<String> {
        let mut concerns = self.about_users();
        concerns.extend(self.about_limits());
        concerns.extend(self.about_rules());
        concerns
    }

    /// So many users may change sides without a question, as for repairs within a day.
    fn allowed(&self) -> u64 {
        let limits = &self.before.limits;
        let share = (limits.share * self.kept_before as f64 + 1e-9).floor() as u64;
        share.max(u64::from(limits.floor))
    }

    fn about_users(&self) -> Vec<String> {
        let allowed = self.allowed();
        let mut concerns = Vec::new();
        let before = self.kept_before;
        if let Some(fact) =
            self.fact.as_ref().filter(|_| self.unjudged.count > allowed || self.kept_after == 0)
        {
            let who = self.unjudged.text();
            concerns
                .push(format!("of {before} kept mailboxes {who} could not be judged: {fact} is not known"));
        }
        if self.released.count > allowed {
            let who = self.released.text();
            concerns.push(format!("no rule keeps {who} of {before} kept mailboxes any more"));
        } else if before > 0 && self.kept_after == 0 && self.unjudged.count == 0 {
            concerns.push(format!("none of {before} kept mailboxes is kept any more"));
        }
        if self.set_aside.count > allowed {
            let who = self.set_aside.text();
            concerns
                .push(format!("{who} of {before} kept mailboxes are off-boarded or protected by a pattern"));
        }
        if self.exposed.count > 0 {
            let who = self.exposed.text();
            concerns.push(format!("off-boarded or protected accounts come under a keep rule: {who}"));
        }
        if self.let_go.count > allowed {
            let who = self.let_go.text();
            concerns.push(format!(
                "accounts that were off-boarded or protected by id come under a keep rule: {who}"
            ));
        }
        if self.newly_kept.count > allowed {
            concerns.push(format!("{} more accounts are kept than before", self.newly_kept.text()));
        }
        if self.rescued.count > RESCUED {
            let who = self.rescued.text();
            concerns.push(format!("newly kept accounts would be repaired at once: {who}"));
        }
        let emptied = [
            ("offboarded", &self.before.offboarded, &self.after.offboarded),
            ("protected", &self.before.protected, &self.after.protected),
        ];
        for (name, before, after) in emptied {
            if !before.is_empty() && after.is_empty() {
                concerns.push(format!("the list {name} is empty, it had {} entries", before.len()));
            }
        }
        concerns
    }

    fn about_limits(&self) -> Vec<String> {
        let (before, after) = (&self.before.limits, &self.after.limits);
        let mut concerns = Vec::new();
        for (name, was, is) in [
            ("per_pass", before.per_pass, after.per_pass),
            ("per_day", before.per_day, after.per_day),
            ("floor", before.floor, after.floor),
        ] {
            if f64::from(is) > f64::from(was.max(1)) * MUCH_MORE {
                concerns.push(format!("limits.{name} goes from {was} to {is}"));
            }
        }
        if after.share > before.share * MUCH_MORE {
            let [was, is] = [before.share, after.share].map(|share| share * 100.0);
            concerns.push(format!("limits.share goes from {was:.1} % to {is:.1} %"));
        }
        for (product, was) in &before.seats_reserved {
            let is = after.seats_reserved.get(product).copied().unwrap_or(0);
            if f64::from(is) * MUCH_MORE < f64::from(*was) {
                concerns.push(format!("limits.seats_reserved of {product} goes from {was} to {is}"));
            }
        }
        let [was, is] = [self.before.retention, self.after.retention];
        if is.days > was.days {
            concerns.push(format!("retention.days goes from {} to {}", was.days, is.days));
        }
        if is.margin.as_millis().saturating_mul(2) < was.margin.as_millis() {
            concerns.push(format!("retention.margin goes from {} to {}", was.margin, is.margin));
        }
        if (self.before.unanswered_asks, self.after.unanswered_asks) == (Unanswered::Report, Unanswered::Act)
        {
            concerns.push("unanswered_asks goes from report to act".to_owned());
        }
        concerns
    }

    fn about_rules(&self) -> Vec<String> {
        let former = |rule: &KeepRule| self.before.keep.iter().find(|former| former.name == rule.name);
        let hasty = self.after.keep.iter().filter_map(|rule| {
            let was = former(rule)?.settle;
            let is_much_less = rule.settle.as_millis().saturating_mul(4) < was.as_millis();
            is_much_less
                .then(|| format!("settle of rule \"{}\" goes from {was} to {}", rule.name, rule.settle))
        });
        hasty.collect()
    }
}

/// A limit that grows by more than this factor is a slip of a unit or of a digit, or a decision worth a second look.
const MUCH_MORE: f64 = 4.0;
