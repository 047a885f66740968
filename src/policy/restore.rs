//! What a rule allows where a deleted account cannot come back as it was, because others hold its name or its
//! addresses by now. Nothing unless it is written.

use super::fault::Complaint;
use super::scalar;

/// `restore` of a keep rule.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Restore {
    /// The account comes back without the addresses that others hold.
    pub drop_taken_addresses: bool,
    /// The name it gets where its own is taken.
    pub upn_if_taken: Option<NamePattern>,
}

/// A user principal name in which `*` stands for what is before the `@` of the old one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamePattern {
    before: String,
    after: String,
}

/// Microsoft's limits of a user principal name: before the `@`, and after it ("Prepare for directory
/// synchronization").
const LONGEST_LOCAL: usize = 64;
const LONGEST_DOMAIN: usize = 48;

const EXAMPLE: &str =
    "write one `*` for the old name and a domain of the tenant, such as \"*-restored@contoso.com\"";

impl NamePattern {
    /// # Errors
    /// What is wrong with it: not exactly one `*`, nothing or something odd around the `@`, signs that no name has.
    pub fn parse(text: &str) -> Result<Self, Complaint> {
        let bad = |why: &str| Complaint::new(format!("`{text}` names nobody: {why}"), EXAMPLE);
        scalar::filled(text)?;
        let (local, domain) = text.split_once('@').ok_or_else(|| bad("there is no `@`"))?;
        let (before, behind) = local.split_once('*').ok_or_else(|| bad("there is no `*` before the `@`"))?;
        if behind.contains('*') || domain.contains('*') {
            return Err(bad("there is more than one `*`"));
        }
        if let Some(sign) = before.chars().chain(behind.chars()).find(|sign| !is_of_names(*sign)) {
            return Err(bad(&format!("`{sign}` is in no user principal name")));
        }
        let is_of_domains = |label: &str| {
            let has_edge = label.starts_with('-') || label.ends_with('-');
            !label.is_empty()
                && !has_edge
                && label.chars().all(|sign| sign.is_ascii_alphanumeric() || sign == '-')
        };
        let is_domain = domain.contains('.') && domain.split('.').all(is_of_domains);
        if !is_domain || domain.len() > LONGEST_DOMAIN {
            return Err(bad(&format!("`{domain}` is no domain")));
        }
        if behind.ends_with('.') {
            return Err(bad("a name ends with no dot"));
        }
        if before.len() + behind.len() >= LONGEST_LOCAL {
            return Err(bad("it is too long"));
        }
        Ok(Self { before: before.to_owned(), after: format!("{behind}@{domain}") })
    }

    /// The domain of every name that it makes.
    pub fn domain(&self) -> &str {
        self.after.rsplit('@').next().unwrap_or_default()
    }

    /// The new name of an account, lower case; `None` when it would be too long, or no name at all.
    pub fn name(&self, upn: &str) -> Option<String> {
        let old = upn.split('@').next().unwrap_or_default();
        let name = format!("{}{old}{}", self.before, self.after).to_ascii_lowercase();
        let local = name.split('@').next().unwrap_or_default();
        let is_possible =
            local.len() <= LONGEST_LOCAL && local.chars().all(is_of_names) && !local.ends_with('.');
        is_possible.then_some(name)
    }
}

/// The signs of a user principal name, before the `@`.
fn is_of_names(sign: char) -> bool {
    sign.is_ascii_alphanumeric() || "'.-_!#^~".contains(sign)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_star_is_the_old_name() {
        let pattern = NamePattern::parse("*-restored@contoso.com").expect("good");
        assert_eq!(pattern.name("Anna.Berg@fabrikam.com").as_deref(), Some("anna.berg-restored@contoso.com"));
        let pattern = NamePattern::parse("old.*@eu.contoso.com").expect("good");
        assert_eq!(pattern.name("bo@contoso.com").as_deref(), Some("old.bo@eu.contoso.com"));
        let longest = "b".repeat(LONGEST_LOCAL - "old.".len());
        assert!(pattern.name(&format!("{longest}@contoso.com")).is_some());
        assert_eq!(pattern.name(&format!("{longest}b@contoso.com")), None, "too long for Microsoft");
        assert_eq!(pattern.name("\u{e5}se@contoso.com"), None, "a sign that no name may have");
        assert_eq!(pattern.domain(), "eu.contoso.com");
    }

    #[test]
    fn a_pattern_that_gives_no_name_is_refused() {
        let bad = [
            "",
            "restored",
            "restored@contoso.com",
            "*",
            "*-restored@",
            "*@contoso",
            "*@*.com",
            "**@contoso.com",
            "*@a..com",
            "* x@contoso.com",
            "*é@contoso.com",
            "*@con toso.com",
            "*@contoso.com@x",
            "a@*.contoso.com",
            "*@-contoso.com",
            "*.@contoso.com",
        ];
        for text in bad {
            assert!(NamePattern::parse(text).is_err(), "{text}");
        }
        assert!(NamePattern::parse(&format!("{}*@contoso.com", "x".repeat(LONGEST_LOCAL))).is_err());
    }
}
