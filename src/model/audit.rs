//! What the directory's audit log says of one user: who did what, and when.

use serde::{Deserialize, Serialize};

use super::Timestamp;

/// One entry (Graph: directoryAudit). Evidence for people, and for a loss that nobody observed a hint at its date.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEvent {
    pub at: Timestamp,
    /// `Change user license`, `Delete user`, ...
    pub activity: String,
    /// `None` when the log names nobody.
    pub by: Option<Actor>,
    /// Products with a mailbox that it took away, by name. The log often does not say, so none is "not known".
    #[serde(default)]
    pub removed: Vec<String>,
}

/// Who did it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    pub kind: ActorKind,
    /// User principal name, or the application's display name.
    pub name: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ActorKind {
    User,
    /// Also Microsoft's own services.
    Application,
}

impl AuditEvent {
    /// The activities that are asked about (Entra: audit activity reference, user and group management).
    pub const CHANGE_LICENSE: &str = "Change user license";
    pub const UPDATE_USER: &str = "Update user";
    pub const LEAVE_GROUP: &str = "Remove member from group";
    pub const DELETE_USER: &str = "Delete user";

    pub fn is(&self, activity: &str) -> bool {
        self.activity.eq_ignore_ascii_case(activity)
    }
}
