//! The simulated Microsoft 365 tenant: what the daemon is tried against, in tests, in the demo and over loopback HTTP.
//!
//! It speaks HTTP and bytes behind [`crate::graph::transport::Transport`] and knows nothing of the stages: a simulator
//! that used our own planner, client types or deadlines would prove nothing. Of this crate it uses ids and time
//! ([`crate::model`]), the transport's request and response, and [`crate::clock::Clock`].
//!
//! [`tenant::Tenant`] is synchronous, deterministic and does no I/O; [`network::SimTransport`] puts latency and
//! [`faults::Faults`] in front of it; [`serve`] offers the same on a socket. What Microsoft's own sources contradict
//! each other about is a field of [`switches::Switches`].

// What an administrator does to the tenant, by hand or by script.
pub mod administrator;

// The audit log and `/auditLogs/directoryAudits`.
mod audit;

// `/$batch`.
mod batch;

// One request, taken apart: path, query options, headers, body.
pub mod call;

// Casts to a type.
mod casts;

// The certificate that an assertion may bring along.
mod certificate_chain;

// Virtual time.
pub mod clock;

// Soft deletion, restore and the recycle bin.
mod deleted;

// `/users/delta`: the change log and its tokens.
mod delta;

// The user objects, their indexes and their recent past.
mod directory;

// The error envelope and ready-made errors.
mod errors;

// `/groups`: lists, single groups, and what they let themselves be asked.
mod group_query;

// The background worker behind licences of groups.
mod group_licensing;

// `$expand`.
mod expand;

// The headers that every answer carries.
mod headers;

// What a hostile network answers by itself.
mod fault_answers;

// A hostile network, seeded.
pub mod faults;

// What a body may write of a group; creation and deletion.
mod group_write;

// Groups and memberships.
pub mod groups;

// Licences on users: paths, service plans, `assignLicense`.
pub mod licensing;

// What becomes of mailboxes.
pub mod mailbox;

// Single properties and references.
mod lookups;

// Who is in a group.
mod members;

// `/$metadata`.
mod metadata;

// `$select` on everything but users.
mod narrow;

// The mailbox probes that Graph offers.
mod mailbox_probes;

// The tenant behind a network.
pub mod network;

// `$filter`, `$search`, `$orderby`, paging and opaque tokens.
mod odata;

// Entries that are not in the documented shape.
mod odd;

// What Graph has and this tenant does not.
mod not_modelled;

// Which operation a method and path mean.
mod operation;

// Which application permission allows which operation.
mod permissions;

// What the socket adds to an answer: compression, and what browsers ask for.
mod presentation;

// User properties and `$select`.
mod properties;

// Which query options an operation takes.
mod query_options;

// Throttling: resource units and writes.
pub mod quota;

// Named, seeded streams of random numbers.
pub mod rng;

// A company and a month of its life.
pub mod scenario;

// Who gets a token, and the documents by which sign-in libraries find their way.
mod sign_in;

// The key that signs tokens.
mod signature;

// The tenant on a loopback socket.
pub mod serve;

// Products, seats and subscription stages.
pub mod subscriptions;

// What Microsoft's sources disagree on.
pub mod switches;

// The tenant itself.
pub mod tenant;

// https on loopback, with an authority made at start.
pub mod tls;

// Sign-in: tokens and the discovery documents.
pub mod token;

// What only the judge may know.
pub mod truth;

// What users let themselves be asked.
mod user_fields;

// The JSON of a user.
mod user_json;

// Lists and counts of users.
mod user_query;

// What a body may write of a user.
mod user_write;

// `/users`: lists, single users, creation and update.
mod users;

// Connections that can be cut.
mod wire;

#[cfg(test)]
mod tests;
