//! A QR code as an image that needs nothing but a browser. Pure.

use nexus_sdk::prelude::*;
use qrcode::{Color, EcLevel, QrCode};
use std::fmt::Write as _;

/// ISO/IEC 18004 asks for four modules of white around the code.
const QUIET_MODULES: usize = 4;

/// SVG with one path: dark modules on white, whatever the page's colours are, because cameras need
/// the contrast.
///
/// # Errors
/// Text that no code could hold is our fault.
pub fn svg(text: &str) -> Result<String> {
    let code = QrCode::with_error_correction_level(text, EcLevel::M);
    let code = code.map_err(|why| Failure::msg(format!("draw a QR code: {why}")))?;
    let (width, modules) = (code.width(), code.to_colors());
    let side = width + 2 * QUIET_MODULES;
    let mut path = String::new();
    for (y, row) in modules.chunks(width).enumerate() {
        for (x, module) in row.iter().enumerate() {
            if *module == Color::Dark {
                let (x, y) = (x + QUIET_MODULES, y + QUIET_MODULES);
                write!(path, "M{x} {y}h1v1h-1z").context("write to a string")?;
            }
        }
    }
    Ok(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {side} {side}\" role=\"img\" \
         shape-rendering=\"crispEdges\"><title>QR code</title>\
         <path fill=\"#fff\" d=\"M0 0h{side}v{side}H0z\"/><path d=\"{path}\"/></svg>"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_drawn_with_its_finder_patterns_in_a_quiet_zone() {
        let svg = svg("otpauth://totp/a").unwrap();
        assert!(svg.starts_with("<svg") && svg.ends_with("</svg>"));
        // The corner module of the first finder pattern, and nothing before it.
        assert!(svg.contains("\"M4 4h1v1h-1z"), "{svg}");
        assert!(!svg.contains("M3 "));
    }
}
