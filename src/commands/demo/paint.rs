//! Styled text with a known width: lines are built from it, cut to the terminal and written with or without colour.
//! Knows no content.

use console::measure_text_width;

/// How a piece of text looks. Colours are from the 256-colour table: muted ones, so that what matters stands out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    Plain,
    Bold,
    /// Labels, empty tracks.
    Dim,
    /// Headings, what is under way.
    Accent,
    Good,
    Soon,
    Critical,
}

impl Style {
    /// Parameters of the "select graphic rendition" sequence.
    fn code(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Bold => "1",
            Self::Dim => "38;5;243",
            Self::Accent => "38;5;110",
            Self::Good => "38;5;108",
            Self::Soon => "38;5;179",
            Self::Critical => "38;5;167",
        }
    }
}

/// One line of the screen.
#[derive(Debug, Clone, Default)]
pub struct Line {
    pieces: Vec<(Style, String)>,
}

impl Line {
    pub fn new() -> Self {
        Self::default()
    }

    #[must_use]
    pub fn add(mut self, style: Style, text: impl Into<String>) -> Self {
        self.pieces.push((style, text.into()));
        self
    }

    /// In exactly `width` columns: cut with an ellipsis, or filled with blanks.
    #[must_use]
    pub fn cell(self, style: Style, text: &str, width: usize) -> Self {
        let text = cut(text, width);
        let blanks = width.saturating_sub(measure_text_width(&text));
        self.add(style, text).add(Style::Plain, " ".repeat(blanks))
    }

    /// Like [`Line::cell`], the text at the right end.
    #[must_use]
    pub fn right(self, style: Style, text: &str, width: usize) -> Self {
        let text = cut(text, width);
        let blanks = width.saturating_sub(measure_text_width(&text));
        self.add(Style::Plain, " ".repeat(blanks)).add(style, text)
    }

    /// Fills up so that `text` ends at column `width`.
    #[must_use]
    pub fn end_at(self, width: usize, style: Style, text: &str) -> Self {
        let rest = width.saturating_sub(self.width());
        self.right(style, text, rest)
    }

    pub fn width(&self) -> usize {
        self.pieces.iter().map(|(_, text)| measure_text_width(text)).sum()
    }

    /// The text in at most `width` columns.
    pub fn render(&self, width: usize, has_colour: bool) -> String {
        let mut rendered = String::new();
        let mut left = width;
        for (style, text) in &self.pieces {
            let text = cut(text, left);
            left -= measure_text_width(&text);
            if has_colour && *style != Style::Plain && !text.trim().is_empty() {
                rendered.push_str(&format!("\u{1b}[{}m{text}\u{1b}[0m", style.code()));
            } else {
                rendered.push_str(&text);
            }
        }
        rendered
    }
}

/// At most `width` columns of the text; what was cut off shows as an ellipsis.
pub fn cut(text: &str, width: usize) -> String {
    if measure_text_width(text) <= width {
        return text.to_owned();
    }
    let mut kept = String::new();
    let mut used = 0;
    for char in text.chars() {
        let columns = measure_text_width(char.encode_utf8(&mut [0; 4]));
        if used + columns + 1 > width {
            break;
        }
        used += columns;
        kept.push(char);
    }
    if width > 0 {
        kept.push('…');
    }
    kept
}

/// A bar of `width` columns, filled to `share` (0 to 1) in eighths of a column; returns the filled and the empty part.
pub fn bar(share: f64, width: usize) -> (String, String) {
    const PARTS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    // The casts cannot lose anything: a screen has few columns, and the share is clamped.
    let eighths = (share.clamp(0.0, 1.0) * width as f64 * 8.0).round() as usize;
    let (full, part) = (eighths / 8, eighths % 8);
    let filled = format!("{}{}", "█".repeat(full), PARTS[part]);
    let empty = "·".repeat(width - full - usize::from(part > 0));
    (filled, empty)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_never_exceed_their_width() {
        let line = Line::new().cell(Style::Bold, "øystein.åsheim", 10).add(Style::Good, "ok ").end_at(
            20,
            Style::Dim,
            "right",
        );
        assert_eq!(line.width(), 20);
        assert_eq!(line.render(80, false), "øystein.å…ok   right");
        assert_eq!(line.render(12, false), "øystein.å…o…");
        assert_eq!(line.render(0, false), "");
    }

    #[test]
    fn colour_adds_sequences_and_no_columns() {
        let line = Line::new().add(Style::Critical, "gone").add(Style::Plain, " by day 31");
        assert_eq!(line.render(80, true), "\u{1b}[38;5;167mgone\u{1b}[0m by day 31");
        assert_eq!(line.render(80, false), "gone by day 31");
    }

    #[test]
    fn a_bar_is_filled_in_eighths_and_keeps_its_width() {
        assert_eq!(bar(0.0, 4), (String::new(), "····".to_owned()));
        assert_eq!(bar(1.0, 4), ("████".to_owned(), String::new()));
        assert_eq!(bar(0.5, 3), ("█▌".to_owned(), "·".to_owned()));
        for share in [-1.0, 0.01, 0.33, 0.99, 7.0] {
            let (filled, empty) = bar(share, 9);
            assert_eq!(measure_text_width(&filled) + measure_text_width(&empty), 9, "{share}");
        }
    }
}
