//! The mailbox probes that Graph offers: `mailboxSettings`, its `userPurpose`, and `settings/exchange`. They say
//! whether a mailbox is reachable, never why not.

use serde_json::{Value, json};

use super::call::Call;
use super::directory::User;
use super::errors::GraphError;
use super::narrow::{Type, Wanted};
use super::odata::{Entity, json_answer};
use super::tenant::Tenant;
use crate::graph::transport::HttpResponse;

/// Graph: "MailboxNotEnabledForRESTAPI".
fn unreachable() -> GraphError {
    GraphError::new(
        404,
        "MailboxNotEnabledForRESTAPI",
        "The mailbox is either inactive, soft-deleted, or is hosted on-premise.",
    )
}

/// Graph: mailboxSettings.
pub(super) static SETTINGS: Type = Type {
    name: "mailboxSettings",
    default: &[
        "archiveFolder",
        "timeZone",
        "delegateMeetingMessageDeliveryOptions",
        "dateFormat",
        "timeFormat",
        "userPurpose",
        "automaticRepliesSetting",
        "language",
        "workingHours",
    ],
    selectable: &[],
    empty: &[],
};

/// Graph: exchangeSettings.
pub(super) static EXCHANGE: Type =
    Type { name: "exchangeSettings", default: &["id", "primaryMailboxId"], selectable: &[], empty: &[] };

/// The name of a mailbox setting as Graph spells it.
pub(super) fn setting(name: &str) -> Option<&'static str> {
    SETTINGS.find(name)
}

impl Tenant {
    pub(super) fn mailbox_settings(&self, call: &Call, key: &str) -> Result<HttpResponse, GraphError> {
        let user = self.visible_user(call, key)?;
        let wanted = Wanted::read(call, &SETTINGS)?;
        let entity = wanted.of(self.settings_of(&user)?);
        let context = call.context(&format!("users('{}')/mailboxSettings", user.id));
        Ok(json_answer(200, &Entity { context, entity }))
    }

    /// The settings themselves, without a context.
    pub(super) fn settings_of(&self, user: &User) -> Result<Value, GraphError> {
        let mailbox = self.reachable_mailbox(user).ok_or_else(unreachable)?;
        Ok(json!({
            "archiveFolder": null,
            "timeZone": "W. Europe Standard Time",
            "delegateMeetingMessageDeliveryOptions": "sendToDelegateOnly",
            "dateFormat": "dd.MM.yyyy",
            "timeFormat": "HH:mm",
            "userPurpose": mailbox.kind.purpose(),
            "automaticRepliesSetting": {
                "status": "disabled", "externalAudience": "all",
                "internalReplyMessage": "", "externalReplyMessage": "",
                "scheduledStartDateTime": {"dateTime": "2026-01-01T08:00:00.0000000", "timeZone": "UTC"},
                "scheduledEndDateTime": {"dateTime": "2026-01-02T08:00:00.0000000", "timeZone": "UTC"},
            },
            "workingHours": {
                "daysOfWeek": ["monday", "tuesday", "wednesday", "thursday", "friday"],
                "startTime": "08:00:00.0000000", "endTime": "17:00:00.0000000",
                "timeZone": {"name": "W. Europe Standard Time"},
            },
            "language": {"locale": "nb-NO", "displayName": "Norwegian Bokmål (Norway)"},
        }))
    }

    pub(super) fn user_purpose(&self, call: &Call, key: &str) -> Result<HttpResponse, GraphError> {
        let user = self.visible_user(call, key)?;
        let mailbox = self.reachable_mailbox(&user).ok_or_else(unreachable)?;
        let context = call.context(&format!("users('{}')/mailboxSettings/userPurpose", user.id));
        Ok(json_answer(200, &json!({"@odata.context": context, "value": mailbox.kind.purpose()})))
    }

    /// An object comes as itself, everything else as a value. Graph: user-get-mailboxsettings.
    pub(super) fn mailbox_setting(
        &self,
        call: &Call,
        key: &str,
        name: &'static str,
    ) -> Result<HttpResponse, GraphError> {
        let user = self.visible_user(call, key)?;
        let setting = self.settings_of(&user)?[name].take();
        let entity = if setting.is_object() { setting } else { json!({ "value": setting }) };
        let context = call.context(&format!("users('{}')/mailboxSettings/{name}", user.id));
        Ok(json_answer(200, &Entity { context, entity }))
    }

    /// `primaryMailboxId` names the mailbox itself: `MBX:<guid>@<tenant>`. Graph: exchangeSettings.
    pub(super) fn exchange_settings(&self, call: &Call, key: &str) -> Result<HttpResponse, GraphError> {
        let user = self.visible_user(call, key)?;
        let wanted = Wanted::read(call, &EXCHANGE)?;
        let context = call.context(&format!("users('{}')/settings/exchange/$entity", user.id));
        let primary = match self.reachable_mailbox(&user) {
            Some(mailbox) => Value::String(format!("MBX:{}@{}", mailbox.id, self.id())),
            None if self.switches.exchange_settings_need_mailbox => return Err(unreachable()),
            None => Value::Null,
        };
        let entity = wanted.of(json!({"id": user.id.to_string(), "primaryMailboxId": primary}));
        Ok(json_answer(200, &Entity { context, entity }))
    }
}
