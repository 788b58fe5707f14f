//! Values of statements and rows, the same for both engines.
//!
//! Four kinds are enough: whole numbers, numbers, texts and bytes; each may be absent. A parameter has its kind even
//! when it is absent, since PostgreSQL asks for it.

use std::error::Error;

use rusqlite::types::{ToSqlOutput, ValueRef};
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, private::BytesMut};

/// A parameter of a statement.
#[derive(Debug, Clone, Copy)]
pub(in crate::store) enum Value<'a> {
    Integer(Option<i64>),
    Real(Option<f64>),
    Text(Option<&'a str>),
    Blob(Option<&'a [u8]>),
}

impl Value<'_> {
    /// PostgreSQL's name of the kind.
    pub(super) fn kind(&self) -> Type {
        match self {
            Self::Integer(_) => Type::INT8,
            Self::Real(_) => Type::FLOAT8,
            Self::Text(_) => Type::TEXT,
            Self::Blob(_) => Type::BYTEA,
        }
    }
}

impl rusqlite::ToSql for Value<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        let value = match *self {
            Self::Integer(number) => number.map(ValueRef::Integer),
            Self::Real(number) => number.map(ValueRef::Real),
            Self::Text(text) => text.map(|text| ValueRef::Text(text.as_bytes())),
            Self::Blob(bytes) => bytes.map(ValueRef::Blob),
        };
        Ok(ToSqlOutput::Borrowed(value.unwrap_or(ValueRef::Null)))
    }
}

impl ToSql for Value<'_> {
    fn to_sql(&self, kind: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        match self {
            Self::Integer(number) => number.to_sql(kind, out),
            Self::Real(number) => number.to_sql(kind, out),
            Self::Text(text) => text.to_sql(kind, out),
            Self::Blob(bytes) => bytes.to_sql(kind, out),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn to_sql_checked(&self, kind: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        if *kind == self.kind() { ToSql::to_sql(self, kind, out) } else { Err(format!("a parameter of another kind: {kind}").into()) }
    }
}

/// A parameter that waits.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Held {
    Integer(Option<i64>),
    Real(Option<f64>),
    Text(Option<String>),
    Blob(Option<Vec<u8>>),
}

impl From<&Value<'_>> for Held {
    fn from(value: &Value<'_>) -> Self {
        match *value {
            Value::Integer(number) => Self::Integer(number),
            Value::Real(number) => Self::Real(number),
            Value::Text(text) => Self::Text(text.map(str::to_owned)),
            Value::Blob(bytes) => Self::Blob(bytes.map(<[u8]>::to_vec)),
        }
    }
}

impl Held {
    /// Lends it.
    pub(super) fn value(&self) -> Value<'_> {
        match self {
            Self::Integer(number) => Value::Integer(*number),
            Self::Real(number) => Value::Real(*number),
            Self::Text(text) => Value::Text(text.as_deref()),
            Self::Blob(bytes) => Value::Blob(bytes.as_deref()),
        }
    }
}

/// What can be a parameter.
pub(in crate::store) trait AsValue {
    /// As a parameter.
    fn value(&self) -> Value<'_>;
    /// The absent parameter of this kind.
    fn absent() -> Value<'static>
    where
        Self: Sized;
}

macro_rules! as_value {
    ($kind:ident: $($from:ty => |$this:ident| $value:expr),+ $(,)?) => {$(
        impl AsValue for $from {
            fn value(&self) -> Value<'_> {
                let $this = self;
                Value::$kind(Some($value))
            }

            fn absent() -> Value<'static> {
                Value::$kind(None)
            }
        }
    )+};
}

as_value!(Integer: i64 => |this| *this, i32 => |this| i64::from(*this), u32 => |this| i64::from(*this), bool => |this| i64::from(*this));
as_value!(Real: f64 => |this| *this);
as_value!(Text: String => |this| this, &str => |this| this);
as_value!(Blob: Vec<u8> => |this| this, &[u8] => |this| this);

impl<const N: usize> AsValue for [u8; N] {
    fn value(&self) -> Value<'_> {
        Value::Blob(Some(self))
    }

    fn absent() -> Value<'static> {
        Value::Blob(None)
    }
}

impl<T: AsValue> AsValue for &T {
    fn value(&self) -> Value<'_> {
        T::value(self)
    }

    fn absent() -> Value<'static> {
        T::absent()
    }
}

impl<T: AsValue> AsValue for Option<T> {
    fn value(&self) -> Value<'_> {
        match self {
            Some(value) => value.value(),
            None => T::absent(),
        }
    }

    fn absent() -> Value<'static> {
        T::absent()
    }
}

/// Parameters of a statement, in their order.
pub(in crate::store) trait Params {
    /// As values.
    fn values(&self) -> Vec<Value<'_>>;
}

