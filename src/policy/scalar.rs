//! The small languages inside values: durations, shares, ids, patterns, countries. Each reads a text or says what is
//! wrong with it and what to write. No files, no positions.

use uuid::Uuid;

use crate::model::Span;

use super::fault::Complaint;
use super::matcher::Pattern;

/// Longest text that is matched: the longest attribute of a user (Graph: mail, 256 characters by RFC 5321).
const LONGEST_PATTERN: usize = 256;

/// `30m`, `2h`, `1d12h`: whole numbers, each with its unit.
pub fn duration(text: &str) -> Result<Span, Complaint> {
    const EXAMPLE: &str = "write whole numbers with a unit: 45s, 30m, 2h, 2d, 1d12h";
    let bad = |why: &str| Complaint::new(format!("`{text}` is not a duration: {why}"), EXAMPLE);
    if text.starts_with('-') {
        return Err(bad("it is negative"));
    }
    let mut total_ms: i64 = 0;
    let mut digits = String::new();
    let mut last_unit_ms = i64::MAX;
    for character in text.chars() {
        if character.is_ascii_digit() {
            digits.push(character);
            continue;
        }
        let unit_ms: i64 = match character {
            's' => 1000,
            'm' => 60_000,
            'h' => 3_600_000,
            'd' => 86_400_000,
            _ => return Err(bad(&format!("`{character}` is no unit"))),
        };
        if unit_ms >= last_unit_ms {
            return Err(bad("larger units come first, each once"));
        }
        last_unit_ms = unit_ms;
        let count: i64 = digits.parse().map_err(|_| bad("a unit needs a whole number before it"))?;
        digits.clear();
        total_ms = count
            .checked_mul(unit_ms)
            .and_then(|part| total_ms.checked_add(part))
            .ok_or_else(|| bad("it is too long"))?;
    }
    match (digits.is_empty(), last_unit_ms) {
        (true, i64::MAX) => Err(bad("it is empty")),
        (true, _) => Ok(Span::from_millis(total_ms)),
        (false, _) => Err(bad("the unit is missing")),
    }
}

/// `5%`, `0.5%`: more than 0, at most 100. Returns the fraction.
pub fn share(text: &str) -> Result<f64, Complaint> {
    let bad = |why: &str| {
        Complaint::new(format!("`{text}` is not a share: {why}"), "write a percentage such as 5% or 0.5%")
    };
    let number = text.strip_suffix('%').ok_or_else(|| bad("the percent sign is missing"))?.trim_end();
    let is_decimal = number.chars().all(|c| c.is_ascii_digit() || c == '.');
    let percent: f64 = number
        .parse()
        .ok()
        .filter(|_| is_decimal)
        .ok_or_else(|| bad("there is no plain number before the percent sign"))?;
    if percent <= 0.0 {
        return Err(Complaint::new(
            "a share of 0 % would never let anything be done",
            "to change nothing, set `mode: observe` in the settings or use `mailkeeper hold`",
        ));
    }
    if percent > 100.0 {
        return Err(bad("it is more than 100 %"));
    }
    Ok(percent / 100.0)
}

/// An object id.
pub fn guid(text: &str) -> Result<Uuid, Complaint> {
    let parsed = Uuid::try_parse(text).ok().filter(|_| text.len() == 36);
    match parsed {
        Some(id) if !id.is_nil() => Ok(id),
        Some(_) => {
            Err(Complaint::new("the zero id names nothing", "paste the object id from the Entra portal"))
        }
        None => Err(Complaint::new(
            format!("`{text}` is not an object id"),
            "write the id, not the name: 36 characters such as 3f0a4c9e-0f6c-4a0e-9d53-2a6b1b7c9a11",
        )),
    }
}

/// Text in which `*` stands for any run of characters. One that matches everything is refused.
pub fn pattern(text: &str) -> Result<(), Complaint> {
    filled(text)?;
    if text.chars().all(|c| matches!(c, '*' | '@' | '.')) {
        return Err(Complaint::new(
            format!("`{text}` matches everybody"),
            "leave the key out, or say what is meant: user_type: member, or a domain",
        ));
    }
    if text.chars().count() > LONGEST_PATTERN || Pattern::new(text).is_none() {
        return Err(Complaint::new(
            format!("a pattern of more than {LONGEST_PATTERN} characters"),
            "no attribute is that long",
        ));
    }
    Ok(())
}

