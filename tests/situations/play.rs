//! Plays one situation from a healthy baseline to its end, and compares what came of it with the right answer.

use std::collections::BTreeMap;
use std::sync::Arc;

use mailkeeper::clock::Clock;
use mailkeeper::model::{Span, Timestamp};
use mailkeeper::report::status::TenantView;

use super::acts::happen;
use super::file::{self, Expected, Moment, Situation, moments};
use super::judge::{Seen, compare};
use super::lab::{Lab, START, Setup};
use super::wire::Fate;

/// The policy of an ordinary tenant; situations replace parts of it.
pub const STANDARD_POLICY: &str = include_str!("../cases/situations/policy.yaml");

/// Passes of the healthy baseline: everybody is seen, every mailbox is asked about.
const BASELINE_PASSES: u32 = 4;
const BASELINE_EVERY: Span = Span::from_minutes(10);

/// A full listing is due so often, as with the shipped settings.
const FULL_LISTING_EVERY: Span = Span::from_days(1);

const STAFF: usize = 20;

/// Plays the text of a situation file. The error says what should have been and what was.
pub fn play(text: &str) -> Result<u32, String> {
    let is_described = text.starts_with("# ") && text.lines().next().is_some_and(|line| line.len() > 20);
    if !is_described {
        return Err("the file does not start with a sentence that says what it shows".to_owned());
    }
    let situation: Situation = serde_yaml::from_str(text).map_err(|error| error.to_string())?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime without I/O can be built");
    runtime.block_on(async {
        let mut stage = Stage::new(&situation)?;
        stage.prepare(&situation).await?;
        stage.story(&situation).await?;
        compare(&expected(&situation.expect), &stage.seen()?.answer)?;
        // The least permissions are enough, whatever happens.
        match stage.lab.wire.network.tenant().counters().denied {
            0 => Ok(stage.passes),
            denied => Err(format!("{denied} requests went beyond the permissions")),
        }
    })
}

/// With every name on its own.
fn expected(expect: &Expected) -> Expected {
    Expected {
        writes: file::spread(&expect.writes),
        verdicts: file::spread(&expect.verdicts),
        mailboxes: file::spread(&expect.mailboxes),
        open: file::spread(&expect.open),
        asks: expect.asks.clone(),
        lost: file::spread(&expect.lost),
    }
}

/// Puts the replacement of each text in its place; every text must stand there once.
pub fn replaced(policy: &str, changes: &BTreeMap<String, String>) -> Result<String, String> {
    changes.iter().try_fold(policy.to_owned(), |policy, (from, to)| {
        match policy.matches(from.as_str()).count() {
            1 => Ok(policy.replacen(from.as_str(), to, 1)),
            count => Err(format!("`{from}` stands {count} times in the policy")),
        }
    })
}

struct Stage {
    lab: Lab,
    policies: BTreeMap<String, String>,
    view: Option<Arc<TenantView>>,
    passes: u32,
    listed_at: Timestamp,
}

impl Stage {
    fn new(situation: &Situation) -> Result<Self, String> {
        let tenant = &situation.tenant;
        let texts =
            || situation.policy_with.values().chain(situation.policies.values().flat_map(BTreeMap::values));
        let lab = Lab::new(Setup {
            // Locations, and group licensing that is asked to try again; everything else works without it.
            writes_users: texts().any(|text| text.contains("usage_location:") || text.contains("assign: {")),
            staff: tenant.staff.unwrap_or(STAFF),
            people: tenant.people.clone(),
            free_seats: tenant.free_seats.clone(),
            switches: tenant.switches.clone(),
            exchange_takes: tenant.exchange_takes.as_deref().map(file::span).transpose()?,
        })?;
        let policy = replaced(STANDARD_POLICY, &situation.policy_with)?;
        lab.write_policy(&policy);
        let mut policies = BTreeMap::from([("original".to_owned(), policy.clone())]);
        for (name, changes) in &situation.policies {
            policies.insert(name.clone(), replaced(&policy, changes)?);
        }
        Ok(Self { lab, policies, view: None, passes: 0, listed_at: START })
    }

