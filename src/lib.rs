//! # mailkeeper
//!
//! Keeps Microsoft 365 mailboxes from passing Microsoft's 30-day limit. A policy in git says which mailboxes must
//! survive; mailkeeper observes the tenant, finds the mailboxes whose licence or account is gone, computes each
//! deadline, and acts before it. Everything else it leaves alone, and says why.
//!
//! ## The loop
//!
//! ```text
//!  policy.yaml --policy--> Policy -----------.
//!                                            v
//!  Graph --observe--> state in sled ------> diff --> drifts --> plan --> Plan --act--> outcomes
//!              ^                                       ^                    |             |
//!              |                             ledger, seats, limits,         '-> explain   v
//!              |                             approvals, now                           journal
//!              '-------- the next observation -------- verify <---------------------------'
//!                                                        |
//!                                                        '--> report: metrics, log, status
//! ```
//!
//! One direction, pure in the middle: [`diff`], [`plan`] and [`verify`] take everything as arguments, also the time,
//! and do no I/O. [`observe`] and [`act`] talk to Graph and decide nothing about policy. "Fixed" is said only by
//! [`verify`], and only of an observation later than the action.
//!
//! ## Code map
//!
//! The `mod` lines below stand in loop order. The seams that make the loop testable are four traits: [`clock::Clock`],
//! [`graph::transport::Transport`], [`store::kv::Kv`] and [`store::journal::LogFile`]; a fifth, the wake-up, is a
//! channel ([`trigger`]). The simulated tenant ([`sim`]) speaks HTTP and bytes behind those seams and never sees the
//! stages: a simulator that used our planner would prove nothing.
//!
//! ## Invariants
//!
//! [`invariant::InvariantId`] names them; each has a check in the code, a metric and a place in the simulation.
//!
//! Invariants of absence: no stage calls back into an earlier one; `diff`, `plan` and `verify` do not know async, the
//! clock, Graph or the store; no `HashMap` where order could reach output; nothing in this crate creates, purges,
//! unlicenses or disables a user, there is no request for it.
#![forbid(unsafe_code)]

// The words of the domain: ids, time, users, mailboxes, seats, drift, plan, outcome. No I/O, no clock.
pub mod model;

// Desired state: the policy file, parsed strictly, and which rule a user falls under.
pub mod policy;

// Graph to state: what is there. Decides completeness, never judges.
pub mod observe;

// Policy against what is known of one user: healthy, left alone, or a drift with its deadline. Pure.
pub mod diff;

// All drifts, seats and limits to a [`model::Plan`]: steps in deadline order and a reason for every drift without one.
pub mod plan;

// One step at a time: intent made durable, request sent, outcome recorded. No choice is left to it.
pub mod act;

// Intents against a later observation: recovered, or not. The only place that says "fixed". Pure.
pub mod verify;

// What happened, for people and machines: metrics, status, explain, one log line a pass.
pub mod report;

// One pass of the loop, and the loop that never ends.
pub mod reconcile;

// One reconciler per tenant.
pub mod fleet;

// Cron, SIGHUP, file changes and start-up become a wake-up without content.
pub mod trigger;

// The promises, each with an id, a sentence and a check.
pub mod invariant;

// An error with its causes, for people.
pub mod errors;

// The only place that reads time.
pub mod clock;

// A typed client of the few Microsoft Graph calls that mailkeeper makes.
pub mod graph;

// Typed records over a small key-value trait, and the journal.
pub mod store;

// The Unix socket through which commands reach a running daemon.
pub mod control;

// `/metrics`, `/healthz`, `/readyz`, the status page: read-only.
pub mod http;

// How to run: `mailkeeper.yaml`, parsed before anything is opened.
pub mod settings;

// Logs: set-up and redaction.
pub mod telemetry;

// The simulated Microsoft 365 tenant.
pub mod sim;

// The command line: grammar and exit codes.
pub mod cli;

// One file per command.
pub mod commands;
