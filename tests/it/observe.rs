//! Observing against the simulated tenant: what a pass costs, and that deltas and listings come to the same.

mod audit;
mod cost;
mod delta;
mod lab;
mod left;
mod listing;
mod mailboxes;
mod quirks;
mod same;
mod subscriptions;
mod unread;
