//! Events on their way into entries: what one stream gets is batched, and stays in order.

use watchtower_core::events::{Event, Raw, Rejection, binary, json, plain, refused_fields};

use super::chunk::Chunk;

/// How an entry holds events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// The field `bin`: a binary batch.
    Bin,
    /// The field `json`: an event, or an array of them.
    Json,
    /// One event in plain fields.
    Plain,
}

/// An entry of this many bytes ends, however few events it has. Together with the largest event it
/// stays far below what a daemon reads.
const MAX_ENTRY_BYTES: usize = 256 << 10;

/// Where an event goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// A stream of positions.
    Positions(u16),
    /// The stream of geofence and vehicle events.
    Control,
}

/// The entries that are being filled, one of each stream.
#[derive(Debug)]
pub struct Batches {
    format: Format,
    most_events: u32,
    positions: Vec<Pending>,
    control: Pending,
}

#[derive(Debug)]
struct Pending {
    /// The number of its stream, and its key.
    stream: (usize, String),
    binary: binary::Batch,
    json: String,
    events: u32,
    /// How many of them count as published; a copied clock counts once.
    counted: u32,
}

impl Batches {
    /// For streams of these keys, the control stream last; `most_events` of an entry.
    pub fn new(keys: Vec<String>, format: Format, most_events: u32) -> Self {
        let mut positions: Vec<Pending> = keys.into_iter().enumerate().map(Pending::new).collect();
        let control = positions.pop().expect("there is a control stream");
        Self { format, most_events, positions, control }
    }

    /// Appends an event; `out` gets the entry if that fills it.
    pub fn push(&mut self, place: Place, event: &Event<'_>, counted: bool, out: &mut Chunk) {
        let (format, most_events) = (self.format, self.most_events);
        let pending = self.pending(place);
        pending.events += 1;
        pending.counted += u32::from(counted);
        match format {
            Format::Bin => pending.binary.push(event),
            Format::Json => {
                pending.json.push(if pending.json.is_empty() { '[' } else { ',' });
                pending.json.push_str(&json::encode(event));
            }
            Format::Plain => {
                let pairs = plain::encode(event);
                let fields: Vec<_> = pairs.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect();
                out.push(pending.place(), &fields, pending.counted);
                (pending.events, pending.counted) = (0, 0);
            }
        }
        if pending.events >= most_events || pending.size_bytes() >= MAX_ENTRY_BYTES {
            pending.flush(format, out);
        }
    }

    /// Appends a line that is no event, behind what the stream got before.
    pub fn pass_on(&mut self, place: Place, line: &[u8], out: &mut Chunk) {
        let format = self.format;
        let pending = self.pending(place);
        pending.flush(format, out);
        out.push(pending.place(), &[(b"json", line)], 1);
    }

    /// Appends what was refused, with the reason, behind what the stream got before. It does not count as published.
    pub fn refuse(&mut self, place: Place, rejection: &Rejection, raw: &Raw<'_>, out: &mut Chunk) {
        let format = self.format;
        let pending = self.pending(place);
        pending.flush(format, out);
        out.push(pending.place(), &refused_fields(rejection, raw, &mut Default::default()), 0);
    }

    /// All streams, in the order of their numbers.
    pub fn places(&self) -> impl Iterator<Item = Place> + use<> {
        (0..self.positions.len()).map(|stream| Place::Positions(stream as u16)).chain([Place::Control])
    }

    /// Ends the entry of one stream.
    pub fn flush(&mut self, place: Place, out: &mut Chunk) {
        let format = self.format;
        self.pending(place).flush(format, out);
    }

    fn pending(&mut self, place: Place) -> &mut Pending {
        match place {
            Place::Positions(stream) => &mut self.positions[usize::from(stream)],
            Place::Control => &mut self.control,
        }
    }
}

impl Pending {
    fn new(stream: (usize, String)) -> Self {
        Self { stream, binary: binary::Batch::default(), json: String::new(), events: 0, counted: 0 }
    }

    fn place(&self) -> (usize, &str) {
        (self.stream.0, &self.stream.1)
    }

    fn size_bytes(&self) -> usize {
        self.binary.size_bytes().max(self.json.len())
    }

    fn flush(&mut self, format: Format, out: &mut Chunk) {
        if self.events == 0 {
            return;
        }
        match format {
            Format::Bin => {
                let batch = self.binary.take();
                out.push(self.place(), &[(b"bin", &batch)], self.counted);
            }
            Format::Json => {
                let text = match self.events {
                    1 => &self.json[1..],
                    _ => {
                        self.json.push(']');
                        &self.json
                    }
                };
                out.push(self.place(), &[(b"json", text.as_bytes())], self.counted);
                self.json.clear();
            }
            Format::Plain => unreachable!("a plain event is an entry by itself"),
        }
        (self.events, self.counted) = (0, 0);
    }
}
