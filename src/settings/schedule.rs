//! Cron expressions, checked before a scheduler sees them: the scheduler accepts some that never fire.

use chrono::{DateTime, Utc};
use croner::parser::{CronParser, Seconds};

use crate::policy::fault::Complaint;

/// Six fields, seconds first, or seven with the year; or a nickname such as `@hourly`. Must fire at some time.
///
/// # Errors
/// What is wrong with it, and what to write.
pub fn check(text: &str) -> Result<(), Complaint> {
    let fields = text.split_whitespace().count();
    if !text.starts_with('@') && !(6..=7).contains(&fields) {
        let hint = match fields {
            5 => format!("seconds come first: write \"0 {}\"", text.trim()),
            _ => "six fields: second minute hour day month weekday, such as \"0 */10 * * * *\"".to_owned(),
        };
        return Err(Complaint::new(format!("`{text}` has {fields} fields, not six"), hint));
    }
    let parser = CronParser::builder().seconds(Seconds::Required).build();
    let cron = parser.parse(text).map_err(|error| {
        let hint = "second minute hour day month weekday, such as \"0 */10 * * * *\"";
        Complaint::new(format!("`{text}` is not a schedule: {error}"), hint)
    })?;
    // Any moment will do: a schedule that fires at all fires again after it, but for one that names past years only.
    let start = DateTime::<Utc>::UNIX_EPOCH + chrono::Duration::days(365 * 56);
    match cron.find_next_occurrence(&start, false) {
        Ok(_) => Ok(()),
        Err(_) => Err(Complaint::new(
            format!("`{text}` never fires"),
            "there is no such day; write one that exists in some month",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedules_have_seconds_and_fire() {
        for good in [
            "0 */10 * * * *",
            "0 30 2 * * *",
            "@hourly",
            "0 0 0 29 2 *",
            "0 0 9 * * MON-FRI",
            "0 0 0 1 1 * 2099",
        ] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        let five = check("*/10 * * * *").expect_err("five fields");
        assert_eq!(five.hint, "seconds come first: write \"0 */10 * * * *\"");
        assert_eq!(check("0 0 0 31 2 *").expect_err("no such day").message, "`0 0 0 31 2 *` never fires");
        for bad in ["", "* *", "0 61 * * * *", "every hour", "@never", "0 0 0 * * * * *"] {
            assert!(check(bad).is_err(), "{bad}");
        }
    }
}
