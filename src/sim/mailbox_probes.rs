//! The mailbox probes that Graph offers: `mailboxSettings`, its `userPurpose`, and `settings/exchange`. They say
//! whether a mailbox is reachable, never why not.

use serde_json::{Value, json};

use super::call::Call;
use super::errors::GraphError;
use super::odata::json_answer;
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

impl Tenant {
    pub(super) fn mailbox_settings(&self, call: &Call, key: &str) -> Result<HttpResponse, GraphError> {
        let user = self.visible_user(call, key)?;
        let mailbox = self.reachable_mailbox(&user).ok_or_else(unreachable)?;
        let context = call.context(&format!("users('{}')/mailboxSettings", user.id));
        let body = json!({
            "@odata.context": context,
            "archiveFolder": null,
            "timeZone": "W. Europe Standard Time",
            "delegateMeetingMessageDeliveryOptions": "sendToDelegateOnly",
            "dateFormat": "dd.MM.yyyy",
            "timeFormat": "HH:mm",
            "userPurpose": mailbox.kind.purpose(),
            "automaticRepliesSetting": {
                "status": "disabled", "externalAudience": "all",
                "internalReplyMessage": "", "externalReplyMessage": "",
            },
            "language": {"locale": "nb-NO", "displayName": "Norwegian Bokmål (Norway)"},
        });
        Ok(json_answer(200, &body))
    }

    pub(super) fn user_purpose(&self, call: &Call, key: &str) -> Result<HttpResponse, GraphError> {
        let user = self.visible_user(call, key)?;
        let mailbox = self.reachable_mailbox(&user).ok_or_else(unreachable)?;
        let context = call.context(&format!("users('{}')/mailboxSettings/userPurpose", user.id));
        Ok(json_answer(200, &json!({"@odata.context": context, "value": mailbox.kind.purpose()})))
    }

    /// `primaryMailboxId` names the mailbox itself: `MBX:<guid>@<tenant>`. Graph: exchangeSettings.
    pub(super) fn exchange_settings(&self, call: &Call, key: &str) -> Result<HttpResponse, GraphError> {
        let user = self.visible_user(call, key)?;
        let context = call.context(&format!("users('{}')/settings/exchange/$entity", user.id));
        let primary = match self.reachable_mailbox(&user) {
            Some(mailbox) => Value::String(format!("MBX:{}@{}", mailbox.id, self.id())),
            None if self.switches.exchange_settings_need_mailbox => return Err(unreachable()),
            None => Value::Null,
        };
        let body = json!({"@odata.context": context, "id": user.id.to_string(), "primaryMailboxId": primary});
        Ok(json_answer(200, &body))
    }
}
