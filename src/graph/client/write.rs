//! The few writes. A write that may have been applied is never repeated here: the caller reads first.
//!
//! Repeated are only 401 (once, inside the exchange) and 429: both say that nothing was done.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::model::{GroupId, Outcome, OutcomeKind, PlanId, RestoreOptions, SkuId, UserId};

use super::super::error::{Error, ErrorAnswer, RequestIds};
use super::super::request::{self, Endpoint, Request};
use super::super::response::{decode_error, decode_object, is_error_readable};
use super::super::throttle::{MAX_WRITE_ATTEMPTS, MAX_WRITE_DELAY, delay_before, delay_named, is_throttled};
use super::super::transport::{HttpResponse, TransportError};
use super::{Client, Exchange, is_success};

/// What came of one write. Never "fixed": only a later observation says that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriteResult {
    pub kind: OutcomeKind,
    /// Why it was not accepted, where Graph said so.
    pub refusal: Option<Refusal>,
    /// For people: status, Graph's code and message, ids.
    pub detail: String,
    pub ids: RequestIds,
    /// When to come back, where Graph named a time and it was too long to wait here.
    pub retry_after: Option<Duration>,
}

impl WriteResult {
    pub fn into_outcome(self) -> Outcome {
        Outcome { kind: self.kind, detail: self.detail, request_id: self.ids.request }
    }
}

/// What Graph holds against a write. The licence ones are told apart by the message, for lack of anything else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Refusal {
    NoSeat,
    /// The user has no usage location, or the product is not sold there.
    UsageLocation,
    SkuNotOwned,
    ConflictingPlans,
    MissingDependency,
    /// The licence comes from a group and cannot be changed on the user.
    Inherited,
    /// A proxy address or principal name is held by another object.
    AddressInUse,
    AlreadyThere,
    /// Gone, or not yet on the replica that answered.
    NotFound,
    /// No token was good enough, also not a new one. The reads raise the alarm.
    TokenRefused,
    /// Missing permission, or a target that holds administrator roles.
    Forbidden,
    /// Another write to the same object at the same time, or a lock on it.
    Concurrent,
    /// Sent elsewhere. Never followed, so not done as far as is known.
    Redirected,
    Throttled,
    Unavailable,
    /// The error was cut off or a gateway's page: not done, and nobody knows why.
    Garbled,
    /// Anything else: not repeated in a loop.
    Unknown,
}

impl Refusal {
    /// What it means for the outcome. `NotFound` is deferred: the next observation tells whether the object is gone.
    fn kind(self) -> OutcomeKind {
        match self {
            Self::NoSeat => OutcomeKind::NoSeat,
            Self::AlreadyThere => OutcomeKind::AlreadyDone,
            Self::TokenRefused
            | Self::NotFound
            | Self::Concurrent
            | Self::Redirected
            | Self::Throttled
            | Self::Unavailable
            | Self::Garbled => OutcomeKind::Deferred,
            Self::UsageLocation
            | Self::SkuNotOwned
            | Self::ConflictingPlans
            | Self::MissingDependency
            | Self::Inherited
            | Self::AddressInUse
            | Self::Forbidden
            | Self::Unknown => OutcomeKind::Refused,
        }
    }
}

/// Parts of messages, lower case, and what they mean. Source: Microsoft documents and captured answers; Microsoft
/// promises nothing about them, so whatever matches none of them is [`Refusal::Unknown`].
const MESSAGES: [(&str, Refusal); 14] = [
    ("does not have any available licenses", Refusal::NoSeat),
    ("no available licenses", Refusal::NoSeat),
    ("countviolation", Refusal::NoSeat),
    ("invalid usage location", Refusal::UsageLocation),
    ("prohibitedinusagelocation", Refusal::UsageLocation),
    ("does not correspond to a valid company license", Refusal::SkuNotOwned),
    ("mutually exclusive", Refusal::ConflictingPlans),
    ("depends on the service plan", Refusal::MissingDependency),
    ("inherited from a group membership", Refusal::Inherited),
    ("proxy address is already being used", Refusal::AddressInUse),
    ("uniquenessviolation", Refusal::AddressInUse),
    ("same value for property proxyaddresses already exists", Refusal::AddressInUse),
    ("same value for property userprincipalname already exists", Refusal::AddressInUse),
    ("added object references already exist", Refusal::AlreadyThere),
];

/// Sorts an answer that says "not done": by status and code first, by message only for 400, 409 and 422. A conflict is
/// taken for a passing one unless its message is known.
fn refusal(answer: &ErrorAnswer) -> Refusal {
    match answer.status {
        status if is_throttled(status) => Refusal::Throttled,
        300..=399 => Refusal::Redirected,
        425 | 503 => Refusal::Unavailable,
        401 => Refusal::TokenRefused,
        403 => Refusal::Forbidden,
        404 => Refusal::NotFound,
        409 if answer.has_code("Directory_ConcurrencyViolation") => Refusal::Concurrent,
        409 => said_by_message(answer).unwrap_or(Refusal::Concurrent),
        412 | 423 => Refusal::Concurrent,
        400 | 422 => said_by_message(answer).unwrap_or(Refusal::Unknown),
        _ => Refusal::Unknown,
    }
}

