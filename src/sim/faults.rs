//! A hostile network, seeded: for each request one decision what goes wrong. Hostile by default; rates are fields, so
//! that a test can turn one kind up and all others off. The tenant itself never misbehaves at random.

use super::rng::Rng;
use crate::graph::transport::HttpRequest;
use crate::model::{Span, Timestamp};

/// How likely each kind is, per request, from 0 to 1.
#[derive(Debug, Clone, PartialEq)]
pub struct Rates {
    /// 429 before anything happens.
    pub throttled: f64,
    /// 500, 502 (HTML), 503 or 504 before anything happens.
    pub server_error: f64,
    /// The same after the request took effect.
    pub server_error_after: f64,
    /// The connection breaks after the request took effect.
    pub lost_reply: f64,
    /// No connection.
    pub connect: f64,
    /// No answer in time, nothing happened.
    pub timeout: f64,
    /// No answer in time, but the request took effect.
    pub timeout_after: f64,
    /// The JSON ends in the middle.
    pub truncated: f64,
    /// User reads and lists come from a replica that lags behind.
    pub stale: f64,
    /// A list answers with an empty page and a link.
    pub empty_page: f64,
    /// 409 Directory_ConcurrencyViolation on a write, nothing happened.
    pub conflict: f64,
    /// Parts of a batch are throttled, refused, missing or doubled, each by itself.
    pub batch_parts: f64,
    /// One user in the answer is not in the documented shape. Not even a hostile Graph does that, so it must be asked
    /// for.
    pub odd_entry: f64,
}

impl Rates {
    const NONE: Rates = Rates {
        throttled: 0.0,
        server_error: 0.0,
        server_error_after: 0.0,
        lost_reply: 0.0,
        connect: 0.0,
        timeout: 0.0,
        timeout_after: 0.0,
        truncated: 0.0,
        stale: 0.0,
        empty_page: 0.0,
        conflict: 0.0,
        batch_parts: 0.0,
        odd_entry: 0.0,
    };

    /// Far worse than Microsoft on its worst day.
    const HOSTILE: Rates = Rates {
        throttled: 0.04,
        server_error: 0.03,
        server_error_after: 0.02,
        lost_reply: 0.02,
        connect: 0.01,
        timeout: 0.01,
        timeout_after: 0.01,
        truncated: 0.01,
        stale: 0.10,
        empty_page: 0.03,
        conflict: 0.03,
        batch_parts: 0.10,
        odd_entry: 0.0,
    };

    /// For some hours almost every second request is refused.
    const STORM: Rates = Rates { throttled: 0.45, server_error: 0.08, ..Rates::NONE };

    fn each(&mut self) -> [&mut f64; 12] {
        [
            &mut self.throttled,
            &mut self.server_error,
            &mut self.server_error_after,
            &mut self.lost_reply,
            &mut self.connect,
            &mut self.timeout,
            &mut self.timeout_after,
            &mut self.truncated,
            &mut self.stale,
            &mut self.empty_page,
            &mut self.conflict,
            &mut self.batch_parts,
        ]
    }
}

/// What `Retry-After` says. Graph sends seconds; the others are allowed, or have been seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryAfter {
    Seconds(u32),
    /// An HTTP date.
    Date(Timestamp),
    Missing,
    /// A number that no client should obey, or no number at all.
    Absurd(&'static str),
}

/// What goes wrong with one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    Throttled(RetryAfter),
    /// The status; 502 comes with an HTML page.
    ServerError(u16),
    ServerErrorAfter(u16),
    LostReply,
    Connect,
    Timeout,
    TimeoutAfter,
    Truncated,
    Stale(Span),
    EmptyPage,
    Conflict,
    /// The seed of what becomes of each part.
    BatchParts(u64),
    /// The seed of what is odd.
    OddEntry(u64),
}

/// The decision for one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    pub latency: Span,
    pub fault: Option<Fault>,
}

