//! Rows of either backend.

use sqlx::postgres::{PgRow, PgTypeInfo};
use sqlx::sqlite::SqliteRow;
use sqlx::{ColumnIndex, Row as _, TypeInfo, ValueRef};

use crate::columns::undecodable;

/// A row that was read.
pub(crate) enum Row {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

/// A column, by its name or place.
pub(crate) trait At: ColumnIndex<SqliteRow> + ColumnIndex<PgRow> + Copy + ToString {}

impl<T: ColumnIndex<SqliteRow> + ColumnIndex<PgRow> + Copy + ToString> At for T {}

/// What can be read of a column.
pub(crate) trait Field<'r>: Sized {
    fn sqlite(row: &'r SqliteRow, at: impl At) -> sqlx::Result<Self>;
    fn postgres(row: &'r PgRow, at: impl At) -> sqlx::Result<Self>;
}

impl Row {
    /// A column.
    pub(crate) fn try_get<'r, T: Field<'r>>(&'r self, at: impl At) -> sqlx::Result<T> {
        match self {
            Self::Sqlite(row) => T::sqlite(row, at),
            Self::Postgres(row) => T::postgres(row, at),
        }
    }
}

impl Row {
    pub(crate) fn is_null(&self, at: &str) -> sqlx::Result<bool> {
        Ok(match self {
            Self::Sqlite(row) => row.try_get_raw(at)?.is_null(),
            Self::Postgres(row) => row.try_get_raw(at)?.is_null(),
        })
    }
}

macro_rules! same {
    ($($type:ty)*) => {
        $(impl<'r> Field<'r> for $type {
            fn sqlite(row: &'r SqliteRow, at: impl At) -> sqlx::Result<Self> {
                row.try_get(at)
            }

            fn postgres(row: &'r PgRow, at: impl At) -> sqlx::Result<Self> {
                row.try_get(at)
            }
        })*
    };
}

macro_rules! integers {
    ($($type:ty)*) => {
        $(impl<'r> Field<'r> for $type {
            fn sqlite(row: &'r SqliteRow, at: impl At) -> sqlx::Result<Self> {
                row.try_get(at)
            }

            fn postgres(row: &'r PgRow, at: impl At) -> sqlx::Result<Self> {
                integer(row, at)?.try_into().map_err(|error| undecodable(&at.to_string(), error))
            }
        })*
    };
}

same! { &'r str String &'r [u8] Vec<u8> }
integers! { i64 u32 u16 u8 }

impl<'r> Field<'r> for bool {
    fn sqlite(row: &'r SqliteRow, at: impl At) -> sqlx::Result<Self> {
        row.try_get(at)
    }

    fn postgres(row: &'r PgRow, at: impl At) -> sqlx::Result<Self> {
        Ok(integer(row, at)? != 0)
    }
}

impl<'r, T: Field<'r>> Field<'r> for Option<T> {
    fn sqlite(row: &'r SqliteRow, at: impl At) -> sqlx::Result<Self> {
        let is_null = row.try_get_raw(at)?.is_null();
        if is_null { Ok(None) } else { T::sqlite(row, at).map(Some) }
    }

    fn postgres(row: &'r PgRow, at: impl At) -> sqlx::Result<Self> {
        let is_null = row.try_get_raw(at)?.is_null();
        if is_null { Ok(None) } else { T::postgres(row, at).map(Some) }
    }
}

/// Of whatever width the column is.
fn integer(row: &PgRow, at: impl At) -> sqlx::Result<i64> {
    let raw = row.try_get_raw(at)?;
    let info: &PgTypeInfo = &raw.type_info();
    Ok(match info.name() {
        "BOOL" => i64::from(row.try_get::<bool, _>(at)?),
        "INT2" => i64::from(row.try_get::<i16, _>(at)?),
        "INT4" => i64::from(row.try_get::<i32, _>(at)?),
        _ => row.try_get::<i64, _>(at)?,
    })
}
