//! The key of a second factor as a picture that an app reads: a QR code as SVG, made here and sent to nobody else.

use std::fmt::Write as _;

use qrcode::{Color, EcLevel, QrCode};

/// Light modules around the code, as the standard asks for.
const MARGIN: usize = 4;

/// The address that apps read of a picture (the key URI format of authenticator apps); `key` is base 32.
#[must_use]
pub fn address(name: &str, key: &str) -> String {
    let name: String = form_urlencoded::byte_serialize(name.as_bytes()).collect();
    format!("otpauth://totp/Countersign:{name}?secret={key}&issuer=Countersign&algorithm=SHA1&digits=6&period=30")
}

/// A text as an SVG without style, script or reference; nothing where it is too long. `label` says what it is to those who do not see it.
#[must_use]
pub fn svg(text: &str, label: &str) -> String {
    let Ok(code) = QrCode::with_error_correction_level(text, EcLevel::M) else { return String::new() };
    let width = code.width();
    let mut path = String::new();
    for (place, color) in code.to_colors().into_iter().enumerate() {
        if color == Color::Dark {
            let (x, y) = (place % width + MARGIN, place / width + MARGIN);
            // Writing to a text does not fail.
            let _ = write!(path, "M{x} {y}h1v1h-1z");
        }
    }
    let side = width + 2 * MARGIN;
    let label: String = label.chars().filter(|c| !matches!(c, '"' | '<' | '>' | '&')).collect();
    format!(
        "<svg class=\"qr\" viewBox=\"0 0 {side} {side}\" role=\"img\" aria-label=\"{label}\" shape-rendering=\"crispEdges\"><rect width=\"{side}\" height=\"{side}\" fill=\"#fff\"/><path d=\"{path}\" fill=\"#000\"/></svg>"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_picture_has_three_corners_and_nothing_but_modules() {
        let svg = svg(&address("anna", "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"), "the \"key\"");
        assert!(svg.contains("aria-label=\"the key\"") && !svg.contains("style") && !svg.contains("href"));
        // The upper left corner's first row is seven dark modules, after the margin.
        for x in 4..11 {
            assert!(svg.contains(&format!("M{x} 4h1v1h-1z")), "{x}");
        }
        assert!(!svg.contains("M11 4h1v1h-1z"));
    }

    #[test]
    fn a_name_is_escaped_and_what_is_too_long_is_left_out() {
        assert!(address("a b&c", "K").starts_with("otpauth://totp/Countersign:a+b%26c?secret=K&"));
        assert_eq!(svg(&"x".repeat(10_000), ""), "");
    }
}
