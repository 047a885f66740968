//! Keys: `t/<tenant, 16 bytes>/<kind>/<rest>`. Ids are binary, so that key order is id order. The tenant stands first
//! in every key, so that one engine can hold many tenants and a scan can never leave its own.

use uuid::Uuid;

use crate::model::{TenantId, UserId};

const ROOT: &[u8] = b"t/";
const ID_BYTES: usize = 16;

/// Makes the keys of one tenant.
#[derive(Debug, Clone)]
pub(super) struct Keys {
    tenant: Vec<u8>,
}

impl Keys {
    pub(super) fn new(tenant: TenantId) -> Self {
        Self { tenant: [ROOT, tenant.as_bytes(), b"/"].concat() }
    }

    /// Everything of the tenant.
    pub(super) fn all(&self) -> &[u8] {
        &self.tenant
    }

    /// Blocks of known users.
    pub(super) fn users(&self) -> Vec<u8> {
        self.kind("user/")
    }

    /// The block that starts at `first`.
    pub(super) fn user_block(&self, first: UserId) -> Vec<u8> {
        [&self.users()[..], first.as_bytes()].concat()
    }

    /// All runs of the stage.
    pub(super) fn stage(&self) -> Vec<u8> {
        self.kind("stage/")
    }

    /// One sorted run of the stage.
    pub(super) fn stage_run(&self, run: u32) -> Vec<u8> {
        [&self.stage()[..], &run.to_be_bytes(), b"/"].concat()
    }

    /// The block of a run that starts at `first`.
    pub(super) fn stage_block(&self, run: u32, first: UserId) -> Vec<u8> {
        [&self.stage_run(run)[..], first.as_bytes()].concat()
    }

    pub(super) fn ledger(&self) -> Vec<u8> {
        self.kind("ledger/")
    }

    pub(super) fn ledger_entry(&self, user: UserId) -> Vec<u8> {
        [&self.ledger()[..], user.as_bytes()].concat()
    }

    /// A record that the tenant has once.
    pub(super) fn record(&self, name: &str) -> Vec<u8> {
        [&self.kind("record/")[..], name.as_bytes()].concat()
    }

    fn kind(&self, kind: &str) -> Vec<u8> {
        [&self.tenant[..], kind.as_bytes()].concat()
    }
}

/// The id that ends a key of users or of the ledger.
pub(super) fn trailing_id(key: &[u8]) -> Option<UserId> {
    key.last_chunk::<ID_BYTES>().map(|bytes| UserId::from_bytes(*bytes))
}

/// A key for people: ids as GUIDs, everything else as text or hex.
pub(super) fn describe(key: &[u8]) -> String {
    let Some((tenant, rest)) = key.strip_prefix(ROOT).and_then(|rest| rest.split_first_chunk::<ID_BYTES>())
    else {
        return if key.is_empty() { "the store".to_owned() } else { readable(key) };
    };
    let tenant = Uuid::from_bytes(*tenant);
    match rest.split_last_chunk::<ID_BYTES>() {
        Some((kind, id)) if kind.ends_with(b"/") => {
            format!("t/{tenant}{}{}", readable(kind), Uuid::from_bytes(*id))
        }
        _ => format!("t/{tenant}{}", readable(rest)),
    }
}

fn readable(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TENANT: TenantId = TenantId::from_u128(0x9d1c_7f3e_3f43_4a52_9a35_0d2c_55f1_a001);

    #[test]
    fn every_key_starts_with_its_tenant() {
        let keys = Keys::new(TENANT);
        let user = UserId::from_u128(7);
        for key in
            [keys.user_block(user), keys.stage_block(3, user), keys.ledger_entry(user), keys.record("cursor")]
        {
            assert!(key.starts_with(keys.all()));
            assert_eq!(&key[2..18], TENANT.as_bytes());
        }
    }

    #[test]
    fn key_order_is_id_order() {
        let keys = Keys::new(TENANT);
        assert!(keys.user_block(UserId::from_u128(255)) < keys.user_block(UserId::from_u128(256)));
        assert!(keys.stage_run(255) < keys.stage_run(256));
        assert_eq!(trailing_id(&keys.user_block(UserId::from_u128(9))), Some(UserId::from_u128(9)));
    }

    #[test]
    fn keys_are_shown_readably() {
        let keys = Keys::new(TENANT);
        assert_eq!(
            describe(&keys.ledger_entry(UserId::from_u128(1))),
            "t/9d1c7f3e-3f43-4a52-9a35-0d2c55f1a001/ledger/00000000-0000-0000-0000-000000000001"
        );
        assert_eq!(describe(&keys.record("cursor")), "t/9d1c7f3e-3f43-4a52-9a35-0d2c55f1a001/record/cursor");
        assert_eq!(describe(b"\xff"), "\\xff");
        assert_eq!(describe(b""), "the store");
    }
}
