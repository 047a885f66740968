//! Parts of the users, by the first character of the user principal name.

use super::encode;

/// Part of the users, so that a large tenant can be listed in parallel: those whose principal name starts alike, or
/// with none of the usual characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct UserShard(Beginning);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Beginning {
    With(char),
    Otherwise,
}

impl UserShard {
    /// Those that start with none of [`UserShard::usual`]: an advanced query, which not every server answers.
    pub const OTHERS: Self = Self(Beginning::Otherwise);

    /// The 37 shards that hold nearly every user.
    pub fn usual() -> impl Iterator<Item = Self> {
        usual_characters().map(|first| Self(Beginning::With(first)))
    }

    /// False for a name that a server which obeys the filter puts into another shard. What an odd first character
    /// counts as is the server's choice.
    pub fn may_hold(self, user_principal_name: &str) -> bool {
        let Some(first) = user_principal_name.chars().next() else { return true };
        let first = first.to_ascii_lowercase();
        let is_usual = usual_characters().any(|usual| usual == first);
        match self.0 {
            Beginning::With(own) => first == own || !is_usual,
            Beginning::Otherwise => !is_usual,
        }
    }

    pub(super) fn filter(self) -> String {
        let starts = |first: char| format!("startswith(userPrincipalName,'{first}')");
        encode(&match self.0 {
            Beginning::With(first) => starts(first),
            Beginning::Otherwise => {
                let none: Vec<String> =
                    usual_characters().map(|first| format!("not({})", starts(first))).collect();
                none.join(" and ")
            }
        })
    }
}

fn usual_characters() -> impl Iterator<Item = char> {
    ('a'..='z').chain('0'..='9').chain(['-'])
}
