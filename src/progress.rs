//! Progress bars for long work on a terminal.

use std::path::{Path, PathBuf};

use indicatif::{ProgressBar, ProgressStyle};

use watchtower_inputs::Progress;

/// A progress bar for the reading of files.
#[derive(Debug)]
pub struct FileBar {
    shown: Option<(PathBuf, ProgressBar)>,
    enabled: bool,
}

impl FileBar {
    /// A bar that is shown only if `enabled`.
    pub fn new(enabled: bool) -> Self {
        Self { shown: None, enabled }
    }

    /// Shows the progress of reading `path`.
    pub fn show(&mut self, path: &Path, progress: Progress) {
        if !self.enabled {
            return;
        }
        if self.shown.as_ref().is_none_or(|(shown, _)| shown != path) {
            self.finish();
            let style = ProgressStyle::with_template(
                "{msg} [{bar:30}] {bytes}/{total_bytes} {bytes_per_sec}{prefix} eta {eta}",
            )
            .expect("the template is a constant");
            let bar = ProgressBar::new(progress.bytes_total).with_style(style.progress_chars("=> "));
            bar.set_message(path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned());
            self.shown = Some((path.to_owned(), bar));
        }
        if let Some((_, bar)) = &self.shown {
            bar.set_position(progress.bytes_read);
        }
    }

    /// Appends a note to the bar.
    pub fn note(&mut self, note: impl FnOnce() -> String) {
        if let Some((_, bar)) = &self.shown {
            bar.set_prefix(note());
        }
    }

    /// Removes the bar.
    pub fn finish(&mut self) {
        if let Some((_, bar)) = self.shown.take() {
            bar.finish_and_clear();
        }
    }
}
