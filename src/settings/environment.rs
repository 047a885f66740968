//! `${NAME}` in paths. The variables come through a trait, so that a test needs no real ones.

use crate::policy::fault::Complaint;

/// Where variables come from.
pub trait Environment {
    /// The value of a variable; `None` when it is not set or not UTF-8.
    fn variable(&self, name: &str) -> Option<String>;
}

/// The variables of this process.
#[derive(Debug, Clone, Copy)]
pub struct ProcessEnvironment;

impl Environment for ProcessEnvironment {
    fn variable(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }
}

impl Environment for std::collections::BTreeMap<String, String> {
    fn variable(&self, name: &str) -> Option<String> {
        self.get(name).cloned()
    }
}

/// Puts variables in. There is no escape: a path with `${` in its own name cannot be written.
///
/// # Errors
/// A variable that is not set or empty, or a `${` that is not closed.
pub fn expanded(text: &str, environment: &dyn Environment) -> Result<String, Complaint> {
    put_in(text, environment).map_err(|unexpanded| match unexpanded {
        Unexpanded::Unset(name) => unset(&name),
        Unexpanded::Malformed(complaint) => complaint,
    })
}

/// Why a text keeps its `${`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unexpanded {
    /// The named variable is not set, or empty.
    Unset(String),
    Malformed(Complaint),
}

/// As [`expanded`], for those to whom a variable that is not set is no fault yet.
///
/// # Errors
/// As [`expanded`].
pub fn put_in(text: &str, environment: &dyn Environment) -> Result<String, Unexpanded> {
    let mut out = String::new();
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        out.push_str(&rest[..start]);
        let after = &rest[start + 2..];
        let unclosed = || Unexpanded::Malformed(Complaint::new("`${` without `}`", "close it: ${NAME}"));
        let end = after.find('}').ok_or_else(unclosed)?;
        let name = &after[..end];
        if !is_name(name) {
            let hint = "letters, digits and underscores, such as ${CREDENTIALS_DIRECTORY}";
            let complaint = Complaint::new(format!("`{name}` is not the name of a variable"), hint);
            return Err(Unexpanded::Malformed(complaint));
        }
        let value = environment.variable(name).filter(|value| !value.is_empty());
        out.push_str(&value.ok_or_else(|| Unexpanded::Unset(name.to_owned()))?);
        rest = &after[end + 1..];
    }
    out.push_str(rest);
    Ok(out)
}

/// True for what a shell accepts as the name of a variable.
pub fn is_name(name: &str) -> bool {
    !name.starts_with(|first: char| first.is_ascii_digit())
        && !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn unset(name: &str) -> Complaint {
    let hint = match name {
        "CREDENTIALS_DIRECTORY" => {
            "systemd sets it for units with LoadCredential=; when run by hand, set it to the directory of the secrets"
        }
        _ => "set it for the service, or write the path out",
    };
    Complaint::new(format!("the variable {name} is not set"), hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_put_in_or_missed_by_name() {
        let environment = std::collections::BTreeMap::from([
            ("DIR".to_owned(), "/run/x".to_owned()),
            ("NIL".to_owned(), String::new()),
        ]);
        assert_eq!(expanded("${DIR}/a", &environment).as_deref(), Ok("/run/x/a"));
        assert_eq!(expanded("/a$b", &environment).as_deref(), Ok("/a$b"));
        for (text, message) in [
            ("${OTHER}/a", "the variable OTHER is not set"),
            ("${NIL}", "the variable NIL is not set"),
            ("${DIR", "`${` without `}`"),
            ("${a-b}", "`a-b` is not the name of a variable"),
            ("${}", "`` is not the name of a variable"),
        ] {
            assert_eq!(expanded(text, &environment).expect_err(text).message, message);
        }
    }
}
