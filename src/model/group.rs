//! Groups by which rules give licences.

use serde::{Deserialize, Serialize};

use super::{GroupId, License, Sku};

/// A group that the policy names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    pub id: GroupId,
    pub display_name: Option<String>,
    /// What members get through group-based licensing; `None` when Graph did not say.
    pub licenses: Option<Vec<License>>,
    /// Members can only be changed on premises.
    pub on_premises_synced: bool,
    /// Members follow from a rule and cannot be added.
    pub is_dynamic: bool,
}

impl Group {
    /// For people: `group "Staff" (5d9b…)`.
    pub fn title(&self) -> String {
        format!("group \"{}\" ({})", self.display_name.as_deref().unwrap_or("without a name"), self.id)
    }

    /// What it is that keeps Graph from putting anybody into it, and why.
    pub fn takes_nobody(&self) -> Option<(&'static str, &'static str)> {
        if self.is_dynamic {
            Some(("is dynamic", "nobody can be put into it"))
        } else if self.on_premises_synced {
            Some(("comes from on premises", "its members can only be changed there"))
        } else {
            None
        }
    }

    /// True when membership brings this product with a mailbox, and where nobody knows what it brings: Graph itself
    /// refuses then.
    pub fn gives_mailbox(&self, sku: &Sku) -> bool {
        let Some(licenses) = &self.licenses else { return true };
        let mut licenses = licenses.iter().filter(|license| license.sku == sku.id);
        licenses.any(|license| sku.mailbox_plans().any(|plan| !license.disabled_plans.contains(&plan)))
    }
}