    /// What was before mailkeeper, its installation, and a baseline in which nothing is wrong.
    async fn prepare(&mut self, situation: &Situation) -> Result<(), String> {
        let mut before = moments(&situation.before)?;
        before.sort_by_key(|moment| std::cmp::Reverse(moment.at));
        for moment in &before {
            self.lab.wait_until(START - moment.at).await;
            self.do_all(&moment.lines)?;
        }
        let installed =
            START - Span::from_minutes(BASELINE_EVERY.as_millis() / 60_000 * i64::from(BASELINE_PASSES));
        self.lab.wait_until(installed.max(self.lab.tenant_clock.now())).await;
        self.lab.start(true)?;
        for number in 0..BASELINE_PASSES {
            self.pass().await;
            let then =
                installed + Span::from_minutes(BASELINE_EVERY.as_millis() / 60_000 * i64::from(number + 1));
            self.lab.wait_until(then).await;
        }
        let is_healthy = self.view.as_ref().is_some_and(|view| {
            view.at_risk.is_empty()
                && view.last_observation.as_ref().is_some_and(|seen| seen.problems.is_empty())
        });
        if before.is_empty() && !(is_healthy && self.seen()?.answer.writes.is_empty()) {
            return Err(format!("the baseline is not healthy: {:?}", self.seen()?.answer));
        }
        Ok(())
    }

    async fn story(&mut self, situation: &Situation) -> Result<(), String> {
        let every = file::span(&situation.every)?;
        let story = moments(&situation.story)?;
        let mut next_pass = START + every;
        for (number, moment) in story.iter().enumerate() {
            let at = START + moment.at;
            if number > 0 && moment.at < story[number - 1].at {
                return Err("the story goes back in time".to_owned());
            }
            while next_pass < at {
                self.lab.wait_until(next_pass).await;
                self.pass().await;
                next_pass = next_pass + every;
            }
            self.lab.wait_until(at).await;
            let is_due = next_pass == at;
            self.moment(moment, is_due).await.map_err(|error| format!("at {}: {error}", moment.at))?;
            if is_due {
                next_pass = next_pass + every;
            }
        }
        Ok(())
    }

    /// Acts come before the pass of the same moment, looks after it.
    async fn moment(&mut self, moment: &Moment, is_due: bool) -> Result<(), String> {
        let (looks, acts): (Vec<String>, Vec<String>) =
            moment.lines.iter().cloned().partition(|line| is_look(line));
        self.do_all(&acts)?;
        if acts.is_empty() || is_due {
            self.pass().await;
        }
        let seen = self.seen()?;
        looks.iter().try_for_each(|look| seen.look(look))
    }

    fn do_all(&mut self, lines: &[String]) -> Result<(), String> {
        for line in lines {
            let is_known = self.put_policy(line)? || happen(&mut self.lab, line)?;
            if !is_known {
                return Err(format!("nobody knows what this means: {line}"));
            }
        }
        Ok(())
    }

    fn put_policy(&mut self, line: &str) -> Result<bool, String> {
        if let Some((fate, name)) =
            line.strip_prefix("before-repeat ").and_then(|rest| rest.split_once(" policy "))
        {
            let text = self.policies.get(name).ok_or_else(|| format!("no policy is called {name}"))?;
            let (path, text) = (self.lab.policy.clone(), self.lab.names.fill_in(text));
            let holder = self.lab.desk().policy.clone();
            self.lab.wire.interrupt(Fate::named(fate)?, move |_| {
                std::fs::write(&path, &text).expect("the directory is ours");
                holder.reload();
            });
            return Ok(true);
        }
        let Some(name) = line.strip_prefix("policy ") else { return Ok(false) };
        match name {
            "empty" => self.lab.write_policy(""),
            "torn" => self.lab.write_policy(&self.policies["original"][..400]),
            "gone" => std::fs::remove_file(&self.lab.policy).expect("the directory is ours"),
            _ => {
                let text = self.policies.get(name).ok_or_else(|| format!("no policy is called {name}"))?;
                self.lab.write_policy(text);
            }
        }
        Ok(true)
    }

    async fn pass(&mut self) {
        let now = self.lab.clock.now();
        if now - self.listed_at >= FULL_LISTING_EVERY {
            self.lab.want_full_listing();
            self.listed_at = now;
        }
        if let Some(view) = self.lab.pass().await {
            self.passes += 1;
            self.view = Some(view);
        }
    }

    fn seen(&self) -> Result<Seen, String> {
        Seen::of(&self.lab, self.view.as_deref())
    }
}

fn is_look(line: &str) -> bool {
    line == "end" || line.starts_with("see ")
}
