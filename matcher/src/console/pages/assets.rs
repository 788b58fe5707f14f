//! The stylesheet, the script and the icon: part of the program, so that nothing comes from elsewhere.

use axum::{
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};

use crate::console::door::{Refusal, Visit};

const STYLE: &str = include_str!("../../../static/console.css");
const SCRIPT: &str = include_str!("../../../static/console.js");
const ICON: &str = include_str!("../../../static/icon.svg");

/// The stylesheet.
///
/// # Errors
/// None.
pub async fn style(_: Visit) -> Result<Response, Refusal> {
    Ok(asset("text/css; charset=utf-8", STYLE))
}

/// The script.
///
/// # Errors
/// None.
pub async fn script(_: Visit) -> Result<Response, Refusal> {
    Ok(asset("text/javascript; charset=utf-8", SCRIPT))
}

/// The icon.
///
/// # Errors
/// None.
pub async fn icon(_: Visit) -> Result<Response, Refusal> {
    Ok(asset("image/svg+xml", ICON))
}

fn asset(kind: &'static str, text: &'static str) -> Response {
    let headers =
        [(header::CONTENT_TYPE, HeaderValue::from_static(kind)), (header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=300"))];
    (headers, text).into_response()
}
