//! The elements of a JSON array, one after the other, without holding the array.

use std::io::{self, BufRead};

/// Members that hold the objects of a document.
pub(crate) const INNER: [&str; 5] = ["features", "positions", "locations", "data", "items"];

/// Where the array begins whose elements are the records of a document, by its beginning: after how many bytes, and
/// whether it is the features of a collection. Nothing if the beginning does not tell, or if the document is an object
/// with a place of its own.
pub(crate) fn array_start(head: &[u8]) -> Option<(usize, bool)> {
    let mut scan = Scan { bytes: head, at: 0 };
    match scan.next_byte()? {
        b'[' => return Some((scan.at, false)),
        b'{' => {}
        _ => return None,
    }
    let mut is_collection = false;
    loop {
        let name = match scan.next_byte()? {
            b',' => continue,
            b'"' => scan.string()?,
            _ => return None,
        };
        if scan.next_byte()? != b':' {
            return None;
        }
        let name = std::str::from_utf8(name).ok()?;
        if name == "lat" || name == "latitude" {
            return None;
        }
        match scan.next_byte()? {
            b'[' if INNER.contains(&name) => return Some((scan.at, is_collection)),
            b'"' => {
                let text = scan.string()?;
                is_collection |= name == "type" && text == b"FeatureCollection";
            }
            b'{' | b'[' => scan.nested()?,
            _ => scan.word(),
        }
    }
}

/// Reads the beginning of a document.
struct Scan<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Scan<'a> {
    /// The next byte that is no space.
    fn next_byte(&mut self) -> Option<u8> {
        loop {
            let byte = *self.bytes.get(self.at)?;
            self.at += 1;
            if !byte.is_ascii_whitespace() {
                return Some(byte);
            }
        }
    }

    /// The rest of a string.
    fn string(&mut self) -> Option<&'a [u8]> {
        let start = self.at;
        loop {
            let byte = *self.bytes.get(self.at)?;
            self.at += 1;
            match byte {
                b'\\' => self.at += 1,
                b'"' => return Some(&self.bytes[start..self.at - 1]),
                _ => {}
            }
        }
    }

    /// The rest of an object or array.
    fn nested(&mut self) -> Option<()> {
        let mut depth = 1;
        while depth > 0 {
            match self.next_byte()? {
                b'"' => drop(self.string()?),
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth -= 1,
                _ => {}
            }
        }
        Some(())
    }

    /// The rest of a number, `true`, `false` or `null`.
    fn word(&mut self) {
        while self.bytes.get(self.at).is_some_and(|byte| !matches!(byte, b',' | b'}' | b']')) {
            self.at += 1;
        }
    }
}

/// An element of an array, or what came instead of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Its bytes are in the buffer; of a longer one the beginning.
    Element,
    /// The array has ended.
    End,
    /// The document has ended within the array.
    Cut,
}

/// Reads the next element of an array, whose bracket has been read, into `buffer`; of one that is longer than `most`
/// bytes as many and one more.
///
/// # Errors
/// If the content cannot be read.
pub(crate) fn next_element(content: &mut impl BufRead, most: usize, buffer: &mut Vec<u8>) -> io::Result<Next> {
    buffer.clear();
    let (mut depth, mut quoted, mut escaped) = (0usize, false, false);
    loop {
        let chunk = content.fill_buf()?;
        if chunk.is_empty() {
            return Ok(Next::Cut);
        }
        for (index, &byte) in chunk.iter().enumerate() {
            if quoted {
                quoted = byte != b'"' || escaped;
                escaped = byte == b'\\' && !escaped;
            } else {
                match byte {
                    b'"' => quoted = true,
                    b'{' | b'[' => depth += 1,
                    b'}' | b']' if depth > 0 => depth -= 1,
                    // The end of the array, or a brace that closes nothing, which ends it as well.
                    b'}' | b']' if buffer.is_empty() => {
                        content.consume(index + 1);
                        return Ok(Next::End);
                    }
                    b'}' | b']' => {
                        content.consume(index);
                        return Ok(Next::Element);
                    }
                    b',' if depth == 0 => {
                        content.consume(index + 1);
                        return Ok(Next::Element);
                    }
                    _ if byte.is_ascii_whitespace() && buffer.is_empty() => continue,
                    _ => {}
                }
            }
            if buffer.len() <= most {
                buffer.push(byte);
            }
        }
        let read = chunk.len();
        content.consume(read);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_array_is_found_by_the_beginning() {
        for (head, start) in [
            (r#" [{"a":1}]"#, Some((2, false))),
            (r#"{"type":"FeatureCollection","crs":{"a":["}"]},"features":["#, Some((58, true))),
            (r#"{"status":"o\"k","n":1.5,"data":[{"#, Some((33, false))),
            (r#"{"lat":6.5,"data":[{"#, None),
            (r#"{"data":{"#, None),
            (r#"{"status":"ok","rows":[1]}"#, None),
            ("", None),
            ("7", None),
        ] {
            assert_eq!(array_start(head.as_bytes()), start, "{head}");
        }
    }

    #[test]
    fn elements_are_cut_at_commas_outside_everything() {
        let text = r#" {"a":"],}\"","b":[1,2]} , 7,"x,y" ,[] ]more"#;
        // However the content comes.
        for size in [1, 2, 3, 100] {
            let mut content = io::BufReader::with_capacity(size, text.as_bytes());
            let mut found = Vec::new();
            let mut buffer = Vec::new();
            while next_element(&mut content, 100, &mut buffer).unwrap() == Next::Element {
                found.push(String::from_utf8(buffer.clone()).unwrap().trim_end().to_owned());
            }
            assert_eq!(found, [r#"{"a":"],}\"","b":[1,2]}"#, "7", r#""x,y""#, "[]"], "{size}");
        }
        let mut buffer = Vec::new();
        assert_eq!(next_element(&mut b"{\"a\":[".as_slice(), 100, &mut buffer).unwrap(), Next::Cut);
        assert_eq!(next_element(&mut b"1234567,".as_slice(), 3, &mut buffer).unwrap(), Next::Element);
        assert_eq!(buffer, b"1234");
    }
}
