//! What users let themselves be asked, property by property, and how they answer. The engine is `odata::query`.
//! Sources: https://learn.microsoft.com/graph/aad-advanced-queries and the user resource. A property that nobody in the
//! simulated tenant has is null or empty, and can be asked for all the same.

use serde_json::Value as Json;

use super::directory::User;
use super::odata::query::{Entity, Value};
use super::odata::schema::Operator::{EndsWith, Equal, GreaterOrEqual, In, LessOrEqual, Null, StartsWith};
use super::odata::schema::{Field, Kind, Operator, Schema};
use super::properties::Property;
use super::user_json::merged_licences;
use crate::model::Timestamp;

const NONE: &[Operator] = &[];
const NULL: &[Operator] = &[Null];
const NAMES: &[Operator] = &[Equal, GreaterOrEqual, LessOrEqual, In, StartsWith];
const RARE: &[Operator] = &[Equal, GreaterOrEqual, LessOrEqual, In, StartsWith, Null];
const RANGES: &[Operator] = &[GreaterOrEqual, LessOrEqual, Null];

const fn text(name: &'static str, by_default: &'static [Operator], advanced: &'static [Operator]) -> Field {
    Field::new(name, Kind::Text, by_default, advanced)
}

const FIELDS: &[Field] = &[
    Field::new("id", Kind::Id, &[Equal, In], NONE),
    text("userprincipalname", NAMES, &[EndsWith]),
    text("displayname", &[Equal, In, StartsWith], RANGES),
    text("givenname", NAMES, NULL),
    text("surname", NAMES, NULL),
    text("mail", NAMES, &[EndsWith, Null]),
    text("mailnickname", NAMES, NULL),
    text("department", NAMES, NULL),
    text("companyname", NONE, RARE),
    text("country", NAMES, NULL),
    text("city", NAMES, NULL),
    text("state", NAMES, NULL),
    text("streetaddress", NONE, RARE),
    text("postalcode", NONE, RARE),
    text("jobtitle", &[Equal, GreaterOrEqual, LessOrEqual, In], &[StartsWith, Null]),
    text("employeetype", NONE, RARE),
    text("employeeid", &[Equal, StartsWith], &[LessOrEqual, Null]),
    text("usertype", &[Equal, In], NULL),
    text("usagelocation", NAMES, NULL),
    text("officelocation", NONE, RARE),
    text("mobilephone", NONE, RARE),
    text("preferredlanguage", NONE, RARE),
    text("creationtype", &[Equal, In], NULL),
    text("externaluserstate", &[Equal, In], NULL),
    text("agegroup", &[Equal, In], NONE),
    text("consentprovidedforminor", &[Equal, In], NONE),
    text("passwordpolicies", NONE, &[Equal, Null]),
    text("onpremisesimmutableid", NONE, &[Equal, GreaterOrEqual, LessOrEqual, In]),
    text("onpremisessamaccountname", NONE, &[Equal, GreaterOrEqual, LessOrEqual, In, StartsWith]),
    text("onpremisessecurityidentifier", &[Equal, In], NULL),
    text("onpremisesuserprincipalname", NAMES, NONE),
    text("onpremisesextensionattributes/extensionattribute1", NAMES, NULL),
    text("onpremisesextensionattributes/extensionattribute2", NAMES, NULL),
    text("onpremisesextensionattributes/extensionattribute3", NAMES, NULL),
    text("onpremisesextensionattributes/extensionattribute4", NAMES, NULL),
    text("onpremisesextensionattributes/extensionattribute5", NAMES, NULL),
    text("onpremisesextensionattributes/extensionattribute6", NAMES, NULL),
    text("onpremisesextensionattributes/extensionattribute7", NAMES, NULL),
    text("onpremisesextensionattributes/extensionattribute8", NAMES, NULL),
    text("onpremisesextensionattributes/extensionattribute9", NAMES, NULL),
    text("onpremisesextensionattributes/extensionattribute10", NAMES, NULL),
    text("onpremisesextensionattributes/extensionattribute11", NAMES, NULL),
    text("onpremisesextensionattributes/extensionattribute12", NAMES, NULL),
    text("onpremisesextensionattributes/extensionattribute13", NAMES, NULL),
    text("onpremisesextensionattributes/extensionattribute14", NAMES, NULL),
    text("onpremisesextensionattributes/extensionattribute15", NAMES, NULL),
    Field::new("accountenabled", Kind::Flag, &[Equal, In], NONE),
    Field::new("onpremisessyncenabled", Kind::Flag, &[Equal, In], NULL),
    Field::new("isresourceaccount", Kind::Flag, &[Equal], NONE),
    Field::new("showinaddresslist", Kind::Flag, NONE, &[Equal, In]),
    Field::new("createddatetime", Kind::Time, &[Equal, GreaterOrEqual, LessOrEqual], &[In]),
    Field::new("deleteddatetime", Kind::Time, &[Equal, GreaterOrEqual, LessOrEqual], &[In]),
    Field::new("employeehiredate", Kind::Time, NONE, &[Equal, GreaterOrEqual, LessOrEqual, In]),
    Field::new("onpremiseslastsyncdatetime", Kind::Time, NONE, &[Equal, GreaterOrEqual, LessOrEqual, In]),
    Field::new("signinactivity/lastsignindatetime", Kind::Time, &[Equal, GreaterOrEqual, LessOrEqual], NONE),
    Field::new("assignedlicenses", Kind::Objects(&["skuid"]), &[Equal], NONE),
    Field::new(
        "assignedplans",
        Kind::Objects(&["serviceplanid", "service", "capabilitystatus"]),
        NONE,
        &[Equal],
    ),
    Field::new("identities", Kind::Objects(&["issuer", "issuerassignedid", "signintype"]), &[Equal], NONE),
    Field::new("proxyaddresses", Kind::Texts, &[Equal, GreaterOrEqual, LessOrEqual, StartsWith], &[EndsWith]),
    Field::new("othermails", Kind::Texts, &[Equal, GreaterOrEqual, LessOrEqual, StartsWith], &[EndsWith]),
    Field::new("imaddresses", Kind::Texts, &[Equal, GreaterOrEqual, LessOrEqual, StartsWith], NONE),
    Field::new("businessphones", Kind::Texts, &[Equal], NONE),
];

