//! What paths end with besides an operation: casts to a type, and how far a membership reaches.

/// How far a membership reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Relation {
    Direct,
    /// Through nested groups, too.
    Transitive,
}

/// Which type a list is cast to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cast {
    None,
    User,
    Group,
    /// A type of Graph's of which the simulated tenant has nothing.
    Other,
}

/// Which deleted objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bin {
    Users,
    Groups,
    /// And service principals, which need the same permission.
    Applications,
    AdministrativeUnits,
    Devices,
}

impl Bin {
    /// `None` for what is no cast.
    pub fn read(segment: &str) -> Option<Self> {
        match type_name(segment)?.as_str() {
            "user" => Some(Self::Users),
            "group" => Some(Self::Groups),
            "application" | "serviceprincipal" => Some(Self::Applications),
            "administrativeunit" => Some(Self::AdministrativeUnits),
            "device" => Some(Self::Devices),
            _ => None,
        }
    }
}

/// `microsoft.graph.user` or `graph.user`, in lower case and without its namespace.
fn type_name(segment: &str) -> Option<String> {
    let segment = segment.to_ascii_lowercase();
    let name = segment.strip_prefix("microsoft.graph.").or(segment.strip_prefix("graph."))?;
    Some(name.to_owned())
}

impl Cast {
    /// `None` for what is no cast.
    pub fn read(segment: &str) -> Option<Self> {
        match type_name(segment)?.as_str() {
            "user" => Some(Self::User),
            "group" => Some(Self::Group),
            "administrativeunit" | "application" | "device" | "directoryrole" | "orgcontact"
            | "serviceprincipal" => Some(Self::Other),
            _ => None,
        }
    }

    /// The cast that a relation ends with, if any, and whether the objects are only counted.
    pub fn of_relation(rest: &[&str]) -> Option<(Self, bool)> {
        match rest {
            [] => Some((Self::None, false)),
            ["$count"] => Some((Self::None, true)),
            [cast] => Some((Self::read(cast)?, false)),
            [cast, "$count"] => Some((Self::read(cast)?, true)),
            _ => None,
        }
    }
}
