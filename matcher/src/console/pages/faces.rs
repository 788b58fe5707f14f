//! Pictures: for whoever works on the case, and written down before the first byte.

use axum::{
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};

use crate::{
    app::review::faces::Pictured,
    console::door::{Refusal, Visit},
};

/// An enrolment photo.
///
/// # Errors
/// When the case is not theirs, or has no such photo.
pub async fn photo(visit: Visit) -> Result<Response, Refusal> {
    let which = Pictured::Photo(visit.id(1)?);
    picture(visit, which).await
}

/// A capture.
///
/// # Errors
/// When the case is not theirs, or has no such capture.
pub async fn capture(visit: Visit) -> Result<Response, Refusal> {
    let which = Pictured::Capture(visit.id(1)?);
    picture(visit, which).await
}

async fn picture(visit: Visit, which: Pictured) -> Result<Response, Refusal> {
    let address = visit.address.to_string();
    let found = visit.console.review.picture(visit.id(0)?, visit.name(), which, &address).await.map_err(Refusal::Review)?;
    let picture = found.ok_or(Refusal::NotFound)?;
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(picture.content_type)),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; sandbox")),
        (header::CONTENT_DISPOSITION, HeaderValue::from_static("inline")),
    ];
    Ok((headers, picture.bytes).into_response())
}
