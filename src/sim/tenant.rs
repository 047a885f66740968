//! The simulated tenant: a synchronous state machine over requests and time. It does no I/O, reads no clock and draws
//! all chance from its seed; the rules live in the files named after them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use url::Url;

use super::audit::{AuditLog, Initiator};
use super::call::{Call, View};
use super::delta::ChangeLog;
use super::directory::{Directory, User, UserPlan};
use super::errors::GraphError;
use super::groups::Groups;
use super::headers::{decorate, with_date};
use super::licensing::PlanRules;
use super::lookups::referenced;
use super::mailbox::Mailboxes;
use super::metadata;
use super::odata::bare;
use super::operation::Operation;
use super::permissions;
use super::properties::{Property, PropertySet, difference};
use super::query_options;
use super::quota::{Meter, Quota};
use super::rng::Rng;
use super::subscriptions::Catalogue;
use super::switches::Switches;
use super::token::{Application, Tokens};
use super::truth::{Counters, LostMailbox, WriteRecord};
use crate::graph::transport::{HttpRequest, HttpResponse, Method};
use crate::model::{GroupId, SkuId, Span, TenantId, Timestamp, UserId};

/// How a tenant starts.
#[derive(Debug, Clone)]
pub struct TenantOptions {
    pub id: TenantId,
    pub name: String,
    /// The default verified domain.
    pub domain: String,
    /// Country of the tenant, two letters.
    pub location: String,
    pub seed: u64,
    pub switches: Switches,
    pub quota: Quota,
    pub application: Application,
    /// Shortest and longest time until a licence brings a mailbox. Exchange: usually under 30 minutes.
    pub provisioning: (Span, Span),
    /// Shortest and longest time until the group licensing worker gets to a change.
    pub group_licensing: (Span, Span),
}

impl TenantOptions {
    /// A tenant named contoso.com in Norway; one app with what observing and acting need.
    pub fn new(seed: u64) -> Self {
        let roles = [
            "User.Read.All",
            "LicenseAssignment.Read.All",
            "LicenseAssignment.ReadWrite.All",
            "User.DeleteRestore.All",
            "Organization.Read.All",
            "AuditLog.Read.All",
            "MailboxSettings.Read",
            "GroupMember.Read.All",
            "GroupMember.ReadWrite.All",
        ];
        Self {
            id: TenantId::from_u128(0x9d1c7f3e_3f43_4a52_9a35_0d2c55f1a001),
            name: "Contoso".to_owned(),
            domain: "contoso.com".to_owned(),
            location: "NO".to_owned(),
            seed,
            switches: Switches::default(),
            quota: Quota::Microsoft,
            application: Application {
                client_id: None,
                client_secret: None,
                roles: roles.iter().map(|role| (*role).to_owned()).collect(),
            },
            provisioning: (Span::from_minutes(3), Span::from_minutes(25)),
            group_licensing: (Span::from_minutes(1), Span::from_minutes(20)),
        }
    }
}

/// Background work that falls due. Each job checks, when it runs, whether it still applies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Job {
    GroupLicensing { group: GroupId, user: Option<UserId> },
    Provision(UserId),
    EndGrace(UserId),
    PurgeMailbox(UserId),
    PurgeUser(UserId),
    NextStage(SkuId),
}

/// Enough for the combinations of products that are common at a time, few enough to compare with on every change.
const RECENT_PLANS: usize = 8;

/// Who sends a request.
#[derive(Debug, Clone)]
pub(super) struct Bearer {
    client_id: String,
    roles: Vec<String>,
}

#[derive(Debug)]
pub struct Tenant {
    options: TenantOptions,
    pub(super) switches: Switches,
    pub(super) directory: Directory,
    pub(super) groups: Groups,
    pub(super) catalogue: Catalogue,
    pub(super) plan_rules: PlanRules,
    pub(super) mailboxes: Mailboxes,
    pub(super) changes: ChangeLog,
    pub(super) audit: AuditLog,
    /// While a company moves in nothing is worth an audit event or an entry in the change log.
    pub(super) is_moving_in: bool,
    /// Texts that many users share, each kept once.
    texts: BTreeSet<Arc<str>>,
    /// Lists of plans given out last; a company that moves in uses a handful.
    recent_plans: VecDeque<Arc<Vec<UserPlan>>>,
    pub(super) tokens: Tokens,
    pub(super) meter: Meter,
    pub(super) ids: Rng,
    /// The order of answers within a batch.
    pub(super) batch_order: Rng,
    delays: Rng,
    agenda: BTreeMap<(Timestamp, u64), Job>,
    jobs_scheduled: u64,
    pub(super) lost: Vec<LostMailbox>,
    pub(super) writes: Vec<WriteRecord>,
    pub(super) counters: Counters,
}