/// Decides on faults. Two instances with the same seed and the same requests decide alike.
#[derive(Debug, Clone)]
pub struct Faults {
    pub rates: Rates,
    /// Shortest and longest time to an answer.
    pub latency: (Span, Span),
    /// The oldest replica.
    pub stale_by: Span,
    calm: Rates,
    rng: Rng,
    /// Streams of their own, so that they do not shift what happens to other requests.
    parts: Rng,
    odd: Rng,
    answers: Rng,
}

impl Faults {
    /// Hostile.
    pub fn new(seed: u64) -> Self {
        Self::with_rates(seed, Rates::HOSTILE)
    }

    /// No faults, and the time that a good connection takes.
    pub fn polite(seed: u64) -> Self {
        Self::with_rates(seed, Rates::NONE)
    }

    /// No faults and no latency.
    pub fn none() -> Self {
        Self { latency: (Span::ZERO, Span::ZERO), ..Self::with_rates(0, Rates::NONE) }
    }

    /// Hostile, with a seeded half of the kinds switched off: faults that hide each other come out alone.
    pub fn swarm(seed: u64) -> Self {
        let mut faults = Self::new(seed);
        let mut rng = Rng::stream(seed, "swarm");
        for rate in faults.rates.each() {
            if rng.chance(0.5) {
                *rate = 0.0;
            }
        }
        faults.calm = faults.rates.clone();
        faults
    }

    pub fn with_rates(seed: u64, rates: Rates) -> Self {
        Self {
            calm: rates.clone(),
            rates,
            latency: (Span::from_millis(20), Span::from_millis(400)),
            stale_by: Span::from_minutes(5),
            rng: Rng::stream(seed, "faults"),
            parts: Rng::stream(seed, "batch parts"),
            odd: Rng::stream(seed, "odd entries"),
            answers: Rng::stream(seed, "answers of the network"),
        }
    }

    /// Odd entries at this rate, whenever there is no storm.
    pub fn set_odd_entries(&mut self, rate: f64) {
        self.rates.odd_entry = rate;
        self.calm.odd_entry = rate;
    }

    /// All kinds off, for good.
    pub fn heal(&mut self) {
        self.rates = Rates::NONE;
        self.calm = Rates::NONE;
    }

    /// A throttling storm begins, or ends and the rates are again what they were at the start.
    pub fn set_storm(&mut self, is_storming: bool) {
        self.rates = if is_storming { Rates::STORM } else { self.calm.clone() };
    }

    /// The id of an answer that does not come from the tenant.
    pub(super) fn answer_id(&mut self) -> uuid::Uuid {
        self.answers.uuid()
    }

    /// What happens to this request. Draws the same number of random values whatever the rates are.
    pub fn decide(&mut self, now: Timestamp, request: &HttpRequest) -> Verdict {
        let latency =
            Span::from_millis(self.rng.between(self.latency.0.as_millis(), self.latency.1.as_millis()));
        let kinds = self.candidates(now);
        let mut chosen = None;
        for (rate, fault) in kinds {
            let hits = self.rng.chance(rate);
            if hits && chosen.is_none() && fits(fault, request) {
                chosen = Some(fault);
            }
        }
        let parts = Fault::BatchParts(self.parts.next_u64());
        let hits = self.parts.chance(self.rates.batch_parts);
        if hits && chosen.is_none() && fits(parts, request) {
            chosen = Some(parts);
        }
        let odd = Fault::OddEntry(self.odd.next_u64());
        if self.odd.chance(self.rates.odd_entry) && chosen.is_none() && fits(odd, request) {
            chosen = Some(odd);
        }
        Verdict { latency, fault: chosen }
    }

