//! Points in time and spans between them, in milliseconds.

use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Milliseconds since 1970-01-01T00:00:00Z. Serialised as RFC 3339 text in human-readable formats, as a number in
/// binary ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(i64);

impl Timestamp {
    /// `0000-01-01T00:00:00Z`.
    const EARLIEST: Self = Self(-62_167_219_200_000);
    /// `9999-12-31T23:59:59.999Z`, the last moment that RFC 3339 can write.
    pub const LATEST: Self = Self(253_402_300_799_999);

    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    pub const fn from_secs(secs: i64) -> Self {
        Self(secs * 1000)
    }

    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// Seconds as Prometheus wants them.
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / 1000.0
    }

    /// Reads RFC 3339 as Graph writes it, also with seven fractional digits. `None` for anything else, also for a
    /// year that this type does not hold.
    pub fn parse(text: &str) -> Option<Self> {
        DateTime::parse_from_rfc3339(text.trim()).ok().map(|time| Self(time.timestamp_millis()))
    }

    /// Within the years 0 to 9999, all that RFC 3339 can write: what is written is read again.
    pub fn to_datetime(self) -> DateTime<Utc> {
        DateTime::from_timestamp_millis(self.0.clamp(Self::EARLIEST.0, Self::LATEST.0)).unwrap_or_default()
    }

    /// `2026-11-23 14:05 UTC`, for people.
    pub fn human(self) -> String {
        self.to_datetime().format("%Y-%m-%d %H:%M UTC").to_string()
    }

    /// [`Self::human`] with seconds.
    fn human_to_the_second(self) -> String {
        self.to_datetime().format("%Y-%m-%d %H:%M:%S UTC").to_string()
    }

    /// Reached, and no longer ago than that. A time in the future is none to wait for: clocks are set back.
    pub fn is_within(self, span: Span, now: Self) -> bool {
        self <= now && now < self + span
    }

    pub fn saturating_add(self, span: Span) -> Self {
        Self(self.0.saturating_add(span.0))
    }
}

impl fmt::Display for Timestamp {
    /// RFC 3339, whole seconds.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_datetime().to_rfc3339_opts(SecondsFormat::Secs, true))
    }
}

impl Add<Span> for Timestamp {
    type Output = Timestamp;
    fn add(self, span: Span) -> Timestamp {
        self.saturating_add(span)
    }
}

impl Sub<Span> for Timestamp {
    type Output = Timestamp;
    fn sub(self, span: Span) -> Timestamp {
        Timestamp(self.0.saturating_sub(span.0))
    }
}

impl Sub for Timestamp {
    type Output = Span;
    fn sub(self, other: Timestamp) -> Span {
        Span(self.0.saturating_sub(other.0))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            let text = self.to_datetime().to_rfc3339_opts(SecondsFormat::AutoSi, true);
            serializer.serialize_str(&text)
        } else {
            serializer.serialize_i64(self.0)
        }
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            let text = String::deserialize(deserializer)?;
            Self::parse(&text)
                .ok_or_else(|| serde::de::Error::custom(format!("not an RFC 3339 time: {text}")))
        } else {
            i64::deserialize(deserializer).map(Self)
        }
    }
}

/// `between A and B`, for people; with seconds where the two would look alike.
pub fn between(earliest: Timestamp, latest: Timestamp) -> String {
    let [from, to] = match earliest.human() == latest.human() {
        true => [earliest.human_to_the_second(), latest.human_to_the_second()],
        false => [earliest.human(), latest.human()],
    };
    format!("between {from} and {to}")
}

/// A signed distance between two points in time, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Span(i64);

impl Span {
    pub const ZERO: Span = Span(0);

    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    pub const fn from_secs(secs: i64) -> Self {
        Self(secs * 1000)
    }

    pub const fn from_minutes(minutes: i64) -> Self {
        Self::from_secs(minutes * 60)
    }

    pub const fn from_hours(hours: i64) -> Self {
        Self::from_secs(hours * 3600)
    }

    pub const fn from_days(days: i64) -> Self {
        Self::from_hours(days * 24)
    }

    pub const fn as_millis(self) -> i64 {
        self.0
    }

    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / 1000.0
    }

    /// Longer than that, in either direction.
    pub const fn is_beyond(self, limit: Self) -> bool {
        self.0.saturating_abs() > limit.0
    }

    pub const fn is_negative(self) -> bool {
        self.0 < 0
    }

    /// Zero when negative.
    pub fn to_duration(self) -> Duration {
        Duration::from_millis(u64::try_from(self.0).unwrap_or(0))
    }

    pub fn from_duration(duration: Duration) -> Self {
        Self(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX))
    }
}

impl fmt::Display for Span {
    /// The two largest units: `3d 4h`, `5m`, `12s`, `-1d 2h`; `0s` when less than a second.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total = self.0.unsigned_abs() / 1000;
        if self.0 < 0 && total > 0 {
            f.write_str("-")?;
        }
        let parts =
            [(total / 86_400, "d"), (total / 3600 % 24, "h"), (total / 60 % 60, "m"), (total % 60, "s")];
        let Some(first) = parts.iter().position(|(count, _)| *count > 0) else { return f.write_str("0s") };
        write!(f, "{}{}", parts[first].0, parts[first].1)?;
        match parts.get(first + 1) {
            Some((count, unit)) if *count > 0 => write!(f, " {count}{unit}"),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_read_like_a_person_writes_them() {
        let cases = [
            (Span::ZERO, "0s"),
            (Span::from_secs(12), "12s"),
            (Span::from_secs(300), "5m"),
            (Span::from_secs(-93_600), "-1d 2h"),
            (Span::from_days(30), "30d"),
            (Span::from_secs(273_601), "3d 4h"),
        ];
        for (span, text) in cases {
            assert_eq!(span.to_string(), text);
        }
    }

    #[test]
    fn times_that_would_look_alike_show_seconds() {
        let at = |text| Timestamp::parse(text).expect("valid");
        let (one, other) = (at("2026-11-27T17:43:02Z"), at("2026-11-27T17:43:58Z"));
        assert_eq!(between(one, other), "between 2026-11-27 17:43:02 UTC and 2026-11-27 17:43:58 UTC");
        let later = at("2026-11-27T17:44:58Z");
        assert_eq!(between(one, later), "between 2026-11-27 17:43 UTC and 2026-11-27 17:44 UTC");
    }

    #[test]
    fn whatever_is_written_is_read_again() {
        let (first, last) = ("0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z");
        for text in [first, last] {
            let time = Timestamp::parse(text).expect("valid");
            assert_eq!(time.to_string(), text);
            for far in [time + Span::from_days(30), time - Span::from_days(400)] {
                assert!(Timestamp::parse(&far.to_string()).is_some(), "{far}");
            }
        }
        for extreme in [i64::MIN, i64::MAX] {
            let written = Timestamp::from_millis(extreme).to_string();
            assert!(Timestamp::parse(&written).is_some(), "{written}");
        }
    }

    #[test]
    fn graph_times_with_seven_fractional_digits_are_read() {
        let time = Timestamp::parse("2026-09-01T16:56:36.1234567Z").expect("valid");
        assert_eq!(time.to_string(), "2026-09-01T16:56:36Z");
        assert_eq!(time.as_millis() % 1000, 123);
        assert_eq!(Timestamp::parse("yesterday"), None);
    }
}
