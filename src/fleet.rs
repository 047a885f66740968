//! One loop per tenant: each wakes for its alarm or for a question, one at a time. Used alike by the daemon and,
//! without a schedule, by single commands.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;

use crate::control::desk::Desk;
use crate::control::{Answer, Answers, Person, Question, Refusal, Request, Sent, doctor};
use crate::reconcile::{PassReport, Purpose, Reconciler};
use crate::report::TenantView;
use crate::trigger::{Alarm, Wake};

/// Questions that wait for the loop of one tenant; more than a few are a misunderstanding.
const QUESTIONS_WAITING: usize = 16;

/// The tenants of this process.
pub struct Fleet {
    tenants: Vec<Member>,
    stop: watch::Sender<bool>,
}

/// A tenant as the rest of the process sees it.
struct Member {
    desk: Desk,
    alarm: Alarm,
    questions: mpsc::Sender<Asked>,
}

/// A question that needs a pass.
struct Asked {
    purpose: Purpose,
    reply: oneshot::Sender<PassReport>,
}

/// Loops that are running.
pub struct Running {
    loops: JoinSet<()>,
}

impl Running {
    /// Waits until every loop has finished the step it is in.
    pub async fn finished(mut self) {
        while let Some(ended) = self.loops.join_next().await {
            if let Err(error) = ended {
                tracing::error!(%error, "the loop of a tenant ended in a panic");
            }
        }
    }
}

impl Fleet {
    /// Starts one loop per reconciler.
    pub fn start(members: Vec<(Reconciler, Desk)>) -> (Arc<Self>, Running) {
        let (stop, stopping) = watch::channel(false);
        let mut loops = JoinSet::new();
        let mut tenants = Vec::new();
        for (reconciler, desk) in members {
            let (questions, asked) = mpsc::channel(QUESTIONS_WAITING);
            let alarm = Alarm::new();
            loops.spawn(run(reconciler, alarm.clone(), asked, stopping.clone()));
            tenants.push(Member { desk, alarm, questions });
        }
        (Arc::new(Self { tenants, stop }), Running { loops })
    }

    pub fn alarms(&self) -> Vec<Alarm> {
        self.tenants.iter().map(|member| member.alarm.clone()).collect()
    }

    pub fn desks(&self) -> impl Iterator<Item = &Desk> {
        self.tenants.iter().map(|member| &member.desk)
    }

    /// The newest status document of each tenant that has one, with what people said since, where that can be read.
    pub fn views(&self) -> BTreeMap<String, Arc<TenantView>> {
        let newest = |desk: &Desk| desk.view().map(Arc::new).ok().or_else(|| desk.shared.view());
        self.desks().filter_map(|desk| Some((desk.tenant.clone(), newest(desk)?))).collect()
    }

    /// Why state or journal of a tenant have stopped for good.
    pub fn broken(&self) -> Option<String> {
        self.desks().find_map(Desk::broken)
    }

    /// Returns when any tenant has a new status document.
    pub async fn published(&self) {
        let waits: Vec<_> = self.desks().map(|desk| Box::pin(desk.shared.published())).collect();
        if waits.is_empty() {
            return std::future::pending().await;
        }
        futures_util::future::select_all(waits).await;
    }

    pub fn stopping(&self) -> watch::Receiver<bool> {
        self.stop.subscribe()
    }

    /// No request starts after this; the ones under way are finished.
    pub fn stop(&self) {
        for member in &self.tenants {
            member.desk.shared.stop();
        }
        let _ = self.stop.send(true);
    }

    /// Asks one tenant or all of them. What one refuses keeps the others from nothing: a question or a user is known
    /// to one tenant, and a hold is for all that can take it down.
    ///
    /// # Errors
    /// For people: when nobody has an answer, and also when somebody has none to what was meant for all.
    pub async fn ask(&self, request: &Request, by: &Person) -> Result<Answers, Refusal> {
        let (mut answers, mut refusals) = (Vec::new(), Vec::new());
        for member in self.addressed(request)? {
            let answer = match member.desk.answer(&request.question, by) {
                Some(answer) => answer,
                None if request.question == Question::Doctor => {
                    let examination = doctor::examine(&member.desk).await;
                    Ok(Answer::Examination { examination: Box::new(examination) })
                }
                None => member.pass(&request.question).await,
            };
            match answer {
                Ok(answer) => answers.push((member.desk.tenant.clone(), answer)),
                Err(refusal) => refusals.push((member.desk.tenant.clone(), refusal)),
            }
        }
        let is_for_one = is_for_one(&request.question);
        // "I do not know it" of one tenant says less than why another one refuses.
        let told = refusals.iter().position(|(_, refusal)| !refusal.is_usage).unwrap_or(0);
        match refusals.into_iter().nth(told) {
            Some((_, refusal)) if answers.is_empty() => Err(refusal),
            Some((tenant, refusal)) if !is_for_one => Err(Refusal {
                message: format!("{tenant}: {}{}", refusal.message, said_by_others(&answers)),
                ..refusal
            }),
            Some(_) | None => Ok(answers),
        }
    }

