//! The simulated tenant, seen over its requests. The kit is here, the tests in the files named after their subject.

mod audit;
mod batch;
mod conformance;
mod delta;
mod groups;
mod licences;
mod lifecycle;
mod listing;
mod lists;
mod lookups;
mod metadata;
mod network;
mod permissions;
mod queries;
mod recycle_bin;
mod scale;
mod sign_in;
mod subscriptions;
mod throttling;
mod writes;

use serde_json::Value;

use super::administrator::{NewUser, UserKind};
use super::quota::Quota;
use super::scenario::products::{EXCHANGE_S_ENTERPRISE, EXCHANGE_S_FOUNDATION, SPE_E3, TEAMS1};
use super::subscriptions::{NewSku, ServicePlan};
use super::switches::Switches;
use super::tenant::{Tenant, TenantOptions};
use crate::graph::transport::{HttpRequest, HttpResponse, Method};
use crate::model::{Span, Timestamp, UserId};

const ROOT: &str = "https://graph.microsoft.com/v1.0";
const START: Timestamp = Timestamp::from_secs(1_800_000_000);
/// How long the tenant of the kit needs to bring a mailbox.
const PROVISIONING: Span = Span::from_minutes(10);

/// All permissions that some test needs.
const ROLES: [&str; 9] = [
    "User.Read.All",
    "User.ReadWrite.All",
    "User.DeleteRestore.All",
    "LicenseAssignment.ReadWrite.All",
    "Organization.Read.All",
    "AuditLog.Read.All",
    "MailboxSettings.Read",
    "GroupMember.ReadWrite.All",
    "Group.ReadWrite.All",
];

/// A tenant with ten seats of Microsoft 365 E3, a token and a time that the test moves.
struct Lab {
    tenant: Tenant,
    now: Timestamp,
    token: String,
}

/// An answer, read.
struct Reply {
    status: u16,
    json: Value,
    response: HttpResponse,
}

impl Reply {
    fn code(&self) -> &str {
        self.json["error"]["code"].as_str().unwrap_or_default()
    }

    fn message(&self) -> &str {
        self.json["error"]["message"].as_str().unwrap_or_default()
    }

    fn ids(&self) -> Vec<String> {
        let ids = self.json["value"].as_array().into_iter().flatten();
        ids.map(|object| object["id"].as_str().expect("every object has an id").to_owned()).collect()
    }
}

impl Lab {
    fn new() -> Self {
        Self::with(Switches::default())
    }

    fn with(switches: Switches) -> Self {
        let mut options = TenantOptions::new(1);
        options.switches = switches;
        options.quota = Quota::Unlimited;
        options.provisioning = (PROVISIONING, PROVISIONING);
        options.group_licensing = (Span::from_minutes(5), Span::from_minutes(5));
        options.application.roles = ROLES.iter().map(|role| (*role).to_owned()).collect();
        let mut tenant = Tenant::new(options);
        tenant.add_sku(START, suite(10));
        let token = tenant.issue_token(START, Span::from_days(3650));
        Self { tenant, now: START, token }
    }

    fn wait(&mut self, span: Span) {
        self.now = self.now + span;
        self.tenant.advance(self.now);
    }

    /// A licensed member with a mailbox.
    fn member(&mut self, name: &str) -> UserId {
        self.add(name, UserKind::Member, true)
    }

    fn add(&mut self, name: &str, kind: UserKind, is_licensed: bool) -> UserId {
        let mut user = NewUser::new(&format!("{name}@contoso.com"), name, kind);
        if is_licensed {
            user.licences.push((SPE_E3, Vec::new()));
        }
        self.tenant.add_user(self.now, user)
    }

    fn request(&self, method: Method, target: &str) -> HttpRequest {
        let url = if target.starts_with("http") { target.to_owned() } else { format!("{ROOT}{target}") };
        HttpRequest::new(method, url).with_header("authorization", format!("Bearer {}", self.token))
    }

    fn send(&mut self, request: HttpRequest) -> Reply {
        let response = self.tenant.handle(self.now, &request);
        let json = serde_json::from_slice(&response.body).unwrap_or(Value::Null);
        Reply { status: response.status, json, response }
    }

    fn get(&mut self, target: &str) -> Reply {
        let request = self.request(Method::Get, target);
        self.send(request)
    }

    /// With `ConsistencyLevel: eventual`.
    fn get_eventual(&mut self, target: &str) -> Reply {
        let request = self.request(Method::Get, target).with_header("ConsistencyLevel", "eventual");
        self.send(request)
    }

    fn post(&mut self, target: &str, body: Value) -> Reply {
        let request =
            self.request(Method::Post, target).with_body("application/json", body.to_string().into_bytes());
        self.send(request)
    }

    fn patch(&mut self, target: &str, body: Value) -> Reply {
        let request =
            self.request(Method::Patch, target).with_body("application/json", body.to_string().into_bytes());
        self.send(request)
    }

    fn delete(&mut self, target: &str) -> Reply {
        let request = self.request(Method::Delete, target);
        self.send(request)
    }

    /// All pages of a listing, following the links.
    fn walk(&mut self, target: &str) -> Vec<Value> {
        let mut objects = Vec::new();
        let mut next = Some(target.to_owned());
        while let Some(target) = next {
            let reply = self.get_eventual(&target);
            assert_eq!(reply.status, 200, "{target}: {}", reply.json);
            objects.extend(reply.json["value"].as_array().expect("a page").iter().cloned());
            next = reply.json["@odata.nextLink"].as_str().map(str::to_owned);
        }
        objects
    }
}

fn suite(seats: u32) -> NewSku {
    NewSku {
        sku: SPE_E3,
        part_number: "SPE_E3".to_owned(),
        seats,
        plans: vec![
            ServicePlan::new(EXCHANGE_S_ENTERPRISE, "EXCHANGE_S_ENTERPRISE", "exchange"),
            ServicePlan::new(EXCHANGE_S_FOUNDATION, "EXCHANGE_S_FOUNDATION", "exchange"),
            ServicePlan::new(TEAMS1, "TEAMS1", "TeamspaceAPI"),
        ],
    }
}
