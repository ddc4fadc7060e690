//! Geofences: the features of a GeoJSON document.

use std::collections::HashSet;
use std::io::Read;
use std::ops::Range;
use std::path::{Path, PathBuf};

use rustc_hash::FxBuildHasher;
use serde::Deserialize;
use serde_json::value::RawValue;
use watchtower_model::Millis;

use super::input::Input;
use super::{Progress, Source, SourceError};
use watchtower_core::events::{Event, Feature, Limits, Raw, Reason, Record, Rejection, check_size, utf8};

/// The largest document. It is held in memory while its features are read.
pub const MAX_DOCUMENT_BYTES: u64 = 1 << 30;

/// A GeoJSON file: a feature collection or one feature. A document that is neither is one refused
/// record. Of features with the same id and `valid_from` the first counts, even if it is refused.
pub struct GeoJson {
    path: PathBuf,
    limits: Limits,
    progress: Progress,
    document: Vec<u8>,
    /// Where in the document the features are, or why there are none.
    features: Result<Vec<Range<usize>>, Rejection>,
    next: usize,
    seen: HashSet<(String, Option<Millis>), FxBuildHasher>,
}

#[derive(Deserialize)]
struct Document<'a> {
    #[serde(rename = "type")]
    kind: String,
    #[serde(borrow)]
    features: Option<Vec<&'a RawValue>>,
}

impl GeoJson {
    /// Opens the file and reads all of it.
    pub fn open(path: &Path, limits: &Limits) -> Result<Self, SourceError> {
        let at = || path.to_path_buf();
        let mut input = Input::open(path).map_err(|source| SourceError::Open { path: at(), source })?;
        let mut document = Vec::new();
        let mut head = (&mut input).take(MAX_DOCUMENT_BYTES + 1);
        head.read_to_end(&mut document).map_err(|source| SourceError::Read { path: at(), source })?;
        let features = features(&document);
        Ok(Self {
            path: at(),
            limits: limits.clone(),
            progress: input.progress(),
            document,
            features,
            next: 0,
            seen: HashSet::default(),
        })
    }
}

impl Source for GeoJson {
    fn next_record(&mut self) -> Result<Option<Record<'_>>, SourceError> {
        let index = self.next;
        self.next += 1;
        let (bytes, result) = match &self.features {
            Err(_) if index > 0 => return Ok(None),
            Err(rejection) => (self.document.as_slice(), Err(rejection.clone())),
            Ok(features) => {
                let Some(range) = features.get(index) else { return Ok(None) };
                let bytes = &self.document[range.clone()];
                (bytes, read(bytes, &mut self.seen, &self.limits))
            }
        };
        Ok(Some(Record { position: index as u64 + 1, raw: Raw::complete(bytes), result }))
    }

    fn progress(&self) -> Progress {
        self.progress
    }

    fn path(&self) -> &Path {
        &self.path
    }
}

/// The places of the features in the document.
fn features(document: &[u8]) -> Result<Vec<Range<usize>>, Rejection> {
    if document.len() as u64 > MAX_DOCUMENT_BYTES {
        let detail = format!("expected a document of at most {MAX_DOCUMENT_BYTES} bytes");
        return Err(Rejection::new(Reason::TooLarge, detail));
    }
    let text = utf8(document)?;
    let malformed = |fault: String| Err(Rejection::new(Reason::Malformed, format!("expected GeoJSON: {fault}")));
    let Document { kind, features } = match serde_json::from_str(text) {
        Ok(document) => document,
        Err(fault) => return malformed(fault.to_string()),
    };
    match (kind.as_str(), features) {
        ("Feature", _) => Ok(vec![0..text.len(); 1]),
        ("FeatureCollection", Some(features)) => Ok(features.into_iter().map(|raw| place(text, raw.get())).collect()),
        ("FeatureCollection", None) => malformed("a FeatureCollection without features".to_owned()),
        (other, _) => malformed(format!("type: expected FeatureCollection or Feature, found {other:.64}")),
    }
}

/// Where `part` is in `whole`, of which it is a slice.
fn place(whole: &str, part: &str) -> Range<usize> {
    let start = part.as_ptr().addr() - whole.as_ptr().addr();
    start..start + part.len()
}

fn read<'a>(
    feature: &'a [u8],
    seen: &mut HashSet<(String, Option<Millis>), FxBuildHasher>,
    limits: &Limits,
) -> Result<Event<'a>, Rejection> {
    check_size(feature, limits)?;
    let feature = Feature::parse(utf8(feature)?)?;
    let key = feature.key(limits)?;
    if seen.contains(&key) {
        let detail = format!("an earlier feature has the id {:?} and the same valid_from", key.0);
        return Err(Rejection::new(Reason::DuplicateId, detail));
    }
    seen.insert(key);
    feature.event(limits)
}