impl Tenant {
    pub fn new(options: TenantOptions) -> Self {
        Self {
            switches: options.switches.clone(),
            directory: Directory::default(),
            groups: Groups::default(),
            catalogue: Catalogue::default(),
            plan_rules: PlanRules::default(),
            mailboxes: Mailboxes::default(),
            changes: ChangeLog::default(),
            audit: AuditLog::default(),
            is_moving_in: false,
            texts: BTreeSet::new(),
            recent_plans: VecDeque::new(),
            tokens: Tokens::new(options.id, &options.domain, options.application.clone(), options.seed),
            meter: Meter::new(options.quota),
            ids: Rng::stream(options.seed, "ids"),
            batch_order: Rng::stream(options.seed, "batch order"),
            delays: Rng::stream(options.seed, "delays"),
            agenda: BTreeMap::new(),
            jobs_scheduled: 0,
            lost: Vec::new(),
            writes: Vec::new(),
            counters: Counters::default(),
            options,
        }
    }

    pub fn id(&self) -> TenantId {
        self.options.id
    }

    pub fn name(&self) -> &str {
        &self.options.name
    }

    pub fn domain(&self) -> &str {
        &self.options.domain
    }

    pub fn location(&self) -> &str {
        &self.options.location
    }

    /// Answers one request, after the background work that was due before it.
    pub fn handle(&mut self, now: Timestamp, request: &HttpRequest) -> HttpResponse {
        self.handle_viewed(now, View::clear(now), request)
    }

    /// As [`Tenant::handle`], with what the network does to the answer.
    pub fn handle_viewed(&mut self, now: Timestamp, view: View, request: &HttpRequest) -> HttpResponse {
        self.advance(now);
        let Ok(url) = Url::parse(&request.url) else { return HttpResponse::new(400) };
        let origin = url.origin().ascii_serialization();
        let version = url.path_segments().and_then(|mut segments| segments.next()).unwrap_or_default();
        if !version.eq_ignore_ascii_case("v1.0") {
            let answer = self.tokens.handle(now, url.path(), &origin, request);
            let Some(answer) = answer else {
                let error = GraphError::new(400, "BadRequest", format!("Invalid version: {version}."));
                return self.error_response(now, error, &Call::new(&url, request, view));
            };
            self.counters.tokens_issued += u64::from(url.path().ends_with("/token") && answer.status == 200);
            return with_date(now, answer);
        }
        let call = Call::new(&url, request, view);
        if call.method == Method::Get && call.segments == ["$metadata"] {
            let mut answer = HttpResponse::new(200).with_header("content-type", "application/xml");
            answer.body = metadata::document().into_bytes();
            return self.finish(now, answer, &call);
        }
        match self.tokens.authenticate(now, call.header("authorization")) {
            Ok((client_id, roles)) => self.dispatch(now, &call, &Bearer { client_id, roles }),
            Err(error) => {
                self.counters.unauthenticated += 1;
                self.error_response(now, error, &call)
            }
        }
    }

    /// One authenticated request or batch item, from permission to headers.
    pub(super) fn dispatch(&mut self, now: Timestamp, call: &Call, bearer: &Bearer) -> HttpResponse {
        self.counters.requests += 1;
        let operation = match call.check_content_type().and_then(|()| Operation::parse(call)) {
            Ok(operation) => operation,
            Err(error) => return self.error_response(now, error, call),
        };
        *self.counters.by_operation.entry(operation.name()).or_default() += 1;
        let user =
            operation.user_key().and_then(|key| key.parse().ok().or_else(|| self.directory.find_upn(&key)));
        let response = match self.admit_and_execute(now, call, &operation, bearer) {
            Ok(response) => self.finish(now, response, call),
            Err(error) => self.error_response(now, error, call),
        };
        if operation.is_write() {
            let added = || referenced(call.body_value()["@odata.id"].as_str()?).parse().ok();
            self.writes.push(WriteRecord {
                at: now,
                method: call.method,
                path: call.target.clone(),
                operation: operation.name(),
                user: user.or_else(added),
                group: operation.group(),
                body: String::from_utf8_lossy(&call.body).into_owned(),
                status: response.status,
                applied: response.status < 300,
            });
        }
        response
    }

