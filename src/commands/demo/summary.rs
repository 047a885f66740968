//! The end of the month in words: what was kept, what was left alone and why, what Graph did, what would have been
//! lost. The same seed gives the same text: no addresses, ports or durations of this machine.

use std::collections::BTreeMap;
use std::fmt;

use crate::invariant::{InvariantId, violations};
use crate::model::{Cause, OutcomeKind, Reason, Span, Timestamp, Verdict};
use crate::report::words;
use crate::sim::truth::WriteRecord;

use super::judge::{Duty, Judgement, RULE, Unsaved};
use super::lines::day;
use super::story::{Chronicle, How, Story, short};
use super::world::{Weather, World};

/// Names listed before the rest is only counted.
const LISTED: usize = 12;

/// Everything that the text is made of.
#[derive(Debug)]
pub struct Summary {
    pub seed: u64,
    pub users: usize,
    pub domain: String,
    pub starts: Timestamp,
    pub ends: Timestamp,
    pub chronicle: Chronicle,
    pub weather: Weather,
    pub judgement: Judgement,
    pub unsaved: Vec<Unsaved>,
    /// Also those that were not to be kept.
    pub gone_without: usize,
    /// Requests that reached the tenant, by what they do: received, and applied.
    pub received: BTreeMap<&'static str, (u64, u64)>,
    /// Mailboxes still at risk at the end, by reason.
    pub open: BTreeMap<Reason, u64>,
    /// Broken promises, counted since the start.
    pub violations: BTreeMap<&'static str, u64>,
}

impl Summary {
    /// True when nothing that could be kept was lost.
    pub fn is_good(&self) -> bool {
        self.judgement.lost.is_empty() && self.violations.is_empty()
    }
}

/// The label of [`crate::model::Action`] that a received request belongs to.
fn action_of(operation: &str) -> Option<&'static str> {
    match operation {
        "assign license" => Some("assign_license"),
        "add member" => Some("add_to_group"),
        "update user" => Some("set_usage_location"),
        "restore deleted item" => Some("restore"),
        _ => None,
    }
}

/// Counts what the tenant received; a request that no action of ours explains is counted under its own name.
pub fn received(writes: &[WriteRecord]) -> BTreeMap<&'static str, (u64, u64)> {
    let mut received: BTreeMap<&'static str, (u64, u64)> = BTreeMap::new();
    for write in writes.iter().filter(|write| write.operation != "batch") {
        let counts = received.entry(action_of(write.operation).unwrap_or(write.operation)).or_default();
        counts.0 += 1;
        counts.1 += u64::from(write.applied);
    }
    received
}

/// The promises broken so far in this process.
pub fn promises_broken() -> BTreeMap<&'static str, u64> {
    InvariantId::ALL.iter().map(|id| (id.label(), violations(*id))).filter(|(_, count)| *count > 0).collect()
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.head(f)?;
        self.kept(f)?;
        self.left_alone(f)?;
        self.seats(f)?;
        self.graph(f)?;
        self.requests(f)?;
        self.without(f)?;
        self.verdict(f)
    }
}

