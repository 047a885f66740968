//! The policy file as it is written: its keys, for serde and for the JSON Schema. Nothing here is checked or combined
//! yet.
//!
//! The only file that names serde_yaml.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::model::Response;

/// Why the text could not be read into the type.
#[derive(Debug)]
pub struct Unreadable {
    pub message: String,
    /// From 1; 0 when not known.
    pub line: u32,
    pub column: u32,
}

/// Reads YAML into a type. Positions and duplicate keys are not its business.
pub fn read<T: DeserializeOwned>(text: &str) -> Result<T, Unreadable> {
    serde_yaml::from_str(text).map_err(|error| {
        let location = error.location();
        let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        Unreadable {
            line: location.as_ref().map_or(0, |place| number(place.line())),
            column: location.as_ref().map_or(0, |place| number(place.column())),
            message: error.to_string(),
        }
    })
}

/// The JSON Schema of the policy file.
pub fn policy_schema() -> Value {
    json_schema::<PolicyFile>()
}

/// The JSON Schema of a written form. A key may be left out, but never be null: that is refused when the file is read.
pub fn json_schema<T: JsonSchema>() -> Value {
    let mut schema = schemars::schema_for!(T).to_value();
    remove_null(&mut schema);
    schema
}

fn remove_null(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            if let Some(Value::Array(types)) = object.get_mut("type") {
                types.retain(|name| name != "null");
                if let [only] = types.as_slice() {
                    let only = only.clone();
                    object.insert("type".to_owned(), only);
                }
            }
            if let Some(Value::Array(options)) = object.get_mut("anyOf") {
                options.retain(|option| option.get("type").is_none_or(|name| name != "null"));
                if let [Value::Object(only)] = options.as_slice() {
                    let only = only.clone();
                    object.remove("anyOf");
                    object.extend(only);
                }
            }
            object.values_mut().for_each(remove_null);
        }
        Value::Array(items) => items.iter_mut().for_each(remove_null),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// mailkeeper policy: which mailboxes must survive, and what may be done about it.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "mailkeeper policy")]
pub struct PolicyFile {
    /// Version of this format: 1.
    #[schemars(required, range(min = 1, max = 1))]
    pub version: Option<u32>,
    /// Microsoft's limit, and how long before it mailkeeper wants to be done.
    pub retention: Option<RetentionFile>,
    /// Accounts that are never licensed and never restored. Wins over everything else.
    pub offboarded: Option<Vec<ExclusionFile>>,
    /// Accounts that are reported and never touched: break-glass and administrator accounts.
    pub protected: Option<Vec<ExclusionFile>>,
    /// Which mailboxes to keep. The first rule that matches decides.
    pub keep: Option<Vec<KeepRuleFile>>,
    /// How much may be done at once. Over a limit everything waits for a person.
    pub limits: Option<LimitsFile>,
    /// What becomes of a question that nobody answered when its deadline comes near: report (default) or act.
    pub unanswered_asks: Option<UnansweredFile>,
}

/// `retention`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RetentionFile {
    /// Days until Microsoft deletes a disconnected mailbox or a deleted user for good: 30 (default), or 60 where
    /// Delicensing Resiliency is switched on for the tenant.
    #[schemars(extend("enum" = [30, 60]))]
    pub days: Option<u32>,
    /// mailkeeper's own deadline is the limit minus this. Default 2d.
    #[schemars(regex(pattern = r"^([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?$"))]
    pub margin: Option<String>,
}

/// An entry of `offboarded` or `protected`: `id` or `match`, and why.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExclusionFile {
    /// Object id of one user.
    #[schemars(extend("format" = "uuid"))]
    pub id: Option<String>,
    /// Whom the entry means. Guests and disabled accounts are included unless the match says otherwise.
    pub r#match: Option<MatchFile>,
    /// Why, for the next reader: a ticket number, a sentence.
    #[schemars(required)]
    pub reason: Option<String>,
}

/// A rule of `keep`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KeepRuleFile {
    /// What reports and questions call the rule. Unique.
    #[schemars(required)]
    pub name: Option<String>,
    /// Whom the rule means. Without user_type only members.
    #[schemars(required)]
    pub r#match: Option<MatchFile>,
    /// Products that give the mailbox, by part number or id, the preferred one first; the first with a free seat is
    /// used.
    pub licenses: Option<Vec<String>>,
    /// How a licence is given: direct (default), or by putting the user into a licensing group.
    pub assign: Option<AssignFile>,
    /// Two letters of ISO 3166, used only where the user has no usage location. NO is Norway.
    #[schemars(regex(pattern = r"^[A-Z]{2}$"))]
    pub usage_location: Option<String>,
    /// What to do when the licence is gone: act, ask or report (default).
    pub on_license_lost: Option<ResponseFile>,
    /// What to do when the user was deleted: act, ask or report (default).
    pub on_deleted: Option<ResponseFile>,
    /// What a restore may do where others hold the name or addresses of the deleted user by now. Without it such a
    /// user is left to a person.
    pub restore: Option<RestoreFile>,
    /// How long a drift must stand before anything is done. Default 2h.
    #[schemars(regex(pattern = r"^([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?$"))]
    pub settle: Option<String>,
    /// Higher gets the last seat. Default 0.
    #[schemars(range(min = -1000, max = 1000))]
    pub priority: Option<i32>,
    /// Also license users who were never seen with a mailbox. Default false.
    pub adopt: Option<bool>,
}

