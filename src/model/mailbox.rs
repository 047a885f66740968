//! Mailboxes: which service plans carry one, of what kind it is, and what proves which one it is.

use serde::{Deserialize, Serialize};

use super::{PlanId, Timestamp};

/// The ten Exchange Online service plans that carry a mailbox, with their names.
///
/// Source: Microsoft's "Product names and service plan identifiers for licensing". Matching by name prefix or by
/// `service == "exchange"` is wrong: `EXCHANGE_S_FOUNDATION` stands in about 250 products and is no mailbox.
pub const MAILBOX_PLANS: [(PlanId, &str); 10] = [
    (PlanId::from_u128(0x9aaf_7827_d63c_4b61_89c3_182f_06f8_2e5c), "EXCHANGE_S_STANDARD"),
    (PlanId::from_u128(0xefb8_7545_963c_4e0d_99df_69c6_916d_9eb0), "EXCHANGE_S_ENTERPRISE"),
    (PlanId::from_u128(0x4a82_b400_a79f_41a4_b4e2_e94f_5787_b113), "EXCHANGE_S_DESKLESS"),
    (PlanId::from_u128(0x1126_bef5_da20_4f07_b45e_ad25_d258_1aa8), "EXCHANGE_S_ESSENTIALS"),
    (PlanId::from_u128(0xd42b_dbd6_c335_4231_ab3d_c8f3_48d5_aff5), "EXCHANGE_L_STANDARD"),
    (PlanId::from_u128(0x9092_7877_dcff_4af6_b346_2332_c0b1_5bb7), "EXCHANGE_B_STANDARD"),
    (PlanId::from_u128(0xfc52_cc4b_ed7d_472d_bbe7_b081_c23e_cc56), "EXCHANGE_S_STANDARD_MIDMARKET"),
    (PlanId::from_u128(0xe9b4_930a_925f_45e2_ac2a_3f77_88ca_6fdd), "EXCHANGE_S_STANDARD_GOV"),
    (PlanId::from_u128(0x8c30_69c0_ccdb_44be_ab77_9862_03a6_7df2), "EXCHANGE_S_ENTERPRISE_GOV"),
    (PlanId::from_u128(0x88f4_d7ef_a73b_4246_8047_5160_2214_4c9f), "EXCHANGE_S_DESKLESS_GOV"),
];

pub fn is_mailbox_plan(plan: PlanId) -> bool {
    MAILBOX_PLANS.iter().any(|(candidate, _)| *candidate == plan)
}

/// The published name of a mailbox-carrying plan.
pub fn mailbox_plan_name(plan: PlanId) -> Option<&'static str> {
    MAILBOX_PLANS.iter().find(|(candidate, _)| *candidate == plan).map(|(_, name)| *name)
}

/// `mailboxSettings.userPurpose` (Graph v1.0 enum userPurpose): open set.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum MailboxKind {
    User,
    Linked,
    Shared,
    Room,
    Equipment,
    Others,
    Unrecognised(String),
}

impl MailboxKind {
    pub fn parse(text: &str) -> Self {
        match text.to_ascii_lowercase().as_str() {
            "user" => Self::User,
            "linked" => Self::Linked,
            "shared" => Self::Shared,
            "room" => Self::Room,
            "equipment" => Self::Equipment,
            "others" => Self::Others,
            _ => Self::Unrecognised(text.to_owned()),
        }
    }

    pub fn as_str(&self) -> &str {
        match self {
            Self::User => "user",
            Self::Linked => "linked",
            Self::Shared => "shared",
            Self::Room => "room",
            Self::Equipment => "equipment",
            Self::Others => "others",
            Self::Unrecognised(text) => text,
        }
    }

    /// Shared, room and equipment mailboxes live without a licence (up to 50 GB).
    pub fn needs_license(&self) -> bool {
        match self {
            Self::Shared | Self::Room | Self::Equipment => false,
            Self::User | Self::Linked | Self::Others | Self::Unrecognised(_) => true,
        }
    }
}

/// What is remembered of a user's mailbox.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MailboxMemory {
    /// As last read while the mailbox could be reached; stays when it no longer can.
    pub kind: Option<MailboxKind>,
    /// `primaryMailboxId` recorded while the mailbox was healthy. Another id later means another mailbox.
    pub primary_id: Option<String>,
    /// The newest question to Exchange and its answer.
    pub last_probe: Option<Probe>,
}

/// One question to Exchange about one mailbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    pub at: Timestamp,
    pub answer: ProbeAnswer,
}

/// What Exchange answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ProbeAnswer {
    /// `mailboxSettings` answered. The id is `None` where the cloud or the permissions do not offer it.
    Reachable { kind: MailboxKind, primary_id: Option<String> },
    /// 404 `MailboxNotEnabledForRESTAPI`: no reachable cloud mailbox, it does not say why.
    NoMailbox,
    /// Refused or not offered here (403, 501): nothing is known, and nothing is concluded.
    Unreadable,
}