impl Summary {
    fn head(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} days at {}: {} accounts, {} passes, seed {}\n",
            day(self.ends, self.starts) - 1,
            self.domain,
            words::count_of(self.users as u64),
            words::count_of(self.chronicle.passes),
            self.seed,
        )
    }

    fn kept(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kept, wanted) = (self.judgement.kept, self.judgement.to_be_kept());
        writeln!(f, "KEPT  {kept} of {wanted} mailboxes that were about to be lost and are to be kept")?;
        let back: Vec<&Story> = self.chronicle.stories.iter().filter(|story| story.is_back()).collect();
        writeln!(
            f,
            "  {:<30}{:>9}  {:>14}  {:>14}  {:>14}  {:>14}",
            "what had happened", "mailboxes", "back after", "longest", "left (median)", "least left"
        )?;
        let mut by_cause: BTreeMap<String, Vec<&Story>> = BTreeMap::new();
        for story in &back {
            by_cause.entry(what(story)).or_default().push(story);
        }
        for (what, stories) in by_cause {
            let took = spans(&stories, |story| Some(story.ending?.at - story.noticed));
            let left = spans(&stories, Story::left);
            writeln!(
                f,
                "  {:<30}{:>9}  {:>14}  {:>14}  {:>14}  {:>14}",
                what,
                stories.len(),
                text(median(&took)),
                text(took.last().copied()),
                text(median(&left)),
                text(left.first().copied()),
            )?;
        }
        self.verdicts(f)
    }

    fn verdicts(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut verdicts: BTreeMap<Verdict, usize> = BTreeMap::new();
        let (mut others, mut lost, mut unended) = (0, 0, 0);
        for story in &self.chronicle.stories {
            match story.ending.map(|ending| ending.how) {
                Some(How::Judged(verdict)) => *verdicts.entry(verdict).or_default() += 1,
                Some(How::HealedByOthers) => others += 1,
                Some(How::Lost) => lost += 1,
                None => unended += 1,
            }
        }
        let mut parts: Vec<String> = verdicts
            .iter()
            .map(|(verdict, count)| format!("{count} {}", words::plain(verdict.label())))
            .collect();
        for (count, label) in
            [(others, "repaired by others"), (lost, "passed the limit"), (unended, "not concluded")]
        {
            if count > 0 {
                parts.push(format!("{count} {label}"));
            }
        }
        writeln!(f, "  mailkeeper's own verdicts: {}\n", joined(&parts))
    }

    fn left_alone(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let left: usize = self
            .judgement
            .concerned
            .iter()
            .filter(|(duty, _)| **duty != Duty::Keep)
            .map(|(_, users)| users.len())
            .sum();
        writeln!(f, "LEFT ALONE  {left} mailboxes, as the policy says")?;
        for (duty, users) in self.judgement.concerned.iter().filter(|(duty, _)| **duty != Duty::Keep) {
            writeln!(f, "  {:>4}  {}", users.len(), duty.sentence())?;
        }
        for (reason, users) in &self.chronicle.left_alone {
            let names: Vec<String> = users.values().map(|upn| short(upn)).collect();
            writeln!(f, "        reported as {}: {}", words::plain(reason.label()), listed(&names))?;
        }
        writeln!(f)
    }

    fn seats(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.chronicle.shortages.is_empty() {
            return writeln!(f, "SEATS  never missing\n");
        }
        writeln!(f, "SEATS  missing {} times", self.chronicle.shortages.len())?;
        for shortage in &self.chronicle.shortages {
            let until = match shortage.until {
                Some(until) => format!("for {}", until - shortage.from),
                None => "until the end".to_owned(),
            };
            writeln!(
                f,
                "  up to {} of {}, from day {} ({}) {until}",
                shortage.most,
                words::one_line(&shortage.part_number),
                day(shortage.from, self.starts),
                shortage.from.human(),
            )?;
        }
        writeln!(f)
    }

    fn graph(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let weather = &self.weather;
        let counts = [
            (weather.throttled, "throttled (429)"),
            (weather.server_errors, "server errors"),
            (weather.unreachable, "not reachable in time"),
            (weather.lost_replies, "took effect, answer lost"),
            (weather.truncated, "cut off in the middle"),
            (weather.conflicts, "conflicts (409)"),
            (weather.stale, "stale reads"),
            (weather.empty_pages, "empty pages"),
        ];
        writeln!(
            f,
            "GRAPH  {} requests arrived, {} of them went wrong",
            words::count_of(weather.requests),
            words::count_of(counts.iter().map(|(count, _)| count).sum()),
        )?;
        for (count, label) in counts {
            writeln!(f, "  {:>8}  {label}", words::count_of(count))?;
        }
        let rejected: u64 = self.chronicle.rejected.values().sum();
        let why: Vec<String> = self
            .chronicle
            .rejected
            .iter()
            .map(|(kind, count)| format!("{count} {}", words::plain(kind.label())))
            .collect();
        writeln!(f, "  passes that believed nothing and did nothing: {rejected} ({})", joined(&why))?;
        if self.chronicle.failed_passes > 0 {
            writeln!(f, "  passes that failed: {}", self.chronicle.failed_passes)?;
        }
        writeln!(f)
    }

    fn requests(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "REQUESTS{:<14}{:>8}{:>10}{:>10}{:>10}{:>20}{:>14}",
            "", "steps", "accepted", "unclear", "refused", "reached the tenant", "changed it"
        )?;
        let labels: std::collections::BTreeSet<&str> =
            self.chronicle.requests.keys().chain(self.received.keys()).copied().collect();
        for label in labels {
            let outcomes = self.chronicle.requests.get(label);
            let count = |kinds: &[OutcomeKind]| -> u64 {
                outcomes.map_or(0, |outcomes| kinds.iter().filter_map(|kind| outcomes.get(kind)).sum())
            };
            let (received, applied) = self.received.get(label).copied().unwrap_or_default();
            writeln!(
                f,
                "  {:<20}{:>8}{:>10}{:>10}{:>10}{received:>20}{applied:>14}",
                words::plain(label),
                count(&OutcomeKind::ALL),
                count(&[OutcomeKind::Accepted, OutcomeKind::AlreadyDone]),
                count(&[OutcomeKind::Uncertain]),
                count(&[
                    OutcomeKind::Deferred,
                    OutcomeKind::NoSeat,
                    OutcomeKind::Refused,
                    OutcomeKind::NotSent
                ]),
            )?;
        }
        writeln!(f)
    }

    fn without(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "WITHOUT MAILKEEPER  {} mailboxes would have been lost, {} of them wanted",
            self.gone_without,
            self.unsaved.len(),
        )?;
        for unsaved in self.unsaved.iter().take(LISTED) {
            let date = unsaved.at.to_datetime().format("%e %b");
            writeln!(f, "  {date}  {}: {}", words::one_line(&unsaved.upn), unsaved.how)?;
        }
        if let Some(more) = self.unsaved.len().checked_sub(LISTED).filter(|more| *more > 0) {
            writeln!(f, "  and {more} more")?;
        }
        writeln!(f)
    }

    fn verdict(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let broken: Vec<String> =
            self.violations.iter().map(|(label, count)| format!("{label} {count} times")).collect();
        let broken = if broken.is_empty() { "0 violations".to_owned() } else { broken.join(", ") };
        writeln!(f, "PROMISES  {} checked in every pass: {broken}", InvariantId::ALL.len())?;
        if !self.open.is_empty() {
            let open: Vec<String> = self
                .open
                .iter()
                .map(|(reason, count)| format!("{count} {}", words::plain(reason.label())))
                .collect();
            writeln!(f, "STILL AT RISK AT THE END  {}", open.join(", "))?;
        }
        if self.judgement.lost.is_empty() {
            writeln!(f, "VERDICT  nothing that could be kept was lost")?;
        } else {
            writeln!(
                f,
                "VERDICT  {} mailboxes that could have been kept were lost:",
                self.judgement.lost.len()
            )?;
            for user in self.judgement.lost.iter().take(LISTED) {
                writeln!(f, "  {user}")?;
            }
        }
        RULE.iter().try_for_each(|line| writeln!(f, "  {line}"))
    }
}

