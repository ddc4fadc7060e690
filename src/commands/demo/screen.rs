//! A terminal that is drawn again and again, and left as it was found.

use std::io::{self, Write};

use console::Term;

use super::frame::{Line, Look};

/// Another page of the terminal, without a cursor; and back.
const ENTER: &str = "\x1b[?1049h\x1b[?25l\x1b[?7l";
const LEAVE: &str = "\x1b[?7h\x1b[?25h\x1b[?1049l";
const HOME: &str = "\x1b[H";
const TO_END_OF_LINE: &str = "\x1b[K";
const TO_END_OF_PAGE: &str = "\x1b[J";
const PLAIN: &str = "\x1b[0m";

/// What is taken for a terminal's size if it does not say: that of a VT100.
const USUAL: (usize, usize) = (80, 24);

/// The terminal, while the demo has it.
#[derive(Debug)]
pub(super) struct Screen {
    term: Term,
    colours: bool,
}

impl Screen {
    /// Takes over standard output, if that is a terminal that can be drawn on.
    ///
    /// # Errors
    /// If it cannot be written to.
    pub(super) fn enter() -> io::Result<Option<Self>> {
        let term = Term::stdout();
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        if !term.is_term() || dumb {
            return Ok(None);
        }
        let colours = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let mut screen = Self { term, colours };
        screen.write(ENTER)?;
        Ok(Some(screen))
    }

    /// Width and height now: it may have been resized.
    pub(super) fn size(&self) -> (usize, usize) {
        let (height, width) = self.term.size_checked().map_or((USUAL.1, USUAL.0), |(h, w)| (h.into(), w.into()));
        (width.max(1), height.max(1))
    }

    /// Draws, in one write: a terminal that is watched does not flicker.
    ///
    /// # Errors
    /// If the terminal is gone.
    pub(super) fn draw(&mut self, lines: &[Line]) -> io::Result<()> {
        let mut page = HOME.to_owned();
        for (index, line) in lines.iter().enumerate() {
            if index > 0 {
                page.push_str("\r\n");
            }
            let look = if self.colours { look(line.look) } else { "" };
            page.push_str(look);
            page.push_str(&line.text);
            page.push_str(if look.is_empty() { "" } else { PLAIN });
            page.push_str(TO_END_OF_LINE);
        }
        page.push_str(TO_END_OF_PAGE);
        self.write(&page)
    }

    fn write(&mut self, text: &str) -> io::Result<()> {
        self.term.write_all(text.as_bytes())?;
        self.term.flush()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // A terminal that is gone needs no cursor.
        let _ = self.write(LEAVE);
    }
}

fn look(look: Look) -> &'static str {
    match look {
        Look::Plain => "",
        Look::Bar => "\x1b[7m",
        Look::Title => "\x1b[1m",
        Look::Change => "\x1b[33m",
        Look::Faint => "\x1b[2m",
    }
}