    fn candidates(&mut self, now: Timestamp) -> [(f64, Fault); 11] {
        let retry_after = self.retry_after(now);
        let status = *self.rng.pick(&[500, 502, 503, 504]).unwrap_or(&503);
        let stale = Span::from_millis(self.rng.between(1000, self.stale_by.as_millis().max(1000)));
        let rates = &self.rates;
        [
            (rates.connect, Fault::Connect),
            (rates.timeout, Fault::Timeout),
            (rates.throttled, Fault::Throttled(retry_after)),
            (rates.server_error, Fault::ServerError(status)),
            (rates.conflict, Fault::Conflict),
            (rates.timeout_after, Fault::TimeoutAfter),
            (rates.lost_reply, Fault::LostReply),
            (rates.server_error_after, Fault::ServerErrorAfter(status)),
            (rates.truncated, Fault::Truncated),
            (rates.empty_page, Fault::EmptyPage),
            (rates.stale, Fault::Stale(stale)),
        ]
    }

    fn retry_after(&mut self, now: Timestamp) -> RetryAfter {
        let seconds = self.rng.between(1, 30);
        let absurd = *self.rng.pick(&["86400", "-5", "soon", "99999999999999999999"]).unwrap_or(&"soon");
        match self.rng.below(10) {
            0..=5 => RetryAfter::Seconds(u32::try_from(seconds).unwrap_or(1)),
            6..=7 => RetryAfter::Date(now + Span::from_secs(seconds)),
            8 => RetryAfter::Missing,
            _ => RetryAfter::Absurd(absurd),
        }
    }
}

/// A sign-in is not a Graph read; a read cannot conflict, nor can the envelope of a batch; a write answers with no
/// page.
fn fits(fault: Fault, request: &HttpRequest) -> bool {
    let is_sign_in = !request.url.contains("/v1.0/");
    let is_batch = request.url.ends_with("/$batch");
    let is_read = request.method == crate::graph::transport::Method::Get;
    match fault {
        Fault::Connect | Fault::Timeout | Fault::TimeoutAfter | Fault::LostReply | Fault::ServerError(_) => {
            true
        }
        Fault::ServerErrorAfter(_) | Fault::Truncated | Fault::Throttled(_) => !is_sign_in,
        Fault::Stale(_) | Fault::EmptyPage => !is_sign_in && is_read,
        Fault::Conflict => !is_sign_in && !is_read && !is_batch,
        Fault::BatchParts(_) => is_batch,
        Fault::OddEntry(_) => !is_sign_in && (is_read || is_batch),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::transport::Method;

    fn request() -> HttpRequest {
        HttpRequest::new(Method::Get, "https://graph.microsoft.com/v1.0/users")
    }

    #[test]
    fn the_same_seed_decides_alike() {
        let run = |seed| -> Vec<Verdict> {
            let mut faults = Faults::new(seed);
            (0..200).map(|second| faults.decide(Timestamp::from_secs(second), &request())).collect()
        };
        assert_eq!(run(3), run(3));
        assert_ne!(run(3), run(4));
    }

    #[test]
    fn hostile_hits_some_and_healed_hits_none() {
        let mut faults = Faults::new(1);
        let count = |faults: &mut Faults| {
            (0..2000).filter(|_| faults.decide(Timestamp::default(), &request()).fault.is_some()).count()
        };
        let hits = count(&mut faults);
        assert!((200..800).contains(&hits), "{hits} of 2000");
        faults.heal();
        assert_eq!(count(&mut faults), 0);
        faults.set_storm(true);
        assert!(count(&mut faults) > 600);
        faults.set_storm(false);
        assert_eq!(count(&mut faults), 0);
    }

    #[test]
    fn a_swarm_switches_some_kinds_off_and_leaves_some_on() {
        let off = |seed| Faults::swarm(seed).rates.each().iter().filter(|rate| ***rate == 0.0).count();
        let counts: Vec<usize> = (0..20).map(off).collect();
        assert!(
            counts.iter().any(|count| *count >= 3) && counts.iter().all(|count| *count < 11),
            "{counts:?}"
        );
    }
}
