//! Reads keys from the file and the environment, and collects the problems.

use std::collections::BTreeSet;

use toml::de::DeTable;

use super::document::{Document, ValueShape};
use super::environment::Variables;
use super::error::{Place, Problem};
use super::key::{Key, PARTS_OF_A_URL};
use super::kinds::{Value, Wrong, did_you_mean};
use super::nearest::nearest;

/// The settings of a file and of the environment.
pub(super) struct Reader<'a> {
    document: Document<'a>,
    variables: Variables,
    /// Keys that were read: all others are unknown.
    known: Vec<Key>,
    /// Lists of sections that were read: `[[source]]`.
    lists: Vec<&'static str>,
    /// Keys with invalid values.
    unusable: BTreeSet<Key>,
    problems: Vec<Problem>,
}

impl<'a> Reader<'a> {
    /// A reader that has read no keys yet.
    pub(super) fn new(document: Document<'a>, variables: Variables) -> Self {
        Self {
            document,
            variables,
            known: Vec::new(),
            lists: Vec::new(),
            unusable: BTreeSet::new(),
            problems: Vec::new(),
        }
    }

    /// The value of a key: from the environment, else from the file, else `default`. An invalid value is recorded as a
    /// problem, and `default` returned.
    pub(super) fn read<T>(&mut self, key: Key, default: T, kind: impl Fn(Value<'_>) -> Result<T, Wrong>) -> T {
        self.known.push(key);
        let mut read = default;
        let settings = [self.document.get(key), self.variables.get(key)];
        for (place, value) in settings.into_iter().flatten() {
            match kind(value) {
                Ok(value) => read = value,
                Err(wrong) => {
                    self.unusable.insert(key);
                    self.problems.push(Problem { text: labelled(key, &place, &wrong), place });
                }
            }
        }
        read
    }

    /// Reads each section of a list: `[[section]]`. A variable of the environment overrides none of their keys.
    pub(super) fn list<T>(&mut self, section: &'static str, mut read: impl FnMut(&mut Entry<'_>) -> T) -> Vec<T> {
        self.lists.push(section);
        let (mut found, mut problems) = (Vec::new(), Vec::new());
        for (place, table) in self.document.tables(section) {
            let mut entry = Entry { document: &self.document, section, table, place, known: Vec::new(), problems };
            found.push(read(&mut entry));
            problems = entry.finish();
        }
        self.problems.extend(problems);
        found
    }

    /// Whether a list of sections is there in a form that was read.
    pub(super) fn is_list(&self, section: &str) -> bool {
        self.lists.contains(&section)
    }

    /// Records a problem if a key is not set.
    pub(super) fn require(&mut self, key: Key, explanation: &str) {
        let is_misplaced = self.document.keys().iter().any(|(_, name, ..)| *name == key.name);
        if self.place(key).is_none() && !is_misplaced && self.document.is_toml() {
            let text = format!("missing key `{}`, {explanation}, or set {}", key.name, key.variable());
            self.problems.push(Problem { place: self.document.whole(), text });
        }
    }

    /// Records a problem if a condition on several keys does not hold. Keys with invalid values are not checked. The
    /// place of the problem is the first key that is set; `wrong` names them all.
    pub(super) fn demand(&mut self, keys: &[Key], holds: bool, wrong: impl FnOnce() -> Wrong) {
        if holds || keys.iter().any(|key| self.unusable.contains(key)) {
            return;
        }
        let Some((key, place)) = keys.iter().find_map(|key| Some((key, self.place(*key)?))) else { return };
        let text = match (&place, key.section) {
            (Place::Variable(_), _) | (_, "") => wrong(),
            (Place::Line { .. } | Place::File(_), section) => format!("[{section}] {}", wrong()),
        };
        self.problems.push(Problem { place, text });
    }

    /// Place where a key is set.
    fn place(&self, key: Key) -> Option<Place> {
        self.variables.get(key).or_else(|| self.document.get(key)).map(|(place, _)| place)
    }

    /// All problems: of the values read, of the syntax, and of unknown keys.
    pub(super) fn finish(self) -> Vec<Problem> {
        let document = &self.document;
        let is_known = |name: &str| self.known.iter().any(|key| key.section == name || key.name == name);
        let mut problems = document.problems(is_known);
        if document.is_structured() {
            let of_the_file = self.problems.iter().cloned().chain(self.unknown());
            problems.extend(of_the_file.filter(|problem| !document.is_broken(&problem.place)));
        } else {
            let is_variable = |problem: &&Problem| matches!(problem.place, Place::Variable(_));
            problems.extend(self.problems.iter().filter(is_variable).cloned());
        }
        problems.extend(self.variables.unknown(&self.known));
        problems.sort();
        problems
    }

    /// Problems for names in the file that were never read.
    fn unknown(&self) -> Vec<Problem> {
        let sections: BTreeSet<&str> =
            self.known.iter().map(|key| key.section).filter(|name| !name.is_empty()).collect();
        let mut problems = Vec::new();
        for (section, name, place, shape) in self.document.keys() {
            let text = if section.is_empty() {
                self.unknown_at_the_top(&sections, name, shape)
            } else if sections.contains(section) {
                self.unknown_in(section, name)
            } else {
                // Reported once, for the section as a whole.
                None
            };
            problems.extend(text.map(|text| Problem { place, text }));
        }
        problems
    }

