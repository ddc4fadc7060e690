//! Cells in PostgreSQL's binary protocol.

use std::borrow::Cow;
use std::error::Error;

use bytes::{BufMut, BytesMut};
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};
use watchtower_model::local_time::Day;
use watchtower_model::{BEGINNING, END, Millis};

use super::ewkb;
use watchtower_core::tables::{Cell, Column, Kind};

/// Milliseconds from 1970-01-01 to 2000-01-01, the origin of PostgreSQL's timestamps.
pub(super) const POSTGRES_EPOCH_MS: i64 = 946_684_800_000;
/// Days from 1970-01-01 to 2000-01-01.
pub(super) const POSTGRES_EPOCH_DAY: i32 = (POSTGRES_EPOCH_MS / 86_400_000) as i32;
/// PostgreSQL's last instant, 294276-12-31T23:59:59.999Z, milliseconds since 1970.
const LAST_MS: i64 = 9_224_318_015_999_999;
/// PostgreSQL's first instant: 4713-01-01 BC, rounded up to 4712 BC.
const FIRST_MS: i64 = -210_835_000_000_000;

/// The type of a field in COPY.
pub fn copy_type(kind: Kind) -> Type {
    match kind {
        Kind::Text => Type::TEXT,
        Kind::Texts => Type::TEXT_ARRAY,
        Kind::Time => Type::TIMESTAMPTZ,
        Kind::Date => Type::DATE,
        Kind::Boolean => Type::BOOL,
        Kind::Integer => Type::INT8,
        Kind::Real => Type::FLOAT8,
        Kind::Json => Type::JSON,
        Kind::Geometry | Kind::Bytes => Type::BYTEA,
    }
}

/// Type of an array that holds a whole column, and its name in SQL. PostgreSQL's arrays do not nest: several strings
/// are sent as the text of an array.
pub fn array_type(kind: Kind) -> (Type, &'static str) {
    match kind {
        Kind::Text | Kind::Texts => (Type::TEXT_ARRAY, "text[]"),
        Kind::Time => (Type::TIMESTAMPTZ_ARRAY, "timestamptz[]"),
        Kind::Date => (Type::DATE_ARRAY, "date[]"),
        Kind::Boolean => (Type::BOOL_ARRAY, "boolean[]"),
        Kind::Integer => (Type::INT8_ARRAY, "bigint[]"),
        Kind::Real => (Type::FLOAT8_ARRAY, "double precision[]"),
        Kind::Json => (Type::JSON_ARRAY, "json[]"),
        Kind::Geometry | Kind::Bytes => (Type::BYTEA_ARRAY, "bytea[]"),
    }
}

/// Expression that reads a column out of its array: a cast where the array has another type.
pub fn from_array(column: &Column) -> String {
    match column.kind {
        Kind::Texts => format!("u.{}::text[]", column.name),
        Kind::Geometry => format!("u.{}::geometry", column.name),
        Kind::Text
        | Kind::Time
        | Kind::Date
        | Kind::Boolean
        | Kind::Integer
        | Kind::Real
        | Kind::Json
        | Kind::Bytes => {
            format!("u.{}", column.name)
        }
    }
}

/// A cell as a parameter of a statement or a field of COPY.
#[derive(Clone, Copy, Debug)]
pub struct Sql<'a>(pub &'a Cell);

impl ToSql for Sql<'_> {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        match self.0 {
            Cell::Empty => Ok(IsNull::Yes),
            Cell::Text(text) => text_without_nul(text).to_sql(ty, out),
            Cell::Texts(texts) if *ty == Type::TEXT => array_literal(texts).to_sql(ty, out),
            Cell::Texts(texts) => texts.iter().map(|text| text_without_nul(text)).collect::<Vec<_>>().to_sql(ty, out),
            Cell::Time(t) => Time(*t).to_sql(ty, out),
            Cell::Date(Day(days)) => {
                out.put_i32(days - POSTGRES_EPOCH_DAY);
                Ok(IsNull::No)
            }
            Cell::Boolean(value) => value.to_sql(ty, out),
            Cell::Integer(value) => value.to_sql(ty, out),
            Cell::Real(value) => value.to_sql(ty, out),
            Cell::Json(text) => {
                out.put_slice(text.as_bytes());
                Ok(IsNull::No)
            }
            Cell::Geometry(shape) => ewkb::encode(shape).to_sql(ty, out),
            Cell::Bytes(bytes) => (&**bytes).to_sql(ty, out),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

/// A cell of a primary key as a parameter of a statement.
#[derive(Clone, Debug)]
pub struct SqlKey(pub Cell);

impl ToSql for SqlKey {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        Sql(&self.0).to_sql(ty, out)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

/// An instant. [`BEGINNING`], [`END`] and instants outside of PostgreSQL's calendar become infinite.
#[derive(Clone, Copy, Debug)]
pub struct Time(pub Millis);

impl ToSql for Time {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        out.put_i64(match self.0 {
            BEGINNING..FIRST_MS => i64::MIN,
            LAST_MS..=END => i64::MAX,
            ms => (ms - POSTGRES_EPOCH_MS) * 1000,
        });
        Ok(IsNull::No)
    }

    fn accepts(ty: &Type) -> bool {
        *ty == Type::TIMESTAMPTZ
    }

    to_sql_checked!();
}

/// Replaces NUL, which PostgreSQL's text cannot hold, by U+FFFD.
fn text_without_nul(text: &str) -> Cow<'_, str> {
    if text.contains('\0') { Cow::Owned(text.replace('\0', "\u{fffd}")) } else { Cow::Borrowed(text) }
}

/// Text of an array, such as `{"a","b"}`.
fn array_literal(texts: &[impl AsRef<str>]) -> String {
    let mut literal = String::from("{");
    for (i, text) in texts.iter().enumerate() {
        literal.push_str(if i == 0 { "\"" } else { ",\"" });
        for c in text_without_nul(text.as_ref()).chars() {
            if matches!(c, '"' | '\\') {
                literal.push('\\');
            }
            literal.push(c);
        }
        literal.push('"');
    }
    literal.push('}');
    literal
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_array_literal_escapes_what_would_end_it() {
        assert_eq!(array_literal(&["a", "b \"c\" \\ d", "", "n\0l"]), r#"{"a","b \"c\" \\ d","","n�l"}"#);
        assert_eq!(array_literal(&[] as &[&str]), "{}");
    }

    #[test]
    fn instants_beyond_the_calendar_are_infinite() {
        let encoded = |t| {
            let mut out = BytesMut::new();
            Time(t)
                .to_sql(&Type::TIMESTAMPTZ, &mut out)
                .map(|_| i64::from_be_bytes(out[..].try_into().unwrap()))
                .unwrap()
        };
        assert_eq!(encoded(BEGINNING), i64::MIN);
        assert_eq!(encoded(END), i64::MAX);
        assert_eq!(encoded(POSTGRES_EPOCH_MS + 1), 1000);
        assert!(encoded(LAST_MS - 1) < i64::MAX && encoded(FIRST_MS) > i64::MIN);
    }
}
