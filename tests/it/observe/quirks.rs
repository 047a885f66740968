//! Servers that are not quite Graph, between the client and the simulated tenant.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use mailkeeper::graph::transport::{HttpRequest, HttpResponse, Transport, TransportError};
use mailkeeper::model::UserId;
use mailkeeper::sim::network::SimTransport;
use serde_json::{Value, json};

const AUDITS: &str = "/auditLogs/directoryAudits?";

/// How the server differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Quirks {
    /// Every `$filter` on users brings everybody.
    pub ignores_filters: bool,
    /// The status that answers a `$filter` on users.
    pub filter_status: Option<u16>,
    /// The status that answers an advanced `$filter` on users.
    pub advanced_status: Option<u16>,
    /// The status that answers every delta.
    pub delta_status: Option<u16>,
    /// The status that answers a delta from a stored token.
    pub token_status: Option<u16>,
    /// The status that answers the question about subscriptions.
    pub subscriptions_status: Option<u16>,
    /// The status that answers every question to the audit log.
    pub audit_status: Option<u16>,
    /// The status that answers a question to the audit log that names a time.
    pub audit_time_status: Option<u16>,
    /// The status that answers batches.
    pub batch_status: Option<u16>,
    /// The status that answers the question what a group gives.
    pub group_status: Option<u16>,
    /// The list of the tenant's own record is empty.
    pub names_no_organization: bool,
    /// The members of every group are listed as none.
    pub lists_no_members: bool,
    /// This user's memberships cannot be asked for.
    pub odd_member: Option<UserId>,
    /// Exchange is busy: every question about a mailbox is to come again in 20 s.
    pub is_exchange_busy: bool,
}

/// Called with the number of each request before it is answered.
type Meanwhile = Box<dyn FnMut(&SimTransport, u64) + Send>;

/// The transport of a test.
#[derive(Clone)]
pub struct Odd {
    pub inner: SimTransport,
    quirks: Arc<Mutex<Quirks>>,
    meanwhile: Arc<Mutex<Option<Meanwhile>>>,
    asked: Arc<Mutex<Vec<String>>>,
    removed: Arc<Mutex<Vec<UserId>>>,
    garbled: Arc<Mutex<Garbled>>,
    spent: Arc<Mutex<Duration>>,
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Odd {
    pub fn new(inner: SimTransport) -> Self {
        Self {
            inner,
            quirks: Arc::default(),
            meanwhile: Arc::default(),
            asked: Arc::default(),
            removed: Arc::default(),
            garbled: Arc::default(),
            spent: Arc::default(),
        }
    }

    pub fn set(&self, quirks: Quirks) {
        *lock(&self.quirks) = quirks;
    }

    pub fn meanwhile(&self, act: impl FnMut(&SimTransport, u64) + Send + 'static) {
        *lock(&self.meanwhile) = Some(Box::new(act));
    }

    /// A delta from a stored token says that these are gone.
    pub fn remove_in_deltas(&self, users: impl Iterator<Item = UserId>) {
        *lock(&self.removed) = users.collect();
    }

    /// Wherever this property of these users is shown, this stands in its place.
    pub fn garble(&self, users: impl Iterator<Item = UserId>, property: &'static str, value: Value) {
        let users = users.map(|user| user.to_string()).collect();
        *lock(&self.garbled) = Garbled { users, property, value };
    }

    pub fn settle(&self) {
        *lock(&self.meanwhile) = None;
    }

    /// What was asked of Graph since the last look: paths without their queries.
    pub fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *lock(&self.asked))
    }

    /// What the simulated tenant itself took; of use where nothing else runs.
    pub fn spent(&self) -> Duration {
        *lock(&self.spent)
    }

    fn answer(&self, request: &mut HttpRequest) -> Option<u16> {
        let quirks = *lock(&self.quirks);
        let is_filtered = request.url.contains("/users?") && request.url.contains("&$filter=");
        if is_filtered && quirks.ignores_filters {
            let start = request.url.find("&$filter=").expect("just seen");
            request.url.truncate(start);
        }
        let has_token = request.url.contains("deltatoken=") && !request.url.contains("deltatoken=latest");
        [
            quirks.filter_status.filter(|_| is_filtered),
            quirks.advanced_status.filter(|_| is_filtered && request.url.contains("filter=not(")),
            quirks.delta_status.filter(|_| request.url.contains("/users/delta")),
            quirks.token_status.filter(|_| has_token),
            quirks.subscriptions_status.filter(|_| request.url.ends_with("/directory/subscriptions")),
            quirks.audit_status.filter(|_| request.url.contains(AUDITS)),
            quirks
                .audit_time_status
                .filter(|_| request.url.contains(AUDITS) && request.url.contains("activityDateTime")),
            quirks.group_status.filter(|_| {
                request.url.contains("/groups/") && request.url.contains("?$select=id,displayName")
            }),
            quirks.batch_status.filter(|_| request.url.ends_with("/$batch")),
        ]
        .into_iter()
        .flatten()
        .next()
    }
}