/// ISO 3166, two capital letters.
pub fn country(text: &str) -> Result<(), Complaint> {
    if text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_uppercase()) {
        return Ok(());
    }
    let is_only_lower = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_alphabetic());
    let hint = if is_only_lower {
        format!("write {}", text.to_ascii_uppercase())
    } else {
        "write the two capital letters of ISO 3166: DE, NO, US".to_owned()
    };
    Err(Complaint::new(format!("`{text}` is not a usage location"), hint))
}

/// Anything but blanks, on one line.
pub fn filled(text: &str) -> Result<(), Complaint> {
    if text.trim().is_empty() {
        return Err(Complaint::new("an empty text", "write something, or leave the key out"));
    }
    match text.chars().find(|sign| is_hidden(*sign) || *sign == '\t') {
        Some('\n') => Err(Complaint::new("a line break inside", "write it on one line")),
        Some(sign) => {
            Err(Complaint::new(format!("an invisible sign inside, U+{:04X}", u32::from(sign)), "remove it"))
        }
        None => Ok(()),
    }
}

/// Control characters, line breaks other than LF and CR LF, signs of writing direction, and spaces without width. The
/// two joiners are left alone: Persian and Indian names need them.
pub fn is_hidden(sign: char) -> bool {
    let is_control = sign.is_control() && sign != '\t';
    let is_break = matches!(sign, '\u{2028}' | '\u{2029}');
    let is_direction = matches!(sign, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{061c}');
    let has_no_width = matches!(sign, '\u{00ad}' | '\u{200b}' | '\u{2060}'..='\u{2064}' | '\u{feff}');
    is_control || is_break || is_direction || has_no_width
}

/// True where YAML reads plain `text` as text and as nothing else, in every version and parser. `NO`, `on` and `yes`
/// are text in the YAML that is read here (1.2).
pub fn reads_as_text(text: &str) -> bool {
    let lowered = text.to_ascii_lowercase();
    let unsigned = lowered.trim_start_matches(['+', '-']);
    let is_word = matches!(unsigned, "" | "~" | "null" | "true" | "false" | ".inf" | ".nan");
    // Only with digits of that base: one object id in 256 begins with `0b`.
    let is_based = [("0x", 16), ("0o", 8), ("0b", 2)].into_iter().any(|(prefix, radix)| {
        let digits = unsigned.strip_prefix(prefix);
        digits.is_some_and(|digits| digits.chars().all(|digit| digit == '_' || digit.is_digit(radix)))
    });
    !is_word && !is_based && unsigned.parse::<f64>().is_err()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_need_a_unit() {
        assert_eq!(duration("30m"), Ok(Span::from_minutes(30)));
        assert_eq!(duration("1d12h"), Ok(Span::from_hours(36)));
        assert_eq!(duration("0s"), Ok(Span::ZERO));
        for bad in [
            "",
            "30",
            "-2h",
            "2 h",
            "h",
            "2h2d",
            "2h3h",
            "1.5h",
            "2w",
            "99999999999999999d",
            "10000000000000d",
        ] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn shares_are_percentages() {
        assert_eq!(share("5%"), Ok(0.05));
        assert_eq!(share("0.5 %"), Ok(0.005));
        assert_eq!(share("100%"), Ok(1.0));
        for bad in ["5", "0%", "101%", "-5%", "NaN%", "inf%", "1e1%", "%", "five%"] {
            assert!(share(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn ids_are_written_out() {
        assert!(guid("3f0a4c9e-0f6c-4a0e-9d53-2a6b1b7c9a11").is_ok());
        for bad in [
            "",
            "3f0a4c9e0f6c4a0e9d532a6b1b7c9a11",
            "{3f0a4c9e-0f6c-4a0e-9d53-2a6b1b7c9a11}",
            "anna@contoso.com",
        ] {
            assert!(guid(bad).is_err(), "{bad}");
        }
        assert!(guid("00000000-0000-0000-0000-000000000000").is_err());
    }

    #[test]
    fn norway_is_text() {
        for text in ["NO", "no", "on", "yes", "off", "Y", "5%", "30m", "a1", "1_000", "0bb4d9f0-58fb"] {
            assert!(reads_as_text(text), "{text}");
        }
        for other in [
            "true", "False", "null", "~", "42", "-1", "010", "1e3", "0x1f", "0o17", "0b11", ".5", ".inf",
            "-.inf",
        ] {
            assert!(!reads_as_text(other), "{other}");
        }
    }
}
