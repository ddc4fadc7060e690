//! A full-screen terminal that is redrawn, and restored at the end.

use std::io::{self, Write};

use console::Term;

use super::frame::{Line, Style};

/// Switches to the alternate screen without a cursor; and back.
const ENTER: &str = "\x1b[?1049h\x1b[?25l\x1b[?7l";
const LEAVE: &str = "\x1b[?7h\x1b[?25h\x1b[?1049l";
const HOME: &str = "\x1b[H";
const TO_END_OF_LINE: &str = "\x1b[K";
const TO_END_OF_PAGE: &str = "\x1b[J";
const PLAIN: &str = "\x1b[0m";

/// Size assumed if the terminal does not report one: that of a VT100.
const USUAL: (usize, usize) = (80, 24);

/// The terminal in full-screen mode; dropping it restores the terminal.
#[derive(Debug)]
pub(super) struct Screen {
    term: Term,
    colours: bool,
}

impl Screen {
    /// Switches standard output to full-screen mode; `None` if it is no terminal that supports it.
    ///
    /// # Errors
    /// If the terminal cannot be written.
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

    /// Current width and height; the terminal may have been resized.
    pub(super) fn size(&self) -> (usize, usize) {
        let (height, width) = self.term.size_checked().map_or((USUAL.1, USUAL.0), |(h, w)| (h.into(), w.into()));
        (width.max(1), height.max(1))
    }

    /// Draws all lines in one write, which avoids flicker.
    ///
    /// # Errors
    /// If the terminal cannot be written.
    pub(super) fn draw(&mut self, lines: &[Line]) -> io::Result<()> {
        let mut page = HOME.to_owned();
        for (index, line) in lines.iter().enumerate() {
            if index > 0 {
                page.push_str("\r\n");
            }
            let escape = if self.colours { escape(line.style) } else { "" };
            page.push_str(escape);
            page.push_str(&line.text);
            page.push_str(if escape.is_empty() { "" } else { PLAIN });
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
        // If the terminal is gone, nothing needs to be restored.
        let _ = self.write(LEAVE);
    }
}

fn escape(style: Style) -> &'static str {
    match style {
        Style::Plain => "",
        Style::Bar => "\x1b[7m",
        Style::Title => "\x1b[1m",
        Style::Change => "\x1b[33m",
        Style::Faint => "\x1b[2m",
    }
}
