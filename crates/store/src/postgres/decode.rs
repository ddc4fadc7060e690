//! Cells from PostgreSQL's binary protocol.

use std::error::Error;

use tokio_postgres::types::{FromSql, Type};
use watchtower_model::local_time::Day;
use watchtower_model::{BEGINNING, END, Millis};

use super::encode::{POSTGRES_EPOCH_DAY, POSTGRES_EPOCH_MS};

/// An instant; the infinite ones are [`BEGINNING`] and [`END`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Time(pub Millis);

impl<'a> FromSql<'a> for Time {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self(match i64::from_be_bytes(raw.try_into()?) {
            i64::MIN => BEGINNING,
            i64::MAX => END,
            microseconds => microseconds.div_euclid(1000) + POSTGRES_EPOCH_MS,
        }))
    }

    fn accepts(ty: &Type) -> bool {
        *ty == Type::TIMESTAMPTZ
    }
}

/// A local date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Date(pub Day);

impl<'a> FromSql<'a> for Date {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self(Day(i32::from_be_bytes(raw.try_into()?).saturating_add(POSTGRES_EPOCH_DAY))))
    }

    fn accepts(ty: &Type) -> bool {
        *ty == Type::DATE
    }
}
