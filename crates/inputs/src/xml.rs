//! XML documents as elements.

use std::io::BufRead;
use std::path::Path;

use quick_xml::events::{BytesStart, Event};
use quick_xml::{Reader, XmlVersion};
use watchtower_core::events::Limits;

use super::Progress;
use super::input::{Content, Gauge};
use super::reading::Reading;

/// Elements within elements.
const MAX_DEPTH: usize = 64;
/// The largest element that is held: a track with millions of points, in KML.
const MAX_ELEMENT_BYTES: usize = 1 << 30;

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

/// Elements of some names, in the order of the document, each with everything in it. A fault ends the document: what
/// was read before it stands. Memory holds one element.
pub(crate) struct Elements<R> {
    reader: Reader<R>,
    buffer: Vec<u8>,
    wanted: &'static [&'static str],
    /// Elements that have begun, the outermost first.
    open: Vec<Element>,
    /// About how much the open ones hold.
    bytes: usize,
    ended: bool,
}

impl<R: BufRead> Elements<R> {
    /// Of a document in UTF-8.
    pub(crate) fn new(content: R, wanted: &'static [&'static str]) -> Self {
        let mut reader = Reader::from_reader(content);
        reader.config_mut().allow_dangling_amp = true;
        Self { reader, buffer: Vec::new(), wanted, open: Vec::new(), bytes: 0, ended: false }
    }

    /// The next element; nothing at the end.
    fn read(&mut self) -> Result<Option<Element>, String> {
        loop {
            self.buffer.clear();
            let Self { reader, buffer, wanted, open, bytes, .. } = self;
            let event = reader.read_event_into(buffer);
            let event = event.map_err(|fault| format!("byte {}: {fault}", reader.error_position()))?;
            if let Event::Eof = event {
                return match open.first() {
                    None => Ok(None),
                    Some(element) => Err(format!("the document ends within {}", element.name)),
                };
            }
            if let Some(done) = step(event, wanted, open, bytes)? {
                *bytes = 0;
                return Ok(Some(done));
            }
            if *bytes > MAX_ELEMENT_BYTES {
                return Err(format!("{} has more than {MAX_ELEMENT_BYTES} bytes", open[0].name));
            }
        }
    }
}

impl<R: BufRead> Iterator for Elements<R> {
    type Item = Result<Element, String>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let next = self.read().transpose();
        self.ended = !matches!(next, Some(Ok(_)));
        next
    }
}

/// Takes in an event, and returns the outermost wanted element that it ends.
fn step(
    event: Event<'_>,
    wanted: &[&str],
    open: &mut Vec<Element>,
    bytes: &mut usize,
) -> Result<Option<Element>, String> {
    match event {
        Event::Start(start) => {
            let element = Element::of(&start);
            if !open.is_empty() || wanted.contains(&element.name.as_str()) {
                if open.len() >= MAX_DEPTH {
                    return Err(format!("elements are nested more than {MAX_DEPTH} deep"));
                }
                *bytes += size_of::<Element>() + start.len();
                open.push(element);
            }
        }
        Event::Empty(start) => {
            let element = Element::of(&start);
            match open.last_mut() {
                Some(parent) => {
                    *bytes += size_of::<Element>() + start.len();
                    parent.children.push(element);
                }
                None if wanted.contains(&element.name.as_str()) => return Ok(Some(element)),
                None => {}
            }
        }
        Event::End(_) => {
            if let Some(done) = open.pop() {
                match open.last_mut() {
                    Some(parent) => parent.children.push(done),
                    None => return Ok(Some(done)),
                }
            }
        }
        Event::Text(text) => add_text(open, bytes, &text),
        Event::CData(text) => add_text(open, bytes, &text),
        Event::GeneralRef(reference) => {
            let character = reference.resolve_char_ref().ok().flatten();
            let named = quick_xml::escape::resolve_predefined_entity(&reference);
            match (character, named) {
                (Some(character), _) => add_text(open, bytes, character.encode_utf8(&mut [0; 4])),
                (None, Some(text)) => add_text(open, bytes, text),
                (None, None) => {}
            }
        }
        Event::Decl(_) | Event::PI(_) | Event::DocType(_) | Event::Comment(_) | Event::Eof => {}
    }
    Ok(None)
}

fn add_text(open: &mut [Element], bytes: &mut usize, text: &str) {
    if let Some(element) = open.last_mut() {
        *bytes += text.len();
        element.text.push_str(text);
    }
}

/// A document that is read as it comes, and where it comes from.
pub(crate) struct Stream<'a> {
    pub(crate) path: &'a Path,
    pub(crate) content: Content,
    pub(crate) gauge: Gauge,
    pub(crate) reading: &'a Reading,
    pub(crate) limits: &'a Limits,
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