/// The page, and entries that say that these were removed.
fn less(mut page: HttpResponse, removed: &[UserId]) -> HttpResponse {
    let mut body: Value = serde_json::from_slice(&page.body).expect("a page");
    let entries =
        removed.iter().map(|user| json!({"id": user.to_string(), "@removed": {"reason": "changed"}}));
    body["value"].as_array_mut().expect("a list").extend(entries);
    page.body = body.to_string().into_bytes();
    page
}

/// What stands where one property of some users should stand.
#[derive(Debug, Clone, Default)]
struct Garbled {
    users: Vec<String>,
    property: &'static str,
    value: Value,
}

impl Garbled {
    /// However deep the users are in the answer.
    fn garble(&self, answer: &mut Value) {
        match answer {
            Value::Array(items) => items.iter_mut().for_each(|item| self.garble(item)),
            Value::Object(members) => {
                let is_meant = members.get("id").is_some_and(|id| self.users.iter().any(|user| id == user));
                if let Some(shown) = members.get_mut(self.property).filter(|_| is_meant) {
                    *shown = self.value.clone();
                }
                members.values_mut().for_each(|member| self.garble(member));
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
}

#[async_trait]
impl Transport for Odd {
    async fn send(&self, mut request: HttpRequest) -> Result<HttpResponse, TransportError> {
        if let Some((_, path)) = request.url.split_once("/v1.0/") {
            let path = path.split('?').next().unwrap_or_default().to_owned();
            let number = {
                let mut asked = lock(&self.asked);
                asked.push(path);
                asked.len() as u64
            };
            if let Some(act) = lock(&self.meanwhile).as_mut() {
                act(&self.inner, number);
            }
        }
        let is_about_mailbox =
            ["/mailboxSettings", "/settings/exchange"].iter().any(|path| request.url.contains(path));
        if is_about_mailbox && lock(&self.quirks).is_exchange_busy {
            return Ok(HttpResponse::new(429).with_header("retry-after", "20"));
        }
        if request.url.contains("/organization") && lock(&self.quirks).names_no_organization {
            return Ok(HttpResponse::new(200).with_json(&json!({ "value": [] })));
        }
        if request.url.contains("/transitiveMembers") && lock(&self.quirks).lists_no_members {
            return Ok(HttpResponse::new(200).with_json(&json!({ "value": [] })));
        }
        let odd_member = lock(&self.quirks).odd_member;
        if odd_member.is_some_and(|user| request.url.ends_with(&format!("/users/{user}/checkMemberGroups"))) {
            let body = json!({ "error": { "code": "Request_BadRequest", "message": "not this one" } });
            return Ok(HttpResponse::new(400).with_json(&body));
        }
        if let Some(status) = self.answer(&mut request) {
            let body = br#"{"error":{"code":"Request_UnsupportedQuery","message":"not here"}}"#;
            let mut response = HttpResponse::new(status).with_header("content-type", "application/json");
            response.body = body.to_vec();
            return Ok(response);
        }
        let removed = lock(&self.removed).clone();
        let is_delta = request.url.contains("deltatoken=") && !request.url.contains("deltatoken=latest");
        let started = std::time::Instant::now();
        let answer = self.inner.send(request).await;
        *lock(&self.spent) += started.elapsed();
        let garbled = lock(&self.garbled).clone();
        if !garbled.users.is_empty() {
            return answer.map(|mut page| {
                if let Ok(mut body) = serde_json::from_slice(&page.body) {
                    garbled.garble(&mut body);
                    page.body = body.to_string().into_bytes();
                }
                page
            });
        }
        if is_delta && !removed.is_empty() { answer.map(|page| less(page, &removed)) } else { answer }
    }
}
