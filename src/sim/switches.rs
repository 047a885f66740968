//! What Microsoft's sources contradict each other about, or leave open: one field each, tested both ways. A client must
//! do right under every setting. The defaults are the reading that the evidence favours.

use crate::model::Span;

/// How a soft-deleted or unlicensed thing behaves where nobody knows for sure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Switches {
    /// Licences that a user held at deletion come back with the restore (Microsoft Graph: user delete). `false`: the
    /// restored user has none. A deletion in the admin centre strips them before, whatever stands here.
    pub licences_return_on_restore: bool,
    /// Returning licences may exceed the seats (Entra: restore users). `false`: a licence without a seat is dropped.
    pub restore_exceeds_seats: bool,
    /// A deleted user's `assignedLicenses` can be read. `false`: the list is empty.
    pub deleted_licences_visible: bool,
    /// A deleted user keeps its seats occupied.
    pub deleted_users_hold_seats: bool,
    /// The first round of a delta also lists users in the recycle bin, as `@removed` with reason `changed`.
    pub delta_lists_deleted: bool,
    /// A restored user is not reported by a delta whose `$select` lacks `deletedDateTime`.
    pub delta_hides_restores: bool,
    /// Every delta page repeats its first object at its end.
    pub delta_repeats_objects: bool,
    /// The status of an expired delta token: 400, 404 or 410.
    pub delta_expired_status: u16,
    /// `$top` above 999 is answered with 400. `false`: it is taken as 999.
    pub large_top_is_error: bool,
    /// A product whose group assignment failed for want of seats still stands in `assignedLicenses`.
    pub failed_group_licence_listed: bool,
    /// `assignedDateTime` of a `Deleted` plan is the time of removal. `false`: of the original assignment.
    pub deleted_plan_dated_at_removal: bool,
    /// After a deletion in the admin centre Exchange shows a soft-deleted mailbox. `false`: a disconnected one.
    pub admin_centre_delete_soft_deletes: bool,
    /// A user restored without a licence starts a new 30-day clock at the restore. `false`: the clock of the deletion
    /// goes on, the earlier and harsher one.
    pub restore_renews_clock: bool,
    /// `settings/exchange` of a user without a reachable mailbox is a 404. `false`: `primaryMailboxId` is null.
    pub exchange_settings_need_mailbox: bool,
    /// Delicensing Resiliency (`DelayedDelicensingEnabled`): a lost licence takes effect 30 days later.
    pub delicensing_resiliency: bool,
    /// How long the audit log is kept: 30 days with Entra ID P1, 7 without.
    pub audit_retention: Span,
    /// `error` of a healthy `licenseAssignmentStates` entry is the text `None`. `false`: null.
    pub healthy_error_is_none_text: bool,
    /// Restoring a user who holds an administrator role is refused to an application (Graph:
    /// directory-deleteditems-restore).
    pub restore_of_administrators_denied: bool,
}

impl Default for Switches {
    fn default() -> Self {
        Self {
            licences_return_on_restore: true,
            restore_exceeds_seats: true,
            deleted_licences_visible: false,
            deleted_users_hold_seats: false,
            delta_lists_deleted: false,
            delta_hides_restores: true,
            delta_repeats_objects: false,
            delta_expired_status: 410,
            large_top_is_error: false,
            failed_group_licence_listed: false,
            deleted_plan_dated_at_removal: true,
            admin_centre_delete_soft_deletes: false,
            restore_renews_clock: false,
            exchange_settings_need_mailbox: true,
            delicensing_resiliency: false,
            audit_retention: Span::from_days(30),
            healthy_error_is_none_text: true,
            restore_of_administrators_denied: true,
        }
    }
}
