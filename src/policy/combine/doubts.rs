//! What is legal and hardly meant: limits that limit nothing, times too short to be of use, entries that name nearly
//! everybody. Warnings only, and only about what is written; defaults are ours.

use crate::model::{Response, Span};
use crate::policy::fault::Complaint;
use crate::policy::scalar;
use crate::policy::schema::{ExclusionFile, KeepRuleFile, MatchFile, PolicyFile, ResponseFile, UserTypeFile};

use super::Part;

/// Two observations of one drift are hardly ever closer together than this.
const SHORTEST_SETTLE: Span = Span::from_minutes(1);
/// A night in which nobody reads an alert.
const SHORTEST_MARGIN: Span = Span::from_hours(6);
/// Of the kept mailboxes. A quarter of a company does not lose its licences by chance.
const LARGEST_SHARE: f64 = 0.25;

/// Adds its warnings to the faults of the parts.
pub fn report(parts: &mut [Part<'_>]) {
    for part in parts {
        let file = part.file.clone();
        short_margin(part, &file);
        large_share(part, &file);
        for (number, rule) in file.keep.iter().flatten().enumerate() {
            short_settle(part, &format!("keep[{number}].settle"), rule);
            idle_restore(part, &format!("keep[{number}].restore"), rule);
        }
        for (list, entries) in [("offboarded", &file.offboarded), ("protected", &file.protected)] {
            for (number, entry) in entries.iter().flatten().enumerate() {
                nearly_everybody(part, &format!("{list}[{number}].match"), entry);
            }
        }
    }
}

fn short_margin(part: &mut Part<'_>, file: &PolicyFile) {
    let Some(written) = file.retention.as_ref().and_then(|retention| retention.margin.as_deref()) else {
        return;
    };
    let Ok(margin) = scalar::duration(written) else { return };
    if margin >= SHORTEST_MARGIN {
        return;
    }
    let complaint = Complaint::new(
        format!("a margin of {written} leaves nobody the time to help"),
        "when a repair fails on the last evening, the mailbox is lost before the morning: write 1d or more",
    );
    part.warning("retention.margin", written, complaint);
}

fn large_share(part: &mut Part<'_>, file: &PolicyFile) {
    let Some(written) = file.limits.as_ref().and_then(|limits| limits.share.as_deref()) else { return };
    if scalar::share(written).is_ok_and(|share| share > LARGEST_SHARE) {
        let complaint = Complaint::new(
            format!("a share of {written} asks nobody before a mass event is well under way"),
            "that many mailboxes at once are a mistake of somebody's, not chance: write 25% or less",
        );
        part.warning("limits.share", written, complaint);
    }
}

fn short_settle(part: &mut Part<'_>, path: &str, rule: &KeepRuleFile) {
    let acts = |response: &Option<ResponseFile>| {
        response.is_some_and(|response| Response::from(response) == Response::Act)
    };
    let Some(written) =
        rule.settle.as_deref().filter(|_| acts(&rule.on_license_lost) || acts(&rule.on_deleted))
    else {
        return;
    };
    if scalar::duration(written).is_ok_and(|settle| settle < SHORTEST_SETTLE) {
        let complaint = Complaint::new(
            format!("settle {written} waits for nobody"),
            "two observations come first anyway, and an administrator who moves a user between groups takes minutes: \
             write 30m or more",
        );
        part.warning(path, written, complaint);
    }
}

/// What a restore may do, where none is ever made.
fn idle_restore(part: &mut Part<'_>, path: &str, rule: &KeepRuleFile) {
    let Some(written) = &rule.restore else { return };
    if rule.on_deleted.map_or(Response::Report, Response::from) == Response::Report {
        let complaint = Complaint::new(
            "nothing is restored by this rule",
            "write `on_deleted: act` or `ask`, or leave `restore` out",
        );
        part.warning(path, "", complaint);
    } else if written.drop_taken_addresses == Some(true)
        && rule.r#match.as_ref().is_some_and(|matching| matching.mail.is_some())
    {
        let complaint = Complaint::new(
            "this rule matches by mail: an account restored without that address would not fall under it",
            "such an account is left to a person; match by upn, domain, department or group to have it restored",
        );
        part.warning(&format!("{path}.drop_taken_addresses"), "true", complaint);
    }
}

/// A slip here is silent: whom an entry names, nothing is done for.
fn nearly_everybody(part: &mut Part<'_>, path: &str, entry: &ExclusionFile) {
    let Some(written) = &entry.r#match else { return };
    if part.faults.touches(path) {
        return;
    }
    let bare = MatchFile::default();
    let spared = match written {
        MatchFile { not: Some(not), .. }
            if *written == (MatchFile { not: Some(not.clone()), ..bare.clone() }) =>
        {
            // "Not enabled" and "not a member" are odd ways to write a small set.
            let is_a_state = **not
                == MatchFile { account_enabled: not.account_enabled.clone(), ..bare.clone() }
                || **not == MatchFile { user_type: not.user_type.clone(), ..bare };
            if is_a_state {
                return;
            }
            "everybody but the few that `not` spares"
        }
        MatchFile { user_type: Some(types), .. }
            if *written == (MatchFile { user_type: Some(types.clone()), ..bare.clone() })
                && types.as_slice().contains(&UserTypeFile::Member) =>
        {
            "every member of the tenant"
        }
        MatchFile { account_enabled: Some(flags), .. }
            if *written == (MatchFile { account_enabled: Some(flags.clone()), ..bare })
                && flags.as_slice().contains(&true) =>
        {
            "every account that is in use"
        }
        _ => return,
    };
    let complaint = Complaint::new(
        format!("this entry matches nearly everybody: {spared}"),
        "nothing is ever done for whom an entry names: say who is meant, by a group or an attribute",
    );
    part.warning(path, "", complaint);
}
