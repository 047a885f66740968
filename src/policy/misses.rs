//! Why a rule does not match a user, in a clause: "why is he not covered?" is the commonest question. Pure.

use crate::model::{KnownUser, UserType};

use super::matcher::{Answer, Condition, Fact, Matcher, Property};

impl Matcher {
    /// The conditions of which the answer is no, as they are called in the file, with what the user has instead. Empty
    /// for who matches.
    pub fn misses(&self, known: &KnownUser) -> Vec<String> {
        let missed = self.conjuncts().into_iter().filter(|condition| condition.answer(known) == Answer::No);
        missed.map(|condition| clause(condition, known)).collect()
    }
}

fn clause(condition: &Condition, known: &KnownUser) -> String {
    match condition {
        Condition::Fact(Fact::Id(_)) => "another id".to_owned(),
        Condition::Fact(Fact::Text { property, .. }) => {
            let name = name(*property);
            property
                .of(known)
                .map_or_else(|| format!("has no {name}"), |text| format!("{name} is \"{text}\""))
        }
        Condition::Fact(Fact::UserType(_)) => match known.user.user_type {
            UserType::Guest => "user_type is guest, which only a rule that says so means".to_owned(),
            UserType::Member => "user_type is member".to_owned(),
            UserType::Other(_) | UserType::Unknown => "another user_type".to_owned(),
        },
        Condition::Fact(Fact::AccountEnabled(_)) => match known.user.account_enabled {
            Some(false) => "the account is disabled".to_owned(),
            Some(true) | None => "the account is enabled".to_owned(),
        },
        Condition::Fact(Fact::OnPremisesSynced(_)) => match known.user.on_premises_synced {
            true => "the account is synchronised from on premises".to_owned(),
            false => "the account is not synchronised from on premises".to_owned(),
        },
        Condition::Fact(Fact::Group(_)) => "not in its group".to_owned(),
        Condition::Fact(Fact::Mailbox(_)) => known
            .mailbox
            .kind
            .as_ref()
            .map_or_else(|| "has no mailbox".to_owned(), |kind| format!("the mailbox is {}", kind.as_str())),
        Condition::Any(_) => "none of its `any`".to_owned(),
        Condition::Not(_) => "its `not`".to_owned(),
        Condition::All(_) => "its `all`".to_owned(),
    }
}

fn name(property: Property) -> &'static str {
    match property {
        Property::Upn => "upn",
        Property::Mail => "mail",
        Property::Domain => "domain",
        Property::Department => "department",
        Property::Company => "company",
        Property::Country => "country",
        Property::JobTitle => "job_title",
        Property::EmployeeType => "employee_type",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::UserId;
    use crate::policy::Policy;

    #[test]
    fn each_condition_that_does_not_hold_is_named_with_what_is_there_instead() {
        let text = "version: 1\nkeep:\n  - name: a\n    match: { department: Sales, mail: \"*@contoso.com\", not: { \
                    on_premises_synced: false } }\n    licenses: [SPE_E3]\n";
        let policy = Policy::parse("policy.yaml", text).expect("good");
        let mut known = KnownUser::recalled(UserId::from_u128(1));
        known.user.department = Some("Buying".to_owned());
        known.user.user_type = UserType::Guest;
        assert_eq!(
            policy.keep[0].matcher.misses(&known),
            [
                "has no mail",
                "department is \"Buying\"",
                "its `not`",
                "user_type is guest, which only a rule that says so means"
            ]
        );
    }
}
