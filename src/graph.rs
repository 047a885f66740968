//! A typed client of the few Microsoft Graph calls that mailkeeper makes. Knows nothing of policy, store or stages.
//!
//! A [`Client`] serves one tenant. Requests are values ([`request`]), bodies are decoded apart from any I/O
//! ([`response`]), and between them and the [`transport::Transport`] stand the token ([`auth`]), the budget and the
//! retries ([`throttle`]). Reads are repeated until they are answered or out of attempts; a write that may have been
//! applied never is. The token can be attached to nothing but a [`GraphUrl`], whose origin is the configured one.

// Where Graph lives in each cloud.
pub mod cloud;

// The bytes.
pub mod transport;

mod auth;
mod client;
mod error;
mod link;
mod observer;
mod request;
mod response;
mod throttle;

#[cfg(test)]
mod testing;

pub use auth::{MANAGED_IDENTITY_ENDPOINT, SignIn, SignInError, SignInFault};
pub use client::{
    AnswersByUser, Client, Config, DeltaPager, DeltaStart, MailboxAnswer, Pager, Probed, Refusal, WriteResult,
};
pub use cloud::{Cloud, Features, Roots, RootsError};
pub use error::{Error, ErrorAnswer, RequestIds};
pub use link::{GraphUrl, LinkFault};
pub use observer::{RequestObserver, RequestSample, Unobserved};
pub use request::{Endpoint, UserShard};
pub use response::{Audit, AuditTarget, DeletedUser, DeltaItem, Organization, Understood, UserPatch};
pub use throttle::TenantSize;
