//! The demo where nobody watches a terminal: one plain line for everything that happens.

use std::io::{self, Write};

use crate::model::Timestamp;

use super::story::{Note, NoteKind};

/// Prints each note once.
pub struct Lines<W> {
    out: W,
    starts: Timestamp,
    printed: usize,
}

impl<W: Write> Lines<W> {
    pub fn new(out: W, starts: Timestamp) -> Self {
        Self { out, starts, printed: 0 }
    }

    /// Prints what is new among all notes so far.
    pub fn print(&mut self, notes: &[Note]) -> io::Result<()> {
        for note in &notes[self.printed..] {
            let mark = match note.kind {
                NoteKind::Happened => "*",
                NoteKind::Noticed => "?",
                NoteKind::Acted => ">",
                NoteKind::Proved => "+",
                NoteKind::Alarm => "!",
            };
            let time = note.at.to_datetime().format("%H:%M");
            writeln!(self.out, "day {:>2} {time}  {mark} {}", day(note.at, self.starts), note.text)?;
        }
        self.printed = notes.len();
        self.out.flush()
    }
}

/// The day of the month, from 1.
pub fn day(at: Timestamp, starts: Timestamp) -> i64 {
    (at - starts).as_millis().div_euclid(crate::model::Span::from_days(1).as_millis()) + 1
}
