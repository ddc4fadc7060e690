//! What the log still holds of the control stream: the edits that the tables may not contain yet.

use watchtower_core::Cursor;
use watchtower_geopackage::GeoPackage;

use super::link::{Fields, Link};
use super::outlet::OpenError;
use super::target::Target;
use crate::file::{LogError, Reader};

/// Passes on the fields of the entries of a pipeline's control stream, oldest first, and returns whether all that it
/// ever had were passed on. In a file those that the tables contain, by their cursors `stored`, are left out.
///
/// # Errors
/// If Redis does not answer, or the file has no log or cannot be read.
pub fn read_control(target: &Target, stored: &[Cursor], mut each: impl FnMut(Fields<'_>)) -> Result<bool, OpenError> {
    match target {
        Target::Redis { url, pipeline } => Ok(Link::open(url)?.read_stream(&pipeline.control_key(), &mut each)?),
        Target::Embedded(file) => {
            let contained = stored.iter().map(|cursor| cursor.position.entries).sum();
            read_file(file, contained, &mut each)?;
            Ok(contained == 0)
        }
    }
}

fn read_file(file: &GeoPackage, mut at: u64, each: &mut dyn FnMut(Fields<'_>)) -> Result<(), LogError> {
    let log = Reader::open_to_read(file)?;
    let control = usize::from(log.layout().streams);
    loop {
        let entries = log.read(at, u64::MAX)?;
        if entries.is_empty() {
            return Ok(());
        }
        let (mut next, mut fields) = (entries.iter(), Vec::new());
        while let Some((stream, _)) = next.next(&mut fields) {
            if stream == control {
                each(&fields);
            }
        }
        at = entries.last();
    }
}
