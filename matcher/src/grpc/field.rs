//! A field of a message that is not what it should be.

use std::fmt;

use thiserror::Error;

/// A field's value is out of order. The value itself is not in the message: it may be a person's.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{field}: expected {expected}")]
pub struct FieldError {
    /// Path of the field, as in the `.proto` files.
    pub field: String,
    /// What was expected of it.
    pub expected: String,
}

/// Refuses a field.
pub(super) fn wrong(field: impl Into<String>, expected: impl Into<String>) -> FieldError {
    FieldError { field: field.into(), expected: expected.into() }
}

/// A text of at most `max` characters, without control characters.
pub(super) fn text(field: &str, value: String, max: usize) -> Result<String, FieldError> {
    let count = value.chars().count();
    if count > max {
        Err(wrong(field, format!("at most {max} characters, got {count}")))
    } else if value.chars().any(char::is_control) {
        Err(wrong(field, "text without control characters"))
    } else {
        Ok(value)
    }
}

/// 1 to 64 printable ASCII characters.
pub(super) fn name(field: &str, value: String) -> Result<String, FieldError> {
    let fits = (1..=64).contains(&value.len()) && value.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
    if fits { Ok(value) } else { Err(wrong(field, "1 to 64 printable ASCII characters")) }
}

/// A number from 0 to 1.
pub(super) fn share(field: &str, value: f32) -> Result<f32, FieldError> {
    if (0.0..=1.0).contains(&value) { Ok(value) } else { Err(wrong(field, "a number from 0 to 1")) }
}

/// Exactly `N` finite numbers.
pub(super) fn numbers<const N: usize>(field: &str, values: &[f32]) -> Result<[f32; N], FieldError> {
    let array = <[f32; N]>::try_from(values).map_err(|_| wrong(field, format!("{N} numbers, got {}", values.len())))?;
    if array.iter().all(|x| x.is_finite()) { Ok(array) } else { Err(wrong(field, "finite numbers")) }
}

/// An enumeration's value that is known and not zero.
pub(super) fn known<T: TryFrom<i32>>(field: &str, value: i32, known: impl fmt::Display) -> Result<T, FieldError> {
    T::try_from(value).map_err(|_| wrong(field, format!("one of {known}, got number {value}")))
}