/// `assign`.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum AssignFile {
    Word(AssignWord),
    Group(AssignGroup),
}

#[derive(Debug, Clone, Copy, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AssignWord {
    Direct,
}

#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AssignGroup {
    /// Object id of the licensing group.
    #[schemars(required, extend("format" = "uuid"))]
    pub group: Option<String>,
}

/// `restore`. An account made in somebody's place usually takes the name and the main address: then both are needed.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RestoreFile {
    /// The restored user comes back without the addresses that others hold. Default false.
    pub drop_taken_addresses: Option<bool>,
    /// The user principal name it gets where its own is taken; `*` stands for what was before the @.
    #[schemars(regex(pattern = r"^[^@*]*\*[^@*]*@[^@*]+$"))]
    pub upn_if_taken: Option<String>,
}

/// act, ask or report.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ResponseFile {
    /// Repair it.
    Act,
    /// Propose the repair and wait for a person.
    Ask,
    /// Say so and do nothing.
    Report,
}

impl From<ResponseFile> for Response {
    fn from(value: ResponseFile) -> Self {
        match value {
            ResponseFile::Act => Self::Act,
            ResponseFile::Ask => Self::Ask,
            ResponseFile::Report => Self::Report,
        }
    }
}

/// Conditions; all keys of one match must hold. Texts ignore letter case, and `*` stands for any run of characters.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MatchFile {
    /// Object ids of users.
    pub id: Option<OneOrMany<String>>,
    /// User principal name.
    pub upn: Option<OneOrMany<String>>,
    /// Primary address.
    pub mail: Option<OneOrMany<String>>,
    /// What stands after the @ of the user principal name.
    pub domain: Option<OneOrMany<String>>,
    pub department: Option<OneOrMany<String>>,
    pub company: Option<OneOrMany<String>>,
    pub country: Option<OneOrMany<String>>,
    pub job_title: Option<OneOrMany<String>>,
    pub employee_type: Option<OneOrMany<String>>,
    /// member or guest. A keep rule without this key means members only.
    pub user_type: Option<OneOrMany<UserTypeFile>>,
    /// A keep rule that accepts false here, and only such a rule, may license a disabled account.
    pub account_enabled: Option<OneOrMany<bool>>,
    /// True for accounts that come from an on-premises directory.
    pub on_premises_synced: Option<bool>,
    /// Object ids of groups; nested membership counts.
    pub group: Option<OneOrMany<String>>,
    /// Kind of mailbox.
    pub mailbox: Option<OneOrMany<MailboxFile>>,
    /// Every one of these must match.
    pub all: Option<Vec<MatchFile>>,
    /// At least one of these must match.
    pub any: Option<Vec<MatchFile>>,
    /// This must not match.
    pub not: Option<Box<MatchFile>>,
}

/// One value or several; several mean any of them.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum OneOrMany<T> {
    One(T),
    Many(Vec<T>),
}

impl<T> OneOrMany<T> {
    pub fn as_slice(&self) -> &[T] {
        match self {
            Self::One(value) => std::slice::from_ref(value),
            Self::Many(values) => values,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum UserTypeFile {
    Member,
    Guest,
}

#[derive(Debug, Clone, Copy, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MailboxFile {
    User,
    Shared,
    Room,
    Equipment,
}

/// `limits`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LimitsFile {
    /// Steps in one pass. Default 25.
    #[schemars(range(min = 1))]
    pub per_pass: Option<u32>,
    /// Steps in one day. Default 100.
    #[schemars(range(min = 1))]
    pub per_day: Option<u32>,
    /// Share of the kept mailboxes in one day, once more than `floor` are concerned. Default 5%.
    #[schemars(regex(pattern = r"^[0-9]+(\.[0-9]+)? *%$"))]
    pub share: Option<String>,
    /// So many mailboxes may always be repaired, whatever their share. Default 10.
    pub floor: Option<u32>,
    /// A policy that has not changed for longer starts nothing until a person says that it is still meant, such as
    /// 180d; at least 7d. The approval is good for as long again. No limit by default.
    #[schemars(regex(pattern = r"^([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?$"))]
    pub policy_age: Option<String>,
    /// Seats that are left to people, by product.
    pub seats_reserved: Option<BTreeMap<String, u32>>,
}

/// report or act.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum UnansweredFile {
    Report,
    Act,
}