fn said_by_message(answer: &ErrorAnswer) -> Option<Refusal> {
    let message = answer.message.to_ascii_lowercase();
    MESSAGES.iter().find(|(part, _)| message.contains(part)).map(|(_, refusal)| *refusal)
}

impl Client {
    /// Gives a user one product, with exactly these service plans switched off.
    pub async fn assign_license(
        &self,
        user: UserId,
        sku: SkuId,
        disabled_plans: &BTreeSet<PlanId>,
    ) -> WriteResult {
        self.write(&request::assign_license(user, sku, disabled_plans)).await
    }

    /// Brings a soft-deleted user back. Source: Graph directory-deleteditems-restore.
    pub async fn restore(&self, user: UserId, options: &RestoreOptions) -> WriteResult {
        self.write(&request::restore(user, options)).await
    }

    /// Puts a user into a group. `AlreadyDone` when it is a member.
    pub async fn add_group_member(&self, group: GroupId, user: UserId) -> WriteResult {
        self.write(&request::add_group_member(self.shared.roots.graph().as_str(), group, user)).await
    }

    /// `location`: two letters, ISO 3166.
    pub async fn set_usage_location(&self, user: UserId, location: &str) -> WriteResult {
        self.write(&request::set_usage_location(user, location)).await
    }

    /// Lets group-based licensing try again for one user.
    pub async fn reprocess_licenses(&self, user: UserId) -> WriteResult {
        self.write(&request::reprocess_licenses(user)).await
    }

    /// The only way for a write to the transport.
    async fn write(&self, request: &Request) -> WriteResult {
        let url = match self.url_of(request) {
            Ok(url) => url,
            Err(error) => return not_sent(&error),
        };
        let mut attempt = 1;
        loop {
            let Exchange { ids, outcome } = match self.exchange(request, &url).await {
                Ok(exchange) => exchange,
                Err(error) => return not_sent(&error),
            };
            let now = self.shared.clock.now();
            if let Ok(response) = &outcome {
                let delay = delay_before(attempt + 1, url.as_str(), Some(response), now);
                let may_repeat = is_throttled(response.status) && attempt < MAX_WRITE_ATTEMPTS;
                if may_repeat && delay <= MAX_WRITE_DELAY {
                    attempt += 1;
                    self.shared.clock.sleep(delay).await;
                    continue;
                }
            }
            let retry_after = outcome.as_ref().ok().and_then(|response| delay_named(response, now));
            return WriteResult { retry_after, ..judge(request.endpoint, outcome, ids) };
        }
    }
}

/// What an answer, or none, says about one write.
fn judge(endpoint: Endpoint, outcome: Result<HttpResponse, TransportError>, ids: RequestIds) -> WriteResult {
    let result =
        |kind, refusal, detail| WriteResult { kind, refusal, detail, ids: ids.clone(), retry_after: None };
    match outcome {
        Err(fault @ TransportError::Connect(_)) => {
            result(OutcomeKind::Deferred, Some(Refusal::Unavailable), format!("{fault} ({ids})"))
        }
        Err(fault) => result(OutcomeKind::Uncertain, None, format!("{fault} ({ids})")),
        Ok(response) if is_success(&response) => match believed(endpoint, &response) {
            Ok(()) => result(OutcomeKind::Accepted, None, format!("{} ({ids})", response.status)),
            Err(doubt) => {
                result(OutcomeKind::Uncertain, None, format!("{}, {doubt} ({ids})", response.status))
            }
        },
        Ok(response) => {
            let answer = decode_error(&response, &ids.client_request);
            let detail = answer.to_string();
            if is_undecided(&response) {
                return WriteResult { ids: answer.ids, ..result(OutcomeKind::Uncertain, None, detail) };
            }
            // A redirect mostly comes with a page of its own.
            let is_readable = (300..400).contains(&response.status) || is_error_readable(&response);
            let refusal = if is_readable { refusal(&answer) } else { Refusal::Garbled };
            WriteResult { ids: answer.ids, ..result(refusal.kind(), Some(refusal), detail) }
        }
    }
}

/// A success is believed when its body is what the action returns: a gateway's HTML with status 200 is no success.
fn believed(endpoint: Endpoint, response: &HttpResponse) -> Result<(), String> {
    let returns_object =
        matches!(endpoint, Endpoint::AssignLicense | Endpoint::RestoreUser | Endpoint::ReprocessLicenses);
    if response.body.is_empty() && (response.status == 204 || !returns_object) {
        return Ok(());
    }
    decode_object(&response.body)
}

/// Statuses after which the write may have been applied: a connection that somebody between gave up (408, 499), and
/// every failure of a server that does not say that it did nothing. A 503 without `Retry-After` is a gateway's, which
/// does not know what the server behind it did.
fn is_undecided(response: &HttpResponse) -> bool {
    match response.status {
        503 => response.header("retry-after").is_none(),
        501 | 505 => false,
        status if is_throttled(status) => false,
        408 | 499 | 500.. => true,
        _ => false,
    }
}

fn not_sent(error: &Error) -> WriteResult {
    let mut detail = error.to_string();
    if let Error::SignIn(cause) = error {
        detail = format!("{detail}: {cause}");
    }
    WriteResult {
        kind: OutcomeKind::NotSent,
        refusal: None,
        detail,
        ids: RequestIds::default(),
        retry_after: None,
    }
}
