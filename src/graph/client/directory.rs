//! The reads of the directory: users, deleted users, products, subscriptions, groups.

use crate::model::{Group, GroupId, Sku, Subscription, Timestamp, User, UserId};

use super::super::error::{Error, ErrorAnswer, RequestIds};
use super::super::link::GraphUrl;
use super::super::request::{self, Endpoint, UserShard};
use super::super::response::{
    Audit, DeletedUser, Organization, Understood, decode_audits, decode_count, decode_deleted_user,
    decode_deleted_users, decode_group, decode_member_ids, decode_organization, decode_skus,
    decode_subscriptions, decode_user, decode_users,
};
use super::super::throttle::TenantSize;
use super::{Client, DeltaPager, Pager, absent_as_none};

/// Where a delta begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeltaStart {
    /// From now on: no users, only a link.
    Latest,
    /// With every user.
    Initial,
    /// From a stored delta link on. Checked like any link before a token goes there.
    Link(String),
}

impl Client {
    /// The tenant that the token belongs to, to be compared with the configured one.
    ///
    /// # Errors
    /// As every read: see [`Error`].
    pub async fn organization(&self) -> Result<Organization, Error> {
        self.read(&request::organization(), decode_organization).await
    }

    /// Every live user, or those of one shard, page by page, those too of whom only the id is understood. An error of
    /// [`Pager::next`] may be followed by another call, which asks for the same page again.
    pub fn users(&self, shard: Option<UserShard>) -> Pager<Understood<User>> {
        Pager::new(self.clone(), request::users(shard), decode_users)
    }

    /// How many live users the directory's index counts; it may lag. Sets the budget to the size of the tenant.
    ///
    /// # Errors
    /// As every read.
    pub async fn users_count(&self) -> Result<u64, Error> {
        let count = self.read(&request::users_count(), decode_count).await?;
        self.shared.throttle.resize(TenantSize::of(count));
        Ok(count)
    }

    /// What changed among the users.
    ///
    /// # Errors
    /// [`Error::HostileLink`] for a stored link that is not of the configured origin.
    pub fn users_delta(&self, start: &DeltaStart) -> Result<DeltaPager, Error> {
        let (request, url) = match start {
            DeltaStart::Latest => (request::users_delta(true), None),
            DeltaStart::Initial => (request::users_delta(false), None),
            DeltaStart::Link(link) => {
                let url = GraphUrl::follow(&self.shared.roots, link).map_err(|fault| Error::HostileLink {
                    endpoint: Endpoint::UsersDelta,
                    fault,
                    // It was stored: the answer that it came from is long gone.
                    ids: RequestIds::default(),
                })?;
                (request::users_delta(false), Some(url))
            }
        };
        Ok(DeltaPager::new(self.clone(), request, url))
    }

    /// Every soft-deleted user, page by page.
    pub fn deleted_users(&self) -> Pager<Understood<DeletedUser>> {
        Pager::new(self.clone(), request::deleted_users(), decode_deleted_users)
    }

    /// One live user; `None` when there is none by that id, or not yet on the replica that answered.
    ///
    /// # Errors
    /// As every read.
    pub async fn user(&self, id: UserId) -> Result<Option<Understood<User>>, Error> {
        absent_as_none(self.read(&request::user(id), decode_user).await, is_not_found)
    }

    /// One soft-deleted user; `None` when there is none by that id.
    ///
    /// # Errors
    /// As every read.
    pub async fn deleted_user(&self, id: UserId) -> Result<Option<Understood<DeletedUser>>, Error> {
        let user = self.read(&request::deleted_user(id), decode_deleted_user).await;
        absent_as_none(user, is_not_found).map(Option::flatten)
    }

    /// The products of the tenant and their seats.
    ///
    /// # Errors
    /// As every read.
    pub async fn subscribed_skus(&self) -> Result<Vec<Sku>, Error> {
        Pager::new(self.clone(), request::subscribed_skus(), decode_skus).all().await
    }

    /// The subscriptions behind the seats, with the day on which each lapses.
    ///
    /// # Errors
    /// As every read.
    pub async fn subscriptions(&self) -> Result<Vec<Subscription>, Error> {
        Pager::new(self.clone(), request::subscriptions(), decode_subscriptions).all().await
    }

    /// The newest entries of the audit log about a user, one page of them; `within`: not before and not after.
    ///
    /// # Errors
    /// As every read; a 400 where the tenant refuses the filter.
    pub async fn directory_audits(
        &self,
        user: UserId,
        within: Option<(Timestamp, Timestamp)>,
    ) -> Result<Vec<Audit>, Error> {
        Ok(self.read(&request::directory_audits(user, within), decode_audits).await?.items)
    }

    /// One group; `None` when there is none by that id.
    ///
    /// # Errors
    /// As every read.
    pub async fn group(&self, id: GroupId) -> Result<Option<Group>, Error> {
        absent_as_none(self.read(&request::group(id), decode_group).await, is_not_found)
    }

    /// The users in a group and in the groups inside it, page by page.
    pub fn group_members(&self, id: GroupId) -> Pager<UserId> {
        Pager::new(self.clone(), request::group_members(id), decode_member_ids)
    }

    /// The users in a group itself, page by page: those whom a licence of the group reaches.
    pub fn group_direct_members(&self, id: GroupId) -> Pager<UserId> {
        Pager::new(self.clone(), request::group_direct_members(id), decode_member_ids)
    }
}

/// A 404 by which the directory says that the object is not there; another 404 is a gateway's or a wrong path.
pub(super) fn is_not_found(answer: &ErrorAnswer) -> bool {
    let codes = ["Request_ResourceNotFound", "Directory_ObjectNotFound", "ResourceNotFound"];
    answer.status == 404 && codes.iter().any(|code| answer.has_code(code))
}