impl Params for () {
    fn values(&self) -> Vec<Value<'_>> {
        Vec::new()
    }
}

impl Params for &[&dyn AsValue] {
    fn values(&self) -> Vec<Value<'_>> {
        self.iter().map(|each| each.value()).collect()
    }
}

impl<T: AsValue, const N: usize> Params for [T; N] {
    fn values(&self) -> Vec<Value<'_>> {
        self.iter().map(AsValue::value).collect()
    }
}

impl<T: AsValue> Params for Vec<T> {
    fn values(&self) -> Vec<Value<'_>> {
        self.iter().map(AsValue::value).collect()
    }
}

impl<A: AsValue, B: AsValue, C: AsValue> Params for (A, B, C) {
    fn values(&self) -> Vec<Value<'_>> {
        vec![self.0.value(), self.1.value(), self.2.value()]
    }
}

/// Parameters of several kinds.
macro_rules! params {
    ($($value:expr),* $(,)?) => {
        &[$(&$value as &dyn $crate::store::sql::value::AsValue),*] as &[&dyn $crate::store::sql::value::AsValue]
    };
}
pub(in crate::store) use params;

/// A column's value, as a row lends it.
#[derive(Debug, Clone, Copy)]
pub(in crate::store) enum Cell<'a> {
    Null,
    Integer(i64),
    Real(f64),
    Text(&'a str),
    Blob(&'a [u8]),
}

impl<'a> Cell<'a> {
    /// Of SQLite; nothing where a text is not UTF-8.
    pub(super) fn of(value: ValueRef<'a>) -> Option<Self> {
        Some(match value {
            ValueRef::Null => Self::Null,
            ValueRef::Integer(number) => Self::Integer(number),
            ValueRef::Real(number) => Self::Real(number),
            ValueRef::Text(text) => Self::Text(std::str::from_utf8(text).ok()?),
            ValueRef::Blob(bytes) => Self::Blob(bytes),
        })
    }
}

impl<'a> FromSql<'a> for Cell<'a> {
    fn from_sql(kind: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(match *kind {
            Type::INT2 => Self::Integer(i16::from_sql(kind, raw)?.into()),
            Type::INT4 => Self::Integer(i32::from_sql(kind, raw)?.into()),
            Type::INT8 => Self::Integer(i64::from_sql(kind, raw)?),
            Type::BOOL => Self::Integer(bool::from_sql(kind, raw)?.into()),
            Type::FLOAT8 => Self::Real(f64::from_sql(kind, raw)?),
            Type::BYTEA => Self::Blob(raw),
            _ => Self::Text(<&str>::from_sql(kind, raw)?),
        })
    }

    fn from_sql_null(_: &Type) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self::Null)
    }

    fn accepts(kind: &Type) -> bool {
        [Type::INT2, Type::INT4, Type::INT8, Type::BOOL, Type::FLOAT8, Type::BYTEA, Type::TEXT, Type::VARCHAR, Type::NAME].contains(kind)
    }
}

/// What a column's value can be read as.
pub(in crate::store) trait FromCell: Sized {
    /// Reads it; nothing when it is of another kind or out of range.
    fn from_cell(cell: Cell<'_>) -> Option<Self>;
}

macro_rules! from_cell {
    ($($to:ty: $pattern:pat => $value:expr),+ $(,)?) => {$(
        impl FromCell for $to {
            fn from_cell(cell: Cell<'_>) -> Option<Self> {
                if let $pattern = cell { $value } else { None }
            }
        }
    )+};
}

from_cell!(
    i64: Cell::Integer(number) => Some(number),
    i32: Cell::Integer(number) => i32::try_from(number).ok(),
    u32: Cell::Integer(number) => u32::try_from(number).ok(),
    bool: Cell::Integer(number @ 0..=1) => Some(number == 1),
    String: Cell::Text(text) => Some(text.to_owned()),
    Vec<u8>: Cell::Blob(bytes) => Some(bytes.to_vec()),
);

impl FromCell for f64 {
    fn from_cell(cell: Cell<'_>) -> Option<Self> {
        match cell {
            Cell::Real(number) => Some(number),
            Cell::Integer(number) => Some(number as Self),
            Cell::Null | Cell::Text(_) | Cell::Blob(_) => None,
        }
    }
}

impl<const N: usize> FromCell for [u8; N] {
    fn from_cell(cell: Cell<'_>) -> Option<Self> {
        if let Cell::Blob(bytes) = cell { bytes.try_into().ok() } else { None }
    }
}

impl<T: FromCell> FromCell for Option<T> {
    fn from_cell(cell: Cell<'_>) -> Option<Self> {
        if let Cell::Null = cell { Some(None) } else { T::from_cell(cell).map(Some) }
    }
}
