//! The terminal: takes it over, paints frames without flicker, gives it back whatever happens.

use std::io::{self, Stdout, Write, stdout};

use console::Term;

use super::paint::Line;

/// What a terminal without a known size is taken for.
const USUAL: (u16, u16) = (24, 80);

const ENTER: &str = "\u{1b}[?1049h\u{1b}[?25l\u{1b}[2J";
const LEAVE: &str = "\u{1b}[?25h\u{1b}[?1049l";
const HOME: &str = "\u{1b}[H";
const CLEAR_TO_LINE_END: &str = "\u{1b}[K";
const CLEAR_TO_SCREEN_END: &str = "\u{1b}[J";
/// Terminals that know it show a frame only when it is complete; others ignore it.
const BEGIN_FRAME: &str = "\u{1b}[?2026h";
const END_FRAME: &str = "\u{1b}[?2026l";

/// A terminal that is ours until dropped.
pub struct Screen {
    out: Stdout,
    term: Term,
    has_colour: bool,
}

impl Screen {
    /// Takes standard output over when it is a terminal that can be painted on.
    pub fn open() -> Option<Self> {
        let term = Term::stdout();
        let is_dumb = std::env::var_os("TERM").is_some_and(|name| name == "dumb");
        if !term.is_term() || is_dumb {
            return None;
        }
        let mut screen = Self { out: stdout(), term, has_colour: has_colour() };
        screen.write(ENTER).ok()?;
        Some(screen)
    }

    /// Columns and lines at this moment. The last column stays empty: what terminals do after writing into it differs.
    pub fn size(&self) -> (usize, usize) {
        let (lines, columns) = self.term.size_checked().unwrap_or(USUAL);
        (usize::from(columns).saturating_sub(1), usize::from(lines))
    }

    /// Paints over the frame before: nothing is cleared that is not painted at once.
    pub fn paint(&mut self, lines: &[Line]) -> io::Result<()> {
        let (width, height) = self.size();
        let mut text = String::from(BEGIN_FRAME);
        text.push_str(HOME);
        for (index, line) in lines.iter().take(height).enumerate() {
            if index > 0 {
                text.push_str("\r\n");
            }
            text.push_str(&line.render(width, self.has_colour));
            text.push_str(CLEAR_TO_LINE_END);
        }
        text.push_str(CLEAR_TO_SCREEN_END);
        text.push_str(END_FRAME);
        self.write(&text)
    }

    fn write(&mut self, text: &str) -> io::Result<()> {
        self.out.write_all(text.as_bytes())?;
        self.out.flush()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // The terminal may be gone; there is nobody left to tell.
        let _ = self.write(LEAVE);
    }
}

/// no-color.org: any value but the empty one.
fn has_colour() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}