    fn admit_and_execute(
        &mut self,
        now: Timestamp,
        call: &Call,
        operation: &Operation,
        bearer: &Bearer,
    ) -> Result<HttpResponse, GraphError> {
        if !permissions::allows(&bearer.roles, operation) {
            self.counters.denied += 1;
            return Err(GraphError::denied());
        }
        let scope = format!("Tenant_Application/ReadWrite/{}/{}", bearer.client_id, self.id());
        let users = self.directory.live_count();
        let charge = self
            .meter
            .charge(now, users, operation, call, &scope)
            .inspect_err(|_| self.counters.throttled += 1)?;
        self.counters.resource_units += u64::from(charge.units);
        match self.execute(now, call, operation, bearer) {
            Ok(response) => Ok(charge.mark(response)),
            Err(error) => Err(charge.mark_error(error)),
        }
    }

    fn execute(
        &mut self,
        now: Timestamp,
        call: &Call,
        operation: &Operation,
        bearer: &Bearer,
    ) -> Result<HttpResponse, GraphError> {
        query_options::check(call, operation)?;
        let by = &Initiator::Application {
            client_id: Some(bearer.client_id.clone()),
            name: "mailkeeper".to_owned(),
        };
        match operation {
            Operation::ListUsers => self.list_users(call),
            Operation::CountUsers => self.count_users(call),
            Operation::UsersDelta => self.users_delta(now, call),
            Operation::CreateUser => self.create_user(now, call, by),
            Operation::GetUser(key) => self.get_user(call, key),
            Operation::UpdateUser(key) => self.update_user(now, call, key, by),
            Operation::DeleteUser(key) => self.delete_user_call(now, key, by),
            Operation::AssignLicense(key) => self.assign_license(now, call, key, by),
            Operation::ReprocessLicenses(key) => self.reprocess_licenses(now, call, key),
            Operation::RestoreLiveUser(key) => Err(GraphError::not_found(key)),
            Operation::LicenseDetails(key) => self.license_details(call, key),
            Operation::MailboxSettings(key) => self.mailbox_settings(call, key),
            Operation::UserPurpose(key) => self.user_purpose(call, key),
            Operation::MailboxSetting(key, name) => self.mailbox_setting(call, key, name),
            Operation::ExchangeSettings(key) => self.exchange_settings(call, key),
            Operation::CheckMemberGroups(key) => self.check_member_groups(call, key),
            Operation::ListMemberOf { user, relation, cast } => {
                self.list_member_of(call, user, *relation, *cast)
            }
            Operation::CountMemberOf { user, relation, cast } => {
                self.count_member_of(call, user, *relation, *cast)
            }
            Operation::ListDeleted(bin) => self.list_deleted(call, *bin),
            Operation::CountDeleted(bin) => self.count_deleted(call, *bin),
            Operation::GetDeletedItem(key, cast) => self.get_deleted_item(call, key, *cast),
            Operation::RestoreDeletedItem(key) => self.restore_item(now, call, key, by),
            Operation::PurgeDeletedItem(key) => self.purge_item(now, key, by),
            Operation::ListSkus => self.list_skus(call),
            Operation::GetSku(id) => self.get_sku(call, id),
            Operation::ListSubscriptions => self.list_subscriptions(call),
            Operation::GetSubscription(id) => self.get_subscription(call, id),
            Operation::Organization => self.organization(call),
            Operation::GetOrganization(id) => self.get_organization(call, id),
            Operation::Service => Ok(self.service_document(call)),
            Operation::ListGroups => self.list_groups(call),
            Operation::CountGroups => self.count_groups(call),
            Operation::GetGroup(group) => self.get_group(call, *group),
            Operation::CreateGroup => self.create_group(now, call, by),
            Operation::UpdateGroup(id) | Operation::BindMembers(id) => self.update_group(now, call, *id, by),
            Operation::DeleteGroup(group) => self.delete_group(now, *group, by),
            Operation::MembersWithLicenseErrors(group) => self.list_members_with_errors(call, *group),
            Operation::GroupAssignLicense(group) => self.group_assign_license(now, call, *group, by),
            Operation::ListMembers { group, relation, cast } => {
                self.list_members(call, *group, *relation, *cast)
            }
            Operation::CountMembers { group, relation, cast } => {
                self.count_members(call, *group, *relation, *cast)
            }
            Operation::AddMember(group) => self.add_member_call(now, call, *group, by),
            Operation::RemoveMember(group, user) => self.remove_member_call(now, *group, *user, by),
            Operation::ListAudits => self.list_audits(now, call),
            Operation::GetAudit(id) => self.get_audit(now, call, id),
            Operation::Batch => self.batch(now, call, bearer),
            Operation::Lookup(lookup) => self.look_up(call, lookup),
        }
    }

