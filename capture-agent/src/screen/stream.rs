//! The screen as it changes, and the picture of the camera.
//!
//! Each event is the changed parts of the page, made from the transaction's own events and from how the counter stands. The picture
//! is a frame that acquisition reads anyway: where nobody is being looked at there is none, and the camera is not opened for it.

use std::{convert::Infallible, io, time::Duration};

use axum::{
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use futures_util::stream;
use image::{ExtendedColorType, ImageEncoder, RgbImage, codecs::jpeg::JpegEncoder, imageops};
use models::picture::Picture;

use super::{
    Screen,
    page::{self, Changing},
    settings,
    state::ScreenState,
    view,
};
use crate::camera::Pixels;

/// How often the counter is looked at while somebody is being looked at: that the camera closes is told by no event.
const OFTEN: Duration = Duration::from_millis(100);
/// How often otherwise.
const SELDOM: Duration = Duration::from_secs(1);
const KEEP_ALIVE: Duration = Duration::from_secs(10);
/// Width of the picture shown, in pixels.
const PICTURE_WIDTH: u32 = 640;
const PICTURE_QUALITY: u8 = 75;

pub(super) async fn events(State(screen): State<Screen>, headers: HeaderMap) -> Response {
    let Ok(place) = screen.places.clone().try_acquire_owned() else { return StatusCode::TOO_MANY_REQUESTS.into_response() };
    let (settings, follower) = (settings(&headers), screen.till.follow());
    let begun = (screen, follower, None::<Changing>, place);
    let events = stream::unfold(begun, move |(screen, mut follower, mut last, place)| async move {
        loop {
            let view = screen.view().await;
            let patience = if is_brief(view.state) { OFTEN } else { SELDOM };
            let changing = page::changing(&view, settings).ok()?;
            if last.as_ref() != Some(&changing) {
                let told = Event::default().event("screen").data(serde_json::to_string(&changing).unwrap_or_default());
                last = Some(changing);
                return Some((Ok::<_, Infallible>(told), (screen, follower, last, place)));
            }
            if !follower.wait(patience).await {
                return None;
            }
        }
    });
    Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response()
}

fn is_brief(state: ScreenState) -> bool {
    state.is_guidance() || matches!(state, ScreenState::Starting | ScreenState::Comparing | ScreenState::ChipReading)
}

pub(super) async fn picture(State(screen): State<Screen>) -> Response {
    let looked_at = screen.till.shown().is_some_and(|shown| view::seeks_face(&shown));
    let frame = if looked_at { screen.till.verifier().camera().glimpse() } else { None };
    let Some(pixels) = frame else { return StatusCode::NO_CONTENT.into_response() };
    match tokio::task::spawn_blocking(move || jpeg(pixels)).await {
        Ok(Some(jpeg)) => ([(header::CONTENT_TYPE, HeaderValue::from_static("image/jpeg"))], jpeg).into_response(),
        Ok(None) | Err(_) => StatusCode::NO_CONTENT.into_response(),
    }
}

fn jpeg(pixels: Pixels) -> Option<Vec<u8>> {
    smaller(&pixels.picture().ok()?).ok()
}

fn smaller(picture: &Picture) -> io::Result<Vec<u8>> {
    let (width, height) = (picture.width(), picture.height());
    let whole = RgbImage::from_raw(width, height, picture.pixels().to_vec()).ok_or(io::ErrorKind::InvalidData)?;
    let shown = if width > PICTURE_WIDTH {
        let height = (u64::from(height) * u64::from(PICTURE_WIDTH) / u64::from(width)).max(1);
        imageops::thumbnail(&whole, PICTURE_WIDTH, u32::try_from(height).unwrap_or(PICTURE_WIDTH))
    } else {
        whole
    };
    let mut jpeg = Vec::new();
    JpegEncoder::new_with_quality(&mut jpeg, PICTURE_QUALITY)
        .write_image(shown.as_raw(), shown.width(), shown.height(), ExtendedColorType::Rgb8)
        .map_err(io::Error::other)?;
    Ok(jpeg)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_is_shown_no_larger_than_the_page_needs() {
        let picture = Picture::from_rgb8(1_280, 720, vec![90; 1_280 * 720 * 3]).unwrap();
        let shown = Picture::decode(&smaller(&picture).unwrap()).unwrap();
        assert_eq!((shown.width(), shown.height()), (640, 360));
        let small = Picture::from_rgb8(64, 48, vec![90; 64 * 48 * 3]).unwrap();
        assert_eq!(Picture::decode(&smaller(&small).unwrap()).unwrap().width(), 64);
    }
}