/// What had happened, as the repair shows it: a deleted account comes back with its licence unless it had none.
fn what(story: &Story) -> String {
    let cause = words::plain(story.cause.label());
    let had_lost_both = story.cause == Cause::AccountDeleted && story.actions.contains("assign_license");
    if had_lost_both { format!("{cause} with licence") } else { cause }
}

/// Sorted.
fn spans(stories: &[&Story], of: impl Fn(&Story) -> Option<Span>) -> Vec<Span> {
    let mut spans: Vec<Span> = stories.iter().filter_map(|story| of(story)).collect();
    spans.sort_unstable();
    spans
}

fn median(sorted: &[Span]) -> Option<Span> {
    sorted.get(sorted.len() / 2).copied()
}

fn text(span: Option<Span>) -> String {
    span.map_or_else(|| "no clock".to_owned(), |span| span.to_string())
}

fn joined(parts: &[String]) -> String {
    if parts.is_empty() { "none".to_owned() } else { parts.join(", ") }
}

fn listed(names: &[String]) -> String {
    let shown = names.iter().take(4).cloned().collect::<Vec<_>>().join(", ");
    match names.len().checked_sub(4).filter(|more| *more > 0) {
        Some(more) => format!("{shown} and {more} more"),
        None => shown,
    }
}

/// The mailboxes at risk that nothing is planned for, by reason.
pub fn open(view: &crate::report::TenantView) -> BTreeMap<Reason, u64> {
    let mut open = BTreeMap::new();
    for waiting in view.plan.waiting.iter().filter(|waiting| waiting.rule.is_some()) {
        *open.entry(waiting.reason).or_default() += 1;
    }
    open
}

/// Closes the books: what the judge says of the tenant once every clock has run out.
pub fn summary(world: &mut World, chronicle: Chronicle, seed: u64, open: BTreeMap<Reason, u64>) -> Summary {
    let weather = world.weather().clone();
    let lost = super::world::without_mailkeeper(&world.company, &world.month, seed);
    let (judgement, received) = {
        let mut tenant = world.tenant();
        tenant.advance(world.month.ends + super::world::AFTERMATH);
        (Judgement::of(&world.company, &world.month, &tenant), received(tenant.writes()))
    };
    Summary {
        seed,
        users: world.company.people.len(),
        domain: world.company.domain.clone(),
        starts: world.month.starts,
        ends: world.month.ends,
        chronicle,
        weather,
        judgement,
        unsaved: super::judge::unsaved(&world.company, &world.month, &lost),
        gone_without: lost.len(),
        received,
        open,
        violations: promises_broken(),
    }
}
