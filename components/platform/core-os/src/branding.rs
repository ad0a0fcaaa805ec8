//! The tenant's brand: name, colours, font and logo as JSON, as CSS custom properties and as SVG.
//! Until a tenant sets its own, it wears the platform's.

use crate::{Configure, palette, store};
use nexus_sdk::prelude::*;
use platform_contract::BrandChanged;

nexus_sdk::refusals! {
    BrandName = 422, "a name takes 1 to 60 characters, a tagline at most 160";
    BrandFont = 422, "a font is the name of one family: letters, digits and spaces"
}

pub fn router() -> Router {
    Router::new()
        .route("/branding", get(show).put(set))
        .route("/branding/tokens.css", get(tokens))
        .route("/branding/logo.svg", get(logo))
}

#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Brand {
    pub name: String,
    pub tagline: String,
    /// `#rrggbb`; white text stands on it.
    pub primary_color: String,
    pub secondary_color: String,
    /// For decoration: no text stands on it.
    pub accent_color: String,
    pub font: String,
    pub logo_svg: String,
    #[serde(default)]
    pub version: i64,
}

/// The platform's own logo: the name, in its colours.
const LOGO: &str = "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 220 48\" role=\"img\" \
aria-label=\"Nexus COS\"><defs><linearGradient id=\"n\" x1=\"0\" y1=\"0\" x2=\"1\" y2=\"1\">\
<stop offset=\"0\" stop-color=\"#3b82f6\"/><stop offset=\"1\" stop-color=\"#1e40af\"/>\
</linearGradient></defs><rect x=\"2\" y=\"4\" width=\"40\" height=\"40\" rx=\"11\" \
fill=\"url(#n)\"/><path d=\"M14 34V14l16 20V14\" fill=\"none\" stroke=\"#ffffff\" \
stroke-width=\"4.5\" stroke-linecap=\"round\" stroke-linejoin=\"round\"/><text x=\"54\" y=\"33\" \
font-family=\"Inter, sans-serif\" font-size=\"25\" font-weight=\"700\" fill=\"#2563eb\">Nexus COS\
</text></svg>";

fn platform() -> Brand {
    Brand {
        name: "Nexus COS".into(),
        tagline: "The creative operating system".into(),
        primary_color: "#2563eb".into(),
        secondary_color: "#1e40af".into(),
        accent_color: "#3b82f6".into(),
        font: "Inter".into(),
        logo_svg: LOGO.into(),
        version: 0,
    }
}

async fn current(ctx: &Ctx) -> Result<Brand> {
    Ok(store::brand(ctx.db()).await?.unwrap_or_else(platform))
}

async fn show(anyone: Public) -> Result<Tagged<Json<Brand>>> {
    let brand = current(&anyone).await?;
    Ok(Tagged(Etag::of_version(brand.version), Json(brand)))
}

async fn set(by: Allowed<Configure>, Json(brand): Json<Brand>) -> Result<Json<Brand>> {
    check(&brand)?;
    let version = current(&by).await?.version + 1;
    let brand = Brand { version, ..brand };
    let changed = BrandChanged { name: brand.name.clone(), version };
    by.commit([store::put_brand(&brand, by.now()).expect_rows(1), emit(changed)]).await?;
    Ok(Json(brand))
}

fn check(brand: &Brand) -> Result<(), Refusal> {
    let length = brand.name.trim().chars().count();
    if !(1..=60).contains(&length) {
        return Err(BrandName.at("name"));
    }
    if brand.tagline.chars().count() > 160 {
        return Err(BrandName.at("tagline"));
    }
    palette::background(&brand.primary_color, "primary_color")?;
    palette::background(&brand.secondary_color, "secondary_color")?;
    palette::parse(&brand.accent_color).ok_or_else(|| palette::Color.at("accent_color"))?;
    let family = |c: char| c.is_ascii_alphanumeric() || c == ' ' || c == '-';
    if brand.font.is_empty() || brand.font.len() > 60 || !brand.font.chars().all(family) {
        return Err(BrandFont.at("font"));
    }
    if brand.logo_svg.len() > 32 * 1024 {
        return Err(palette::LogoUnsafe.because("a logo takes at most 32 KiB").at("logo_svg"));
    }
    palette::logo(&brand.logo_svg)
}

/// Custom properties, so that every front end wears the brand without knowing it.
async fn tokens(anyone: Public) -> Result<Tagged<Response>> {
    let brand = current(&anyone).await?;
    let css = format!(
        ":root {{\n  --brand-primary: {};\n  --brand-secondary: {};\n  --brand-accent: {};\n  \
         --brand-font: \"{}\", system-ui, sans-serif;\n}}\n",
        brand.primary_color, brand.secondary_color, brand.accent_color, brand.font
    );
    let headers = [
        (header::CONTENT_TYPE, "text/css; charset=utf-8"),
        (header::CACHE_CONTROL, "public, max-age=60"),
    ];
    Ok(Tagged(Etag::of_version(brand.version), (headers, css).into_response()))
}

async fn logo(anyone: Public) -> Result<Tagged<Response>> {
    let brand = current(&anyone).await?;
    let headers = [
        (header::CONTENT_TYPE, "image/svg+xml"),
        (header::CACHE_CONTROL, "public, max-age=60"),
        // Checked on the way in; this holds even if a check is ever found wanting.
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    Ok(Tagged(Etag::of_version(brand.version), (headers, brand.logo_svg).into_response()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_platforms_own_brand_passes_its_own_checks() {
        assert_eq!(check(&platform()), Ok(()));
    }

    #[test]
    fn a_font_cannot_leave_its_place_in_the_stylesheet() {
        let hostile = Brand { font: "x\"; } body { display: none".into(), ..platform() };
        assert_eq!(check(&hostile).unwrap_err().name, "BrandFont");
    }
}
