//! XML documents as elements.

use std::path::Path;

use quick_xml::events::{BytesStart, Event};
use quick_xml::{Reader, XmlVersion};
use watchtower_core::events::Limits;

use super::Progress;
use super::reading::Reading;

/// Elements within elements.
const MAX_DEPTH: usize = 64;

/// An element with everything in it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Element {
    /// Its name without a prefix.
    pub(crate) name: String,
    /// Its attributes, by their names without prefixes.
    pub(crate) attributes: Vec<(String, String)>,
    /// The text in it, without that of its children.
    pub(crate) text: String,
    pub(crate) children: Vec<Element>,
}

impl Element {
    fn of(start: &BytesStart<'_>) -> Self {
        let local = |name: &str| name.rsplit(':').next().unwrap_or_default().to_owned();
        let attributes = start.attributes().flatten().map(|attribute| {
            let value = attribute.normalized_value(XmlVersion::Implicit1_0).unwrap_or_default().into_owned();
            (local(attribute.key.0), value)
        });
        Self { name: local(start.name().0), attributes: attributes.collect(), ..Self::default() }
    }

    /// An attribute's value.
    pub(crate) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    /// The first child of this name.
    pub(crate) fn child(&self, name: &str) -> Option<&Element> {
        self.children.iter().find(|child| child.name == name)
    }

    /// The text of the first child of this name, if there is any.
    pub(crate) fn text_of(&self, name: &str) -> Option<&str> {
        self.child(name).map(|child| child.text.trim()).filter(|text| !text.is_empty())
    }

    /// All elements in it of this name, however deep; none within another.
    pub(crate) fn all<'e>(&'e self, name: &str, found: &mut Vec<&'e Element>) {
        for child in &self.children {
            if child.name == name {
                found.push(child);
            } else {
                child.all(name, found);
            }
        }
    }
}

/// Elements of these names, in the order of the document, each with everything in it; `outer` hears the
/// beginning of all others. A fault ends the document: what was read before it stands.
pub(crate) fn elements(
    text: &str,
    wanted: &[&str],
    mut take: impl FnMut(Element),
    mut outer: impl FnMut(&Element),
) -> Result<(), String> {
    let mut reader = Reader::from_str(text);
    reader.config_mut().allow_dangling_amp = true;
    let mut open: Vec<Element> = Vec::new();
    loop {
        let event = reader.read_event().map_err(|fault| format!("byte {}: {fault}", reader.error_position()))?;
        match event {
            Event::Start(start) => {
                let element = Element::of(&start);
                if !open.is_empty() || wanted.contains(&element.name.as_str()) {
                    if open.len() >= MAX_DEPTH {
                        return Err(format!("elements are nested more than {MAX_DEPTH} deep"));
                    }
                    open.push(element);
                } else {
                    outer(&element);
                }
            }
            Event::Empty(start) => {
                let element = Element::of(&start);
                match open.last_mut() {
                    Some(parent) => parent.children.push(element),
                    None if wanted.contains(&element.name.as_str()) => take(element),
                    None => outer(&element),
                }
            }
            Event::End(_) => {
                if let Some(done) = open.pop() {
                    match open.last_mut() {
                        Some(parent) => parent.children.push(done),
                        None => take(done),
                    }
                }
            }
            Event::Text(text) => {
                if let Some(element) = open.last_mut() {
                    element.text.push_str(&text);
                }
            }
            Event::CData(text) => {
                if let Some(element) = open.last_mut() {
                    element.text.push_str(&text);
                }
            }
            Event::GeneralRef(reference) => {
                if let Some(element) = open.last_mut() {
                    let character = reference.resolve_char_ref().ok().flatten();
                    let named = quick_xml::escape::resolve_predefined_entity(&reference);
                    match (character, named) {
                        (Some(character), _) => element.text.push(character),
                        (None, Some(text)) => element.text.push_str(text),
                        (None, None) => {}
                    }
                }
            }
            Event::Eof if open.is_empty() => return Ok(()),
            Event::Eof => return Err(format!("the document ends within {}", open[0].name)),
            Event::Decl(_) | Event::PI(_) | Event::DocType(_) | Event::Comment(_) => {}
        }
    }
}

/// A document and where it came from.
pub(crate) struct Text<'a> {
    pub(crate) path: &'a Path,
    pub(crate) text: &'a str,
    pub(crate) progress: Progress,
    pub(crate) reading: &'a Reading,
    pub(crate) limits: &'a Limits,
}

/// The name of the first element.
pub(crate) fn root_of(text: &str) -> Option<String> {
    let mut reader = Reader::from_str(text);
    loop {
        match reader.read_event().ok()? {
            Event::Start(start) | Event::Empty(start) => return Some(Element::of(&start).name),
            Event::Eof => return None,
            _ => {}
        }
    }
}
