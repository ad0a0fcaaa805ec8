//! A film's poster at an address that stays, for pages that should not wait for one.

use crate::prelude::*;
use nexus_sdk::prelude::*;

pub fn router() -> Router {
    Router::new().route("/creator/posters/{id}", get(show))
}

/// What `thumbnailer` gives: an address that is good for everybody.
#[derive(Deserialize)]
struct Link {
    url: String,
}

/// While there is none: nothing that is drawn, so that what lies below is seen.
const NOTHING: &str = r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 9"/>"#;

/// Points of a side, by a word.
fn size(word: &str) -> (i32, i32) {
    match word {
        "large" => (1280, 720),
        // As titles show it, so that it is made once.
        _ => (640, 360),
    }
}

async fn show(visitor: Visitor, Path(id): Path<Uuid>) -> Answer {
    visitor.signed_in()?;
    let (width, height) = size(visitor.query("size"));
    let wanted = json!({ "width": width, "height": height, "fit": "cover" });
    let asked = call("thumbnailer").post(format!("/api/thumbnailer/v1/items/{id}/links"));
    let link: Option<Link> = visitor.want(asked.json(&wanted)).await?;
    Ok(match link.as_ref().and_then(|link| path_of(&link.url)) {
        // Another poster may be chosen; within a page it is asked for once.
        Some(path) => {
            let kept = [(header::LOCATION, path), (header::CACHE_CONTROL, "private, max-age=20")];
            (StatusCode::FOUND, kept).into_response()
        }
        None => {
            let fields =
                [(header::CONTENT_TYPE, "image/svg+xml"), (header::CACHE_CONTROL, "no-store")];
            (fields, NOTHING).into_response()
        }
    })
}

/// An address without its origin: the page's policy allows our own only, whichever name it has.
fn path_of(url: &str) -> Option<&str> {
    let (_, after) = url.split_once("://")?;
    after.find('/').map(|slash| &after[slash..])
}

#[test]
fn an_address_is_led_to_by_its_path() {
    assert_eq!(path_of("https://nexus.example/api/x?w=1"), Some("/api/x?w=1"));
    assert_eq!(path_of("/api/x"), None);
}
