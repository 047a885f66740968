//! Which query options a reading operation takes. What it does not take is refused, never ignored; what it takes is
//! judged where it is answered. Sources: the operations' own pages, and
//! https://learn.microsoft.com/graph/query-parameters

use super::call::Call;
use super::casts::Bin;
use super::errors::GraphError;
use super::operation::Operation;
use crate::graph::transport::Method;

/// OData's own, which may stand without the dollar sign, too.
const KNOWN: [&str; 16] = [
    "select",
    "filter",
    "top",
    "skip",
    "count",
    "orderby",
    "search",
    "expand",
    "skiptoken",
    "deltatoken",
    "format",
    "apply",
    "compute",
    "levels",
    "index",
    "schemaversion",
];

const LIST: &[&str] = &["select", "filter", "top", "count", "orderby", "search", "expand", "skiptoken"];
pub(super) const RELATION: &[&str] = &["select", "filter", "top", "count", "orderby", "search", "skiptoken"];
const SELECT: &[&str] = &["select"];

fn taken(operation: &Operation) -> &'static [&'static str] {
    match operation {
        Operation::ListUsers | Operation::ListGroups | Operation::ListDeleted(Bin::Users | Bin::Groups) => {
            LIST
        }
        Operation::ListDeleted(_)
        | Operation::ListMembers { .. }
        | Operation::ListMemberOf { .. }
        | Operation::MembersWithLicenseErrors(_) => RELATION,
        Operation::CountUsers
        | Operation::CountDeleted(_)
        | Operation::CountGroups
        | Operation::CountMembers { .. }
        | Operation::CountMemberOf { .. } => &["filter", "search"],
        // What of these a delta refuses, it refuses in its own words.
        Operation::UsersDelta => {
            &["select", "filter", "top", "orderby", "search", "expand", "skiptoken", "deltatoken"]
        }
        Operation::GetUser(_) | Operation::GetGroup(_) => &["select", "expand"],
        Operation::ListAudits => &["select", "filter", "top", "count", "orderby", "skiptoken"],
        Operation::GetDeletedItem(..)
        | Operation::LicenseDetails(_)
        | Operation::MailboxSettings(_)
        | Operation::ExchangeSettings(_)
        | Operation::ListSkus
        | Operation::GetSku(_)
        | Operation::ListSubscriptions
        | Operation::GetSubscription(_)
        | Operation::Organization
        | Operation::GetOrganization(_)
        | Operation::GetAudit(_) => SELECT,
        Operation::Lookup(lookup) => lookup.taken(),
        Operation::UserPurpose(_)
        | Operation::MailboxSetting(..)
        | Operation::Service
        | Operation::CreateUser
        | Operation::UpdateUser(_)
        | Operation::DeleteUser(_)
        | Operation::AssignLicense(_)
        | Operation::ReprocessLicenses(_)
        | Operation::RestoreLiveUser(_)
        | Operation::CheckMemberGroups(_)
        | Operation::RestoreDeletedItem(_)
        | Operation::PurgeDeletedItem(_)
        | Operation::CreateGroup
        | Operation::UpdateGroup(_)
        | Operation::BindMembers(_)
        | Operation::DeleteGroup(_)
        | Operation::GroupAssignLicense(_)
        | Operation::AddMember(_)
        | Operation::RemoveMember(..)
        | Operation::Batch => &[],
    }
}

/// Writes are answered as they always are, whatever they ask for besides.
pub(super) fn check(call: &Call, operation: &Operation) -> Result<(), GraphError> {
    if call.method != Method::Get {
        return Ok(());
    }
    let taken = taken(operation);
    let mut seen: Vec<&str> = Vec::new();
    for (name, has_dollar) in call.option_names() {
        if !has_dollar && !KNOWN.contains(&name) {
            continue;
        }
        if seen.contains(&name) {
            return Err(GraphError::new(
                400,
                "BadRequest",
                format!(
                    "Query option '${name}' was specified more than once, but it must be specified at most once."
                ),
            ));
        }
        seen.push(name);
        if name == "format" {
            check_format(call)?;
        } else if !taken.contains(&name) {
            return Err(refused(name));
        }
    }
    check_count(call)
}

fn check_count(call: &Call) -> Result<(), GraphError> {
    match call.option("count").map(str::to_ascii_lowercase).as_deref() {
        None | Some("true" | "false") => Ok(()),
        Some(other) => {
            let text = format!(
                "Invalid value '{other}' for $count query option found. Valid values are 'true' or 'false'."
            );
            Err(GraphError::new(400, "BadRequest", text))
        }
    }
}

fn refused(name: &str) -> GraphError {
    match name {
        "skip" => GraphError::bad_request("'$skip' is not supported by the service."),
        _ => GraphError::new(400, "BadRequest", format!("The query parameter '${name}' is not supported.")),
    }
}

/// There is JSON and nothing else.
fn check_format(call: &Call) -> Result<(), GraphError> {
    let format = call.option("format").unwrap_or_default().to_ascii_lowercase();
    if format == "json" || format.starts_with("application/json") {
        return Ok(());
    }
    Err(GraphError::new(400, "BadRequest", format!("The $format '{format}' is not supported.")))
}
