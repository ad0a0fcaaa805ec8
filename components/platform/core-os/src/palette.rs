//! Colours of a brand: reading them, and whether text on them can be read. Pure.
//! Source: WCAG 2.2, relative luminance and contrast ratio (success criterion 1.4.3).

use nexus_sdk::prelude::*;

nexus_sdk::refusals! {
    Color = 422, "a colour is written #rrggbb";
    LowContrast = 422, "white text on this colour has a contrast below 4.5:1";
    LogoUnsafe = 422, "a logo is a plain SVG: no scripts, events, styles, links or embedded content"
}

/// The red, green and blue of `#rrggbb`.
pub fn parse(color: &str) -> Option<[u8; 3]> {
    let digits = color.strip_prefix('#')?;
    if digits.len() != 6 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let channel = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).ok();
    Some([channel(0)?, channel(2)?, channel(4)?])
}

/// Contrast ratio against white, 1 to 21.
pub fn contrast_with_white(color: [u8; 3]) -> f64 {
    let linear = |channel: u8| {
        let c = f64::from(channel) / 255.0;
        if c <= 0.04045 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) }
    };
    let [r, g, b] = color.map(linear);
    1.05 / (0.2126 * r + 0.7152 * g + 0.0722 * b + 0.05)
}

/// A colour that white text stands on.
pub fn background(color: &str, field: &str) -> Result<(), Refusal> {
    let rgb = parse(color).ok_or_else(|| Color.at(field))?;
    if contrast_with_white(rgb) >= 4.5 { Ok(()) } else { Err(LowContrast.at(field)) }
}

/// A logo is shown in pages of ours: what could act there is refused, by allowing only the
/// elements and attributes that draw.
pub fn logo(svg: &str) -> Result<(), Refusal> {
    let text = svg.trim();
    let draws = text.starts_with("<svg") && text.ends_with("</svg>") && tags(text).all(is_plain);
    if draws { Ok(()) } else { Err(LogoUnsafe.at("logo_svg")) }
}

const ELEMENTS: &[&str] = &[
    "svg",
    "g",
    "path",
    "rect",
    "circle",
    "ellipse",
    "line",
    "polyline",
    "polygon",
    "text",
    "tspan",
    "title",
    "desc",
    "defs",
    "linearGradient",
    "radialGradient",
    "stop",
];

const ATTRIBUTES: &[&str] = &[
    "xmlns",
    "viewBox",
    "width",
    "height",
    "fill",
    "fill-rule",
    "fill-opacity",
    "stroke",
    "stroke-width",
    "stroke-linecap",
    "stroke-linejoin",
    "stroke-opacity",
    "opacity",
    "d",
    "x",
    "y",
    "x1",
    "x2",
    "y1",
    "y2",
    "cx",
    "cy",
    "r",
    "rx",
    "ry",
    "points",
    "transform",
    "id",
    "role",
    "aria-label",
    "offset",
    "stop-color",
    "stop-opacity",
    "gradientUnits",
    "gradientTransform",
    "font-family",
    "font-size",
    "font-weight",
    "text-anchor",
    "letter-spacing",
];

fn tags(svg: &str) -> impl Iterator<Item = &str> {
    svg.split('<').skip(1)
}

/// `tag` is everything between one `<` and the next.
fn is_plain(tag: &str) -> bool {
    let Some((inside, _text)) = tag.split_once('>') else { return false };
    let inside = inside.strip_suffix('/').unwrap_or(inside).trim();
    if let Some(closed) = inside.strip_prefix('/') {
        return ELEMENTS.contains(&closed);
    }
    let (name, mut rest) = inside.split_once(char::is_whitespace).unwrap_or((inside, ""));
    if !ELEMENTS.contains(&name) {
        return false;
    }
    while !rest.trim().is_empty() {
        let Some((attribute, after)) = rest.trim_start().split_once("=\"") else { return false };
        let Some((value, left)) = after.split_once('"') else { return false };
        let local = !value.contains("url(") || value.starts_with("url(#");
        if !ATTRIBUTES.contains(&attribute) || !local || value.contains('&') {
            return false;
        }
        rest = left;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contrast_is_that_of_wcag() {
        for (color, ratio) in [("#ffffff", 1.0), ("#000000", 21.0), ("#767676", 4.54)] {
            let found = contrast_with_white(parse(color).unwrap());
            assert!((found - ratio).abs() < 0.01, "{color} has {found}");
        }
    }

    #[test]
    fn the_brands_own_colours_carry_white_text_but_its_accent_does_not() {
        assert_eq!(background("#2563eb", "primary_color"), Ok(()));
        assert_eq!(background("#1e40af", "secondary_color"), Ok(()));
        assert_eq!(background("#3b82f6", "x").unwrap_err().name, "LowContrast");
    }

    #[test]
    fn a_colour_is_six_hexadecimal_digits() {
        for wrong in ["2563eb", "#25", "#gggggg", "#2563ebff", "#é0é0", ""] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_drawing_is_a_logo_and_what_could_act_is_not() {
        let plain = "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 9 9\">\
                     <path d=\"M0 0h9\" fill=\"url(#a)\"/><title>N</title></svg>";
        assert_eq!(logo(plain), Ok(()));
        for hostile in [
            "<svg><script>alert(1)</script></svg>",
            "<svg onload=\"alert(1)\"></svg>",
            "<svg><a href=\"javascript:alert(1)\"></a></svg>",
            "<svg><image href=\"https://tracker.test/\"/></svg>",
            "<svg><foreignObject></foreignObject></svg>",
            "<svg><path fill=\"url(https://tracker.test/)\"/></svg>",
            "<svg><path d='M0'/></svg>",
            "<svg><style>*{}</style></svg>",
            "<!DOCTYPE svg><svg></svg>",
            "<svg><path d=\"M0\"",
            "",
        ] {
            assert!(logo(hostile).is_err(), "{hostile}");
        }
    }
}
