//! What can go wrong between us and Graph, sorted by what a caller does about it. No I/O, no retry decisions.

use std::fmt;

use crate::model::ProblemKind;

use super::auth::SignInError;
use super::link::LinkFault;
use super::request::Endpoint;

/// Why a read brought no data. Writes do not fail: they end as a [`super::WriteResult`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No token, so nothing was sent.
    #[error(transparent)]
    SignIn(SignInError),
    /// Graph answered with an error that a repetition does not change.
    #[error("{endpoint}: {answer}")]
    Answer { endpoint: Endpoint, answer: Box<ErrorAnswer> },
    /// No usable answer after all attempts: throttled, unavailable, or the connection broke.
    #[error("{endpoint}: no usable answer in {attempts} attempts, the last: {last}")]
    Unanswered { endpoint: Endpoint, attempts: u32, last: String, is_throttled: bool },
    /// A success whose body says something else than the documented shape.
    #[error("{endpoint}: answer not understood: {detail} ({ids})")]
    Malformed { endpoint: Endpoint, detail: String, ids: RequestIds },
    /// A link that would lead the token astray, or the listing round in circles.
    #[error("{endpoint}: link not followed: {fault} ({ids})")]
    HostileLink { endpoint: Endpoint, fault: LinkFault, ids: RequestIds },
    /// The delta link is no longer known (Graph: 400, 404 or 410): list everything again.
    #[error("the delta was reset: {0}")]
    DeltaReset(Box<ErrorAnswer>),
}

impl Error {
    /// The kind of doubt that this error casts on an observation.
    pub fn problem_kind(&self) -> ProblemKind {
        match self {
            Self::SignIn(_) => ProblemKind::SignIn,
            Self::Answer { answer, .. } if (400..500).contains(&answer.status) => ProblemKind::Refused,
            Self::Answer { .. } | Self::Unanswered { .. } => ProblemKind::Unanswered,
            Self::Malformed { .. } => ProblemKind::Malformed,
            Self::HostileLink { .. } => ProblemKind::HostileLink,
            Self::DeltaReset(_) => ProblemKind::Truncated,
        }
    }

    /// True when a page token died during a listing (Graph: `Directory_ExpiredPageToken`): list again from the start.
    pub fn is_expired_page(&self) -> bool {
        match self {
            Self::Answer { answer, .. } => answer.has_code("Directory_ExpiredPageToken"),
            Self::SignIn(_)
            | Self::Unanswered { .. }
            | Self::Malformed { .. }
            | Self::HostileLink { .. }
            | Self::DeltaReset(_) => false,
        }
    }
}

/// An error answer of Graph: status, codes, message, ids. Text is cut and freed of control characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorAnswer {
    pub status: u16,
    /// From the outermost to the innermost; several workloads put the telling one inside. May be empty.
    pub codes: Vec<String>,
    /// For people. Never branched on, except for licences, where Graph gives no other signal.
    pub message: String,
    pub ids: RequestIds,
}

impl ErrorAnswer {
    /// True when any level carries that code, letter case ignored.
    pub fn has_code(&self, code: &str) -> bool {
        self.codes.iter().any(|candidate| candidate.eq_ignore_ascii_case(code))
    }

    /// The outermost code, or an empty text.
    pub fn code(&self) -> &str {
        self.codes.first().map_or("", String::as_str)
    }
}

impl fmt::Display for ErrorAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.status)?;
        if !self.code().is_empty() {
            write!(f, " {}", self.code())?;
        }
        if !self.message.is_empty() {
            write!(f, " {:?}", self.message)?;
        }
        write!(f, " ({})", self.ids)
    }
}

/// The two ids that Microsoft's support asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RequestIds {
    /// Graph's own; missing when no answer arrived.
    pub request: Option<String>,
    /// Ours, sent with the request; of the batch around it for a part that names none. Empty where nothing was sent.
    pub client_request: String,
}

impl fmt::Display for RequestIds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.request, self.client_request.as_str()) {
            (Some(id), "") => write!(f, "request-id {id}"),
            (Some(id), ours) => write!(f, "request-id {id}, client-request-id {ours}"),
            (None, "") => f.write_str("no request-id"),
            (None, ours) => write!(f, "client-request-id {ours}"),
        }
    }
}

/// Text of others, fit for one log line: control characters become blanks, what may be a token or a secret that a
/// server repeats is left out, and it ends after 500 characters.
pub(super) fn tame(text: &str) -> String {
    const MAX_CHARS: usize = 500;
    let mut tamed = String::new();
    let mut room = MAX_CHARS;
    for piece in text.split_inclusive(|c| !is_of_secrets(c)) {
        let word = piece.trim_end_matches(|c| !is_of_secrets(c));
        let shown = if may_be_secret(word) { "[left out]" } else { word };
        for c in shown.chars().chain(piece[word.len()..].chars()) {
            if room == 0 {
                tamed.push('\u{2026}');
                return tamed;
            }
            tamed.push(if c.is_control() { ' ' } else { c });
            room -= 1;
        }
    }
    tamed
}

/// True for the characters that tokens (base64url, with dots between the parts) and Entra's client secrets consist of.
fn is_of_secrets(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-_.~+=".contains(c)
}

/// True from 40 characters on, with a digit among them: a client secret of Entra has 40 and a token far more, a GUID
/// has 36, and the long names of classes and settings in Microsoft's messages have no digits.
fn may_be_secret(word: &str) -> bool {
    word.len() >= 40 && word.bytes().any(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::tame;

    #[test]
    fn what_a_server_repeats_of_a_token_or_a_secret_is_left_out() {
        let token = format!("eyJ0eXAiOiJKV1Qi.{}.c2lnbmF0dXJl-_x1", "eyJhdWQiOiIwMDAw".repeat(200));
        let secret = "k1m8Q~abcdefghijklmnopqrstuvwxyz.ABCDEF~";
        for (text, tamed) in [
            (format!("no: Bearer {token}!"), "no: Bearer [left out]!"),
            (format!("client_secret={secret}"), "[left out]"),
            (format!("'{secret}'\n"), "'[left out]' "),
            (
                "no user 9c0f3b5e-6a1d-4c0e-9a43-5f2d8c1b7e60".into(),
                "no user 9c0f3b5e-6a1d-4c0e-9a43-5f2d8c1b7e60",
            ),
            (
                "MailboxProvisioningConstraintIsNotAllowedHere".into(),
                "MailboxProvisioningConstraintIsNotAllowedHere",
            ),
        ] {
            assert_eq!(tame(&text), tamed);
        }
    }

    #[test]
    fn it_fits_one_line_and_ends() {
        assert_eq!(tame("a\r\nb\u{1b}[31m"), "a  b [31m");
        let long = tame(&"\u{e4} ".repeat(400));
        assert_eq!((long.chars().count(), long.ends_with('\u{2026}')), (501, true));
        assert_eq!(tame(&"x ".repeat(250)).chars().count(), 500);
    }
}
