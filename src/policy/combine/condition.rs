//! The written `match` as a condition. Texts were checked before; what could not be read was reported and is left out.

use std::collections::BTreeSet;
use std::str::FromStr;

use crate::model::MailboxKind;
use crate::policy::matcher::{Condition, Fact, Membership, Pattern, Property};
use crate::policy::schema::{MailboxFile, MatchFile, OneOrMany, UserTypeFile};

/// All keys of the map together.
pub fn condition(written: &MatchFile) -> Condition {
    let mut conditions: Vec<Condition> = facts(written).into_iter().map(Condition::Fact).collect();
    if let Some(all) = &written.all {
        conditions.extend(all.iter().map(condition));
    }
    if let Some(any) = &written.any {
        conditions.push(Condition::Any(any.iter().map(condition).collect()));
    }
    if let Some(not) = &written.not {
        conditions.push(Condition::Not(Box::new(condition(not))));
    }
    Condition::All(conditions)
}

/// The short form of an entry.
pub fn of_id(id: &str) -> Condition {
    condition(&MatchFile { id: Some(OneOrMany::One(id.to_owned())), ..MatchFile::default() })
}

fn facts(written: &MatchFile) -> Vec<Fact> {
    let texts = [
        (Property::Upn, &written.upn),
        (Property::Mail, &written.mail),
        (Property::Domain, &written.domain),
        (Property::Department, &written.department),
        (Property::Company, &written.company),
        (Property::Country, &written.country),
        (Property::JobTitle, &written.job_title),
        (Property::EmployeeType, &written.employee_type),
    ];
    let texts = texts.into_iter().filter_map(|(property, values)| {
        let patterns = values.as_ref()?.as_slice().iter().filter_map(|text| Pattern::new(text)).collect();
        Some(Fact::Text { property, patterns })
    });
    let others = [
        written.id.as_ref().map(|ids| Fact::Id(parsed(ids))),
        written
            .user_type
            .as_ref()
            .map(|types| Fact::UserType(types.as_slice().iter().map(membership).collect())),
        written
            .account_enabled
            .as_ref()
            .map(|flags| Fact::AccountEnabled(flags.as_slice().iter().copied().collect())),
        written.on_premises_synced.map(Fact::OnPremisesSynced),
        written.group.as_ref().map(|ids| Fact::Group(parsed(ids))),
        written.mailbox.as_ref().map(|kinds| Fact::Mailbox(kinds.as_slice().iter().map(kind).collect())),
    ];
    texts.chain(others.into_iter().flatten()).collect()
}

fn parsed<T: FromStr + Ord>(ids: &OneOrMany<String>) -> BTreeSet<T> {
    ids.as_slice().iter().filter_map(|id| id.parse().ok()).collect()
}

fn membership(written: &UserTypeFile) -> Membership {
    match written {
        UserTypeFile::Member => Membership::Member,
        UserTypeFile::Guest => Membership::Guest,
    }
}

fn kind(written: &MailboxFile) -> MailboxKind {
    match written {
        MailboxFile::User => MailboxKind::User,
        MailboxFile::Shared => MailboxKind::Shared,
        MailboxFile::Room => MailboxKind::Room,
        MailboxFile::Equipment => MailboxKind::Equipment,
    }
}
