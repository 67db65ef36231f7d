//! Values of statements, before it is known which backend takes them.

use sqlx::Arguments;
use sqlx::postgres::PgArguments;
use sqlx::sqlite::SqliteArguments;
use uuid::Uuid;

/// A value; none inside = NULL, whose type PostgreSQL wants to know as well. The lists are for PostgreSQL only.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    Integer(Option<i64>),
    Text(Option<String>),
    Bytes(Option<Vec<u8>>),
    Id(Option<Uuid>),
    Integers(Vec<Option<i64>>),
    Texts(Vec<Option<String>>),
    Blobs(Vec<Vec<u8>>),
    Ids(Vec<Option<Uuid>>),
}

impl Value {
    pub(crate) fn ids(ids: impl Iterator<Item = Uuid>) -> Self {
        Self::Ids(ids.map(Some).collect())
    }

    pub(crate) fn integers(numbers: impl Iterator<Item = impl Into<i64>>) -> Self {
        Self::Integers(numbers.map(|number| Some(number.into())).collect())
    }

    pub(crate) fn texts<'a>(texts: impl Iterator<Item = &'a str>) -> Self {
        Self::Texts(texts.map(|text| Some(text.to_owned())).collect())
    }
}

/// What can be a value.
pub(crate) trait Bind {
    /// NULL of this type.
    const NULL: Value;

    fn value(self) -> Value;
}

macro_rules! bind {
    ($($type:ty, $null:ident: |$value:ident| $into:expr;)*) => {
        $(impl Bind for $type {
            const NULL: Value = Value::$null(None);

            fn value(self) -> Value {
                let $value = self;
                Value::$null(Some($into))
            }
        })*
    };
}

bind! {
    i64, Integer: |value| value;
    u32, Integer: |value| i64::from(value);
    u16, Integer: |value| i64::from(value);
    bool, Integer: |value| i64::from(value);
    &str, Text: |value| value.to_owned();
    String, Text: |value| value;
    &[u8], Bytes: |value| value.to_vec();
    Vec<u8>, Bytes: |value| value;
    Uuid, Id: |value| value;
}

impl<T: Bind> Bind for Option<T> {
    const NULL: Value = T::NULL;

    fn value(self) -> Value {
        self.map_or(T::NULL, T::value)
    }
}

impl Bind for Value {
    const NULL: Value = Self::Text(None);

    fn value(self) -> Value {
        self
    }
}

pub(super) fn sqlite(values: Vec<Value>) -> sqlx::Result<SqliteArguments> {
    let mut arguments = SqliteArguments::default();
    for value in values {
        let added = match value {
            Value::Integer(value) => arguments.add(value),
            Value::Text(value) => arguments.add(value),
            Value::Bytes(value) => arguments.add(value),
            Value::Id(value) => arguments.add(value.map(|id| id.as_bytes().to_vec())),
            Value::Integers(_) | Value::Texts(_) | Value::Blobs(_) | Value::Ids(_) => {
                Err("SQLite takes no lists".into())
            }
        };
        added.map_err(sqlx::Error::Encode)?;
    }
    Ok(arguments)
}

pub(super) fn postgres(values: Vec<Value>) -> sqlx::Result<PgArguments> {
    let mut arguments = PgArguments::default();
    arguments.reserve(values.len(), values.iter().map(size).sum());
    for value in values {
        let added = match value {
            Value::Integer(value) => arguments.add(value),
            Value::Text(value) => arguments.add(value.map(without_nul)),
            Value::Bytes(value) => arguments.add(value),
            Value::Id(value) => arguments.add(value),
            Value::Integers(values) => arguments.add(values),
            Value::Texts(values) => {
                arguments.add(values.into_iter().map(|text| text.map(without_nul)).collect::<Vec<_>>())
            }
            Value::Blobs(values) => arguments.add(values),
            Value::Ids(values) => arguments.add(values),
        };
        added.map_err(sqlx::Error::Encode)?;
    }
    Ok(arguments)
}

/// A text of PostgreSQL holds every character but this one; a name that a switch sends may have it. Refused, it would
/// stop all that comes after it.
fn without_nul(text: String) -> String {
    if text.contains('\0') { text.replace('\0', "\u{fffd}") } else { text }
}

/// About how many bytes it becomes.
fn size(value: &Value) -> usize {
    match value {
        Value::Integer(_) => 8,
        Value::Id(_) => 16,
        Value::Text(text) => text.as_ref().map_or(0, String::len),
        Value::Bytes(bytes) => bytes.as_ref().map_or(0, Vec::len),
        Value::Integers(values) => values.len() * 12,
        Value::Ids(values) => values.len() * 20,
        Value::Texts(values) => values.iter().flatten().map(|text| text.len() + 4).sum(),
        Value::Blobs(values) => values.iter().map(|bytes| bytes.len() + 4).sum(),
    }
}
