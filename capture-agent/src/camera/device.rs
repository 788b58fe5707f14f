//! Cameras of this machine, through `nokhwa`.
//!
//! Its `Camera` stays on the thread that opened it and its `frame` may block for ever; the watchdog is one
//! level up, in [`Session`](super::Session). MJPEG is decoded by `models` like every other JPEG.

use std::{
    hash::{DefaultHasher, Hasher},
    sync::Arc,
};

use capture_core::Fingerprint;
use nokhwa::{
    Buffer, Camera, NokhwaError, query,
    utils::{ApiBackend, CameraFormat, CameraIndex, CameraInfo, FrameFormat, RequestedFormat, RequestedFormatType, Resolution},
};
use serde::Serialize;

use super::{CameraError, Grabbed, Grabber, Pixels, Source, Stop};
use crate::config::CameraConfig;

/// Formats we can turn into a picture.
const FORMATS: [FrameFormat; 6] =
    [FrameFormat::MJPEG, FrameFormat::YUYV, FrameFormat::NV12, FrameFormat::RAWRGB, FrameFormat::RAWBGR, FrameFormat::GRAY];

/// A camera the operating system lists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Listed {
    /// The number to put in `camera.device`.
    pub device: u32,
    /// What it calls itself.
    pub name: String,
    /// What the system says about it.
    pub description: String,
}

/// The cameras of this machine; none is no error.
///
/// # Errors
/// When the operating system cannot be asked.
pub fn list() -> Result<Vec<Listed>, CameraError> {
    let found = query(ApiBackend::Auto).map_err(|error| CameraError::Failed(error.to_string()))?;
    let mut listed: Vec<Listed> = found.iter().filter_map(listed).collect();
    listed.sort_by_key(|camera| camera.device);
    Ok(listed)
}

fn listed(info: &CameraInfo) -> Option<Listed> {
    let device = info.index().as_index().ok()?;
    Some(Listed { device, name: info.human_name(), description: info.description().to_owned() })
}

/// One camera of this machine.
#[derive(Debug, Clone)]
pub struct Device {
    index: u32,
    resolution: Resolution,
    rate_fps: u32,
}

impl Device {
    /// The device the configuration names.
    #[must_use]
    pub fn from_config(config: &CameraConfig) -> Self {
        Self { index: config.device, resolution: Resolution::new(config.width_px, config.height_px), rate_fps: config.rate_fps }
    }

    /// The nearest format the device offers: compressed first, since only that reaches full rate over USB 2.
    fn open_nearest(&self) -> Result<Camera, NokhwaError> {
        let closest = |format| RequestedFormatType::Closest(CameraFormat::new(self.resolution, format, self.rate_fps));
        let wishes = [closest(FrameFormat::MJPEG), closest(FrameFormat::YUYV), RequestedFormatType::AbsoluteHighestFrameRate];
        let mut failure = NokhwaError::GeneralError("it offers no format".into());
        for wish in wishes {
            match Camera::new(CameraIndex::Index(self.index), RequestedFormat::with_formats(wish, &FORMATS)) {
                Ok(camera) => return Ok(camera),
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }
}

impl Source for Device {
    fn open(&self) -> Result<Box<dyn Grabber>, CameraError> {
        let listed = list()?;
        if listed.is_empty() {
            return Err(CameraError::Absent("this machine lists none; connect one".into()));
        }
        if !listed.iter().any(|camera| camera.device == self.index) {
            let numbers: Vec<String> = listed.iter().map(|camera| camera.device.to_string()).collect();
            return Err(CameraError::Absent(format!("device {} is not among those of this machine ({})", self.index, numbers.join(", "))));
        }
        let mut camera = self.open_nearest().map_err(|error| refused(&error))?;
        camera.open_stream().map_err(|error| refused(&error))?;
        Ok(Box::new(Opened(camera)))
    }
}

/// The system says "busy" (EBUSY and its relatives) only in words.
fn refused(error: &NokhwaError) -> CameraError {
    let text = error.to_string();
    if text.to_lowercase().contains("busy") { CameraError::Busy } else { CameraError::Failed(text) }
}

struct Opened(Camera);

impl Grabber for Opened {
    fn grab(&mut self, _stop: &Stop) -> Result<Grabbed, CameraError> {
        let buffer = self.0.frame().map_err(|error| CameraError::Lost(error.to_string()))?;
        let mut hasher = DefaultHasher::new();
        hasher.write(buffer.buffer());
        Ok(Grabbed { fingerprint: Fingerprint(hasher.finish()), pixels: pixels(&buffer), stands_in: false })
    }
}

fn pixels(buffer: &Buffer) -> Pixels {
    let (width, height, bytes) = (buffer.resolution().width(), buffer.resolution().height(), buffer.buffer());
    match buffer.source_frame_format() {
        FrameFormat::MJPEG => Pixels::Encoded(Arc::from(bytes)),
        FrameFormat::YUYV => Pixels::Yuyv(width, height, bytes.to_vec()),
        FrameFormat::NV12 => Pixels::Nv12(width, height, bytes.to_vec()),
        FrameFormat::GRAY => Pixels::Grey8(width, height, bytes.to_vec()),
        FrameFormat::RAWRGB => Pixels::Rgb8(width, height, bytes.to_vec()),
        FrameFormat::RAWBGR => Pixels::Bgr8(width, height, bytes.to_vec()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_that_is_not_there_is_absent_and_not_a_panic() {
        let device = Device { index: 9_999, resolution: Resolution::new(640, 480), rate_fps: 30 };
        assert!(matches!(device.open().err(), Some(CameraError::Absent(_))));
    }

    #[test]
    fn busy_is_told_from_failed() {
        assert_eq!(refused(&NokhwaError::OpenStreamError("Device or resource busy (os error 16)".into())), CameraError::Busy);
        assert!(matches!(refused(&NokhwaError::OpenStreamError("no".into())), CameraError::Failed(_)));
    }

    #[test]
    fn formats_keep_their_size_and_bytes() {
        let buffer = Buffer::new(Resolution::new(2, 1), &[16, 128, 235, 128], FrameFormat::YUYV);
        assert!(matches!(pixels(&buffer), Pixels::Yuyv(2, 1, bytes) if bytes == [16, 128, 235, 128]));
    }
}