    fn addressed(&self, request: &Request) -> Result<Vec<&Member>, Refusal> {
        let Some(wanted) = &request.tenant else { return Ok(self.tenants.iter().collect()) };
        let members: Vec<&Member> =
            self.tenants.iter().filter(|member| member.desk.tenant == *wanted).collect();
        if members.is_empty() {
            let names: Vec<&str> = self.desks().map(|desk| desk.tenant.as_str()).collect();
            return Err(Refusal::usage(format!(
                "no tenant {wanted:?} in the settings, there are: {}",
                names.join(", ")
            )));
        }
        Ok(members)
    }
}

/// A question of a plan, or a user, of which one tenant knows.
fn is_for_one(question: &Question) -> bool {
    match question {
        Question::Answer { .. } | Question::Explain { .. } | Question::History { user: Some(_), .. } => true,
        Question::Plan
        | Question::Apply { .. }
        | Question::Status
        | Question::Asks
        | Question::Hold { .. }
        | Question::Resume
        | Question::History { user: None, .. }
        | Question::Verify
        | Question::Backup
        | Question::Doctor
        | Question::Report { .. } => false,
    }
}

/// What was done all the same.
fn said_by_others(answers: &Answers) -> String {
    let said = answers.iter().filter_map(|(tenant, answer)| {
        let Answer::Said { message } = answer else { return None };
        Some(format!("\n{tenant}: {message}"))
    });
    said.collect()
}

impl Member {
    async fn pass(&self, question: &Question) -> Result<Answer, Refusal> {
        let purpose = match question {
            Question::Apply { digest } => Purpose::Act { digest: digest.clone() },
            Question::Plan
            | Question::Status
            | Question::Explain { .. }
            | Question::Asks
            | Question::Answer { .. }
            | Question::Hold { .. }
            | Question::Resume
            | Question::History { .. }
            | Question::Verify
            | Question::Backup
            | Question::Doctor
            | Question::Report { .. } => Purpose::Plan,
        };
        let (reply, report) = oneshot::channel();
        let gone = || Refusal::failed("mailkeeper is stopping");
        self.questions.send(Asked { purpose, reply }).await.map_err(|_| gone())?;
        let report = report.await.map_err(|_| gone())?;
        Ok(Answer::Pass {
            view: Box::new((*report.view).clone()),
            sent: report
                .done
                .iter()
                .map(|done| Sent {
                    id: done.step.user,
                    upn: done.step.upn.clone(),
                    action: done.step.action.clone(),
                    outcome: done.outcome.kind,
                    detail: done.outcome.detail.clone(),
                })
                .collect(),
            refused: report.refused,
        })
    }
}

/// Returns when the process is to stop.
pub async fn told(stopping: &mut watch::Receiver<bool>) {
    // The guard inside must not live across an await; an error means that the fleet is gone, which is a stop, too.
    let _ = stopping.wait_for(|is_stopping| *is_stopping).await.map(|_| ());
}

/// The loop that never ends, until it is told to.
async fn run(
    mut reconciler: Reconciler,
    mut alarm: Alarm,
    mut asked: mpsc::Receiver<Asked>,
    mut stopping: watch::Receiver<bool>,
) {
    loop {
        tokio::select! {
            biased;
            () = told(&mut stopping) => break,
            question = asked.recv() => {
                let Some(Asked { purpose, reply }) = question else { break };
                let Some(report) = pass(&mut reconciler, &purpose, &mut stopping).await else { break };
                let _ = reply.send(report);
            }
            wake = alarm.next() => {
                tracing::debug!(tenant = reconciler.name(), ?wake, "woken");
                match wake {
                    Wake::Pass => {}
                    Wake::FullListing => reconciler.want_full_listing(),
                }
                if pass(&mut reconciler, &Purpose::Act { digest: None }, &mut stopping).await.is_none() {
                    break;
                }
            }
        }
    }
    reconciler.close();
}

/// One pass; `None` when the process is to stop before it ends. Requests that change something are waited for, reads
/// and pauses are not: the next process begins the pass anew.
async fn pass(
    reconciler: &mut Reconciler,
    purpose: &Purpose,
    stopping: &mut watch::Receiver<bool>,
) -> Option<PassReport> {
    let shared = reconciler.shared();
    let stopped = async {
        told(stopping).await;
        shared.has_sent().await;
    };
    tokio::select! {
        biased;
        report = reconciler.pass(purpose) => Some(report),
        () = stopped => None,
    }
}