    fn unknown_at_the_top(&self, sections: &BTreeSet<&str>, name: &str, shape: ValueShape) -> Option<String> {
        if self.known.iter().any(|key| key.section.is_empty() && key.name == name) {
            return None;
        }
        let is_section = sections.contains(name);
        match shape {
            ValueShape::Tables if self.is_list(name) => None,
            ValueShape::Table | ValueShape::Value if self.is_list(name) => {
                Some(format!("expected [[{name}]] in double brackets: there may be several"))
            }
            ValueShape::Table if is_section => None,
            ValueShape::Tables if is_section => {
                Some(format!("expected [{name}] in single brackets: there is one of it"))
            }
            ValueShape::Value if is_section => Some(format!("expected a section: a line [{name}], then its keys")),
            ValueShape::Table | ValueShape::Tables => {
                let hint = match nearest(name, sections.iter().copied()) {
                    Some(section) => format!("; did you mean [{section}]?"),
                    None => format!("; there are {}", all(sections.iter().map(|section| format!("[{section}]")))),
                };
                Some(format!("unknown section {}{hint}", shown(name, "[", "]")))
            }
            ValueShape::Value => Some(format!("unknown key {}{}", shown(name, "`", "`"), self.hint("", name))),
        }
    }

    fn unknown_in(&self, section: &str, name: &str) -> Option<String> {
        let known = self.known.iter().any(|key| key.section == section && key.name == name);
        (!known).then(|| format!("[{section}] unknown key {}{}", shown(name, "`", "`"), self.hint(section, name)))
    }

    /// A hint for an unknown key of a section.
    fn hint(&self, section: &str, name: &str) -> String {
        let names = || self.known.iter().filter(|key| key.section == section).map(|key| key.name);
        let elsewhere: Vec<&Key> = self.known.iter().filter(|key| key.name == name).collect();
        if let Some(key) = elsewhere.first() {
            let places = elsewhere.iter().map(|key| format!("[{}]", key.section));
            return match key.section {
                "" => "; it belongs at the top of the file, before the first section".to_owned(),
                _ => format!("; it belongs in {}", super::kinds::either(places)),
            };
        }
        if names().any(|name| name == "url") && PARTS_OF_A_URL.contains(&name) {
            return "; it is part of the `url`".to_owned();
        }
        match nearest(name, names()) {
            Some(name) => did_you_mean(Some(name)),
            None if section.is_empty() => {
                format!("; at the top there is only {}", all(names().map(|name| format!("`{name}`"))))
            }
            None if names().count() == 1 => {
                format!("; [{section}] has only {}", all(names().map(|name| format!("`{name}`"))))
            }
            None => format!("; there are {}", all(names().map(|name| format!("`{name}`")))),
        }
    }
}

/// One section of a list.
pub(super) struct Entry<'a> {
    document: &'a Document<'a>,
    section: &'static str,
    table: &'a DeTable<'a>,
    place: Place,
    known: Vec<&'static str>,
    problems: Vec<Problem>,
}

impl Entry<'_> {
    /// The value of a key, else `default`. An invalid value is recorded as a problem, and `default` returned.
    pub(super) fn read<T>(
        &mut self,
        name: &'static str,
        default: T,
        kind: impl Fn(Value<'_>) -> Result<T, Wrong>,
    ) -> T {
        self.known.push(name);
        let Some(value) = self.table.get(name) else { return default };
        kind(Value::Toml(value.get_ref())).unwrap_or_else(|wrong| {
            self.problem_at(name, &wrong);
            default
        })
    }

    /// Makes a key known that is not read: what is wrong with it is a problem of its own.
    pub(super) fn declare(&mut self, name: &'static str) {
        self.known.push(name);
    }

    /// All keys with their values.
    pub(super) fn table(&self) -> &DeTable<'_> {
        self.table
    }

    /// Whether a key is set.
    pub(super) fn has(&self, name: &str) -> bool {
        self.table.contains_key(name)
    }

    /// Records a problem of a key, or of the section if the key is not set.
    pub(super) fn problem_at(&mut self, name: &str, wrong: &str) {
        let place = self.table.get(name).map_or_else(|| self.place.clone(), |value| self.document.place_of(value));
        self.problems.push(Problem { place, text: format!("[[{}]] {name}: {wrong}", self.section) });
    }

    /// All problems, those of unknown keys included.
    fn finish(mut self) -> Vec<Problem> {
        for name in self.table.keys() {
            let found = name.get_ref().as_ref();
            if self.known.contains(&found) {
                continue;
            }
            let hint = match nearest(found, self.known.iter().copied()) {
                Some(meant) => did_you_mean(Some(meant)),
                None => format!("; there are {}", all(self.known.iter().map(|name| format!("`{name}`")))),
            };
            let place = self.document.place_at(name.span().start);
            let text = format!("[[{}]] unknown key {}{hint}", self.section, shown(found, "`", "`"));
            self.problems.push(Problem { place, text });
        }
        self.problems
    }
}

fn labelled(key: Key, place: &Place, wrong: &str) -> String {
    match place {
        Place::Line { .. } | Place::File(_) => format!("{key}: {wrong}"),
        // The name of the variable includes the key.
        Place::Variable(_) => wrong.to_owned(),
    }
}

/// A name between marks if it has the form of a key; otherwise it may be confidential text and is left out.
fn shown(name: &str, open: &str, close: &str) -> String {
    /// Limit of a name's characters that a message repeats.
    const MAX_CHARS: usize = 40;
    let is_name =
        name.len() <= MAX_CHARS && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
    if is_name { format!("{open}{name}{close}") } else { "(not a name)".to_owned() }
}

/// Joins items: `a`, `a and b`, `a, b and c`.
fn all(items: impl Iterator<Item = String>) -> String {
    let items: Vec<String> = items.collect();
    match items.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} and {last}", others.join(", ")),
        None => String::new(),
    }
}
