//! Whether somebody may approve: not who wrote the rules that the approval lets loose, where git tells who that is.
//! Pure.

use std::collections::BTreeMap;

use crate::policy::{Change, Identity};

use super::Person;

/// `approvals: { four_eyes: true }`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FourEyes {
    /// Names or addresses that git knows, by the name of the user on this machine.
    pub people: BTreeMap<String, String>,
}

/// What follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Somebody else changed the policy.
    Allowed,
    /// Git does not tell who did.
    Untold,
    /// Why not, and who may.
    Refused(String),
}

impl FourEyes {
    /// `change`: the last one of the policy in force.
    pub fn judge(&self, person: &Person, change: Option<&Change>) -> Verdict {
        let Some(change) = change else { return Verdict::Untold };
        let login = person.login();
        let named =
            self.people.iter().find(|(name, _)| name.eq_ignore_ascii_case(login)).map(|(_, named)| named);
        let wrote = [&change.author, &change.committer].into_iter().any(|wrote| is(wrote, login, named));
        if !wrote && named.is_none() && (login == "root" || login.starts_with("uid ")) {
            return Verdict::Refused(format!(
                "{} may be anybody, and with four_eyes an approval is somebody's: run the command as yourself, or say in \
                 the settings whose account this is (`approvals: {{ people: {{ \"{login}\": you@example.com }} }}`). \
                 Nothing was approved; `mailkeeper deny` is always allowed",
                person.name
            ));
        }
        if !wrote {
            return Verdict::Allowed;
        }
        let commit: String = change.commit.chars().take(12).collect();
        Verdict::Refused(format!(
            "you ({}) changed the policy last: commit {commit} of {}, by {}, committed by {}. With four_eyes whoever \
             approves is somebody else: ask a colleague who may reach the control socket. Nothing was approved; \
             `mailkeeper deny` is always allowed",
            person.name,
            change.at.human(),
            shown(&change.author),
            shown(&change.committer)
        ))
    }
}

/// Letter case is ignored. Of an address what stands before the @ counts, also in parts: `anna+work@..`,
/// `4711+anna@users.noreply.github.com`.
fn is(wrote: &Identity, login: &str, named: Option<&String>) -> bool {
    let lowered = |text: &str| text.trim().to_lowercase();
    let (name, email, login) = (lowered(&wrote.name), lowered(&wrote.email), lowered(login));
    let local = email.split('@').next().unwrap_or_default();
    let is_login = name == login || local == login || local.split('+').any(|part| part == login);
    is_login || named.is_some_and(|named| [&name, &email].contains(&&lowered(named)))
}

fn shown(identity: &Identity) -> String {
    format!("{} <{}>", identity.name, identity.email)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Timestamp;

    fn identity(name: &str, email: &str) -> Identity {
        Identity { name: name.to_owned(), email: email.to_owned() }
    }

    fn change(author: Identity) -> Change {
        Change {
            commit: "0123456789abcdef".to_owned(),
            author,
            committer: identity("Web Flow", "noreply@forge.example"),
            at: Timestamp::from_secs(1_790_000_000),
        }
    }

    fn judged(people: &[(&str, &str)], who: &str, change: Option<&Change>) -> Verdict {
        let people = people.iter().map(|(login, named)| ((*login).to_owned(), (*named).to_owned())).collect();
        FourEyes { people }.judge(&Person { name: who.to_owned() }, change)
    }

    fn refusal(verdict: Verdict) -> String {
        match verdict {
            Verdict::Refused(why) => why,
            Verdict::Allowed | Verdict::Untold => panic!("{verdict:?}"),
        }
    }

    #[test]
    fn who_changed_the_policy_does_not_approve_whatever_git_calls_them() {
        for author in [
            identity("Anna", "a.berg@contoso.com"),
            identity("Anna Berg", "ANNA@contoso.com"),
            identity("Anna Berg", "anna+work@contoso.com"),
            identity("Anna Berg", "4711+anna@users.noreply.github.com"),
        ] {
            let told = refusal(judged(&[], "anna (uid 1000)", Some(&change(author.clone()))));
            assert!(
                told.contains("you (anna (uid 1000)) changed the policy last: commit 0123456789ab of"),
                "{told}"
            );
            assert_eq!(judged(&[], "ben (uid 1001)", Some(&change(author))), Verdict::Allowed);
        }
        let far = change(identity("Anna Berg", "a.berg@contoso.com"));
        assert_eq!(
            judged(&[], "anna (uid 1000)", Some(&far)),
            Verdict::Allowed,
            "nothing shows that they are one"
        );
        for named in ["A.Berg@contoso.com", "anna berg"] {
            refusal(judged(&[("Anna", named)], "anna (uid 1000)", Some(&far)));
        }
        let mut committed = change(identity("Ben", "ben@contoso.com"));
        committed.committer = identity("Anna", "anna@contoso.com");
        refusal(judged(&[], "anna (uid 1000)", Some(&committed)));
    }

    #[test]
    fn root_is_nobody_in_particular_until_the_settings_say_who() {
        let anna = change(identity("Anna", "anna@contoso.com"));
        for who in ["root (uid 0)", "uid 1234"] {
            assert!(refusal(judged(&[], who, Some(&anna))).contains("may be anybody"));
        }
        assert_eq!(judged(&[("root", "ben@contoso.com")], "root (uid 0)", Some(&anna)), Verdict::Allowed);
        refusal(judged(&[("uid 1234", "anna@contoso.com")], "uid 1234", Some(&anna)));
    }

    #[test]
    fn where_git_does_not_tell_everybody_may_approve() {
        assert_eq!(judged(&[], "root (uid 0)", None), Verdict::Untold);
    }
}