const SEARCHED: &[&str] = &[
    "displayname",
    "userprincipalname",
    "givenname",
    "surname",
    "mail",
    "mailnickname",
    "proxyaddresses",
    "othermails",
    "department",
    "companyname",
    "country",
    "jobtitle",
    "employeetype",
    "usagelocation",
    "usertype",
];

pub(super) static USERS: Schema = Schema {
    name: "User",
    fields: FIELDS,
    orders: &["displayname", "userprincipalname"],
    advanced_orders: &["createddatetime", "deleteddatetime"],
    searched: SEARCHED,
    is_directory: true,
};

impl Entity for User {
    fn value(&self, name: &str) -> Value<'_> {
        match name {
            "id" => Value::Text(self.id.to_string().into()),
            "userprincipalname" => Value::text(&self.user_principal_name),
            "displayname" => Value::text(&self.display_name),
            "givenname" => Value::optional(self.given_name.as_deref()),
            "surname" => Value::optional(self.surname.as_deref()),
            "mail" => Value::optional(self.mail.as_deref()),
            "mailnickname" => Value::text(self.mail_nickname()),
            "department" => Value::optional(self.department.as_deref()),
            "companyname" => Value::optional(self.company_name.as_deref()),
            "country" => Value::optional(self.country.as_deref()),
            "jobtitle" => Value::optional(self.job_title.as_deref()),
            "employeetype" => Value::optional(self.employee_type.as_deref()),
            "usagelocation" => Value::optional(self.usage_location.as_deref()),
            "usertype" => Value::text(self.user_type.as_str()),
            "onpremisesimmutableid" => Value::optional(self.on_premises_immutable_id.as_deref()),
            "accountenabled" => Value::Flag(self.account_enabled),
            // Who never came from on premises has no such mark at all.
            "onpremisessyncenabled" if self.on_premises_synced => Value::Flag(true),
            "createddatetime" => Value::Time(self.created_at),
            "deleteddatetime" => self.deleted_at.map_or(Value::Null, Value::Time),
            "proxyaddresses" => Value::texts(&self.proxy_addresses),
            "othermails" => kept_texts(self.kept(Property::OtherMails)),
            "businessphones" => kept_texts(self.kept(Property::BusinessPhones)),
            "imaddresses" => Value::Texts(Vec::new()),
            "assignedlicenses" => {
                let licences = merged_licences(&self.licences);
                let licence = |sku: String| vec![("skuid", sku)];
                Value::Objects(licences.iter().map(|held| licence(held.sku_id.to_string())).collect())
            }
            "assignedplans" => Value::Objects(self.plans.iter().map(plan_members).collect()),
            "identities" => Value::Objects(Vec::new()),
            _ => self.kept_value(name),
        }
    }
}

impl User {
    /// `a/b` is the member `b` of the property `a`.
    fn kept_value(&self, name: &str) -> Value<'_> {
        let (property, member) = name.split_once('/').map_or((name, None), |(name, rest)| (name, Some(rest)));
        let mut kept = self.kept.iter().flat_map(|kept| kept.iter());
        let found = kept.find(|(known, _)| known.eq_ignore_ascii_case(property)).map(|(_, value)| value);
        let found = match member {
            Some(member) => found.and_then(Json::as_object).and_then(|object| {
                object.iter().find(|(known, _)| known.eq_ignore_ascii_case(member)).map(|(_, value)| value)
            }),
            None => found,
        };
        match found {
            Some(Json::String(text)) if is_time(name) => {
                Timestamp::parse(text).map_or(Value::Null, Value::Time)
            }
            Some(Json::String(text)) => Value::text(text),
            Some(Json::Bool(flag)) => Value::Flag(*flag),
            Some(Json::Null | Json::Number(_) | Json::Array(_) | Json::Object(_)) | None => Value::Null,
        }
    }
}

fn is_time(name: &str) -> bool {
    FIELDS.iter().any(|field| field.name == name && field.kind == Kind::Time)
}

fn kept_texts(value: Option<&Json>) -> Value<'_> {
    let texts = value.and_then(Json::as_array).into_iter().flatten();
    Value::Texts(texts.filter_map(Json::as_str).map(Into::into).collect())
}

fn plan_members(plan: &super::directory::UserPlan) -> Vec<(&'static str, String)> {
    vec![
        ("serviceplanid", plan.plan.to_string()),
        ("service", plan.service.to_string()),
        ("capabilitystatus", plan.status.as_str().to_owned()),
    ]
}