    pub(super) fn error_response(&mut self, now: Timestamp, error: GraphError, call: &Call) -> HttpResponse {
        let request_id = self.ids.uuid().to_string();
        let client_request_id = call.header("client-request-id").unwrap_or(&request_id).to_owned();
        let date = now.to_datetime().format("%Y-%m-%dT%H:%M:%S").to_string();
        let response = error.into_response(&date, &request_id, &client_request_id);
        decorate(now, response, request_id, client_request_id)
    }

    fn finish(&mut self, now: Timestamp, response: HttpResponse, call: &Call) -> HttpResponse {
        let request_id = self.ids.uuid().to_string();
        let client_request_id = call.header("client-request-id").unwrap_or(&request_id).to_owned();
        let response = if call.wants_bare_json() { bare(response) } else { response };
        decorate(now, response, request_id, client_request_id)
    }

    /// Runs the background work due until `now`, each piece at its own time.
    pub fn advance(&mut self, now: Timestamp) {
        while let Some(((at, number), job)) = self.agenda.pop_first() {
            if at > now {
                self.agenda.insert((at, number), job);
                break;
            }
            self.run(at, job);
        }
        self.directory.prune(now);
        self.changes.prune(now);
        self.audit.prune(now, self.switches.audit_retention);
    }

    /// When the next background work is due.
    pub fn next_due(&self) -> Option<Timestamp> {
        self.agenda.first_key_value().map(|((at, _), _)| *at)
    }

    fn run(&mut self, at: Timestamp, job: Job) {
        match job {
            Job::GroupLicensing { group, user } => self.run_group_licensing(at, group, user),
            Job::Provision(user) => self.provision(at, user),
            Job::EndGrace(user) => self.end_grace(at, user),
            Job::PurgeMailbox(user) => self.purge_due_mailbox(at, user),
            Job::PurgeUser(user) => self.purge_due_user(at, user),
            Job::NextStage(sku) => self.end_stage(at, sku),
        }
    }

    pub(super) fn schedule(&mut self, at: Timestamp, job: Job) {
        self.jobs_scheduled += 1;
        self.agenda.insert((at, self.jobs_scheduled), job);
    }

    pub(super) fn provisioning_delay(&mut self) -> Span {
        let (low, high) = self.options.provisioning;
        Span::from_millis(self.delays.between(low.as_millis(), high.as_millis()))
    }

    pub(super) fn group_licensing_delay(&mut self) -> Span {
        let (low, high) = self.options.group_licensing;
        Span::from_millis(self.delays.between(low.as_millis(), high.as_millis()))
    }

    /// The only way a user changes: seats, change log and mailbox follow.
    pub(super) fn store_user(&mut self, now: Timestamp, mut user: User) {
        self.share_plans(&mut user);
        let id = user.id;
        let is_live = user.deleted_at.is_none();
        let before = self.directory.any(id).cloned();
        let changed = before.as_deref().map_or(PropertySet::ALL, |before| difference(before, &user));
        if changed.is_empty() && before.as_deref().is_some_and(|before| before.groups == user.groups) {
            return;
        }
        let occupied_before = before.as_deref().map(|user| self.occupied(user)).unwrap_or_default();
        let occupied_after = self.occupied(&user);
        occupied_before
            .iter()
            .filter(|sku| !occupied_after.contains(sku))
            .for_each(|sku| self.catalogue.free(*sku));
        occupied_after
            .iter()
            .filter(|sku| !occupied_before.contains(sku))
            .for_each(|sku| self.catalogue.occupy(*sku));
        if !self.is_moving_in {
            self.changes.record(now, before.as_deref(), &user, changed);
        }
        self.directory.put(now, user);
        if before.is_some() && is_live && changed.has(Property::AssignedPlans) {
            self.settle_mailbox(now, id);
        }
    }

    fn share_plans(&mut self, user: &mut User) {
        if let Some(same) = self.recent_plans.iter().find(|plans| **plans == user.plans) {
            user.plans = Arc::clone(same);
            return;
        }
        self.recent_plans.push_front(Arc::clone(&user.plans));
        self.recent_plans.truncate(RECENT_PLANS);
    }

    /// The products of which this user takes a seat.
    fn occupied(&self, user: &User) -> Vec<SkuId> {
        let counts = user.deleted_at.is_none() || self.switches.deleted_users_hold_seats;
        if counts { user.working_skus() } else { Vec::new() }
    }

    pub(super) fn shared_text(&mut self, text: Option<String>) -> Option<Arc<str>> {
        let text = text?;
        if let Some(known) = self.texts.get(text.as_str()) {
            return Some(Arc::clone(known));
        }
        let text: Arc<str> = text.into();
        self.texts.insert(Arc::clone(&text));
        Some(text)
    }
}
