//! What pages are made of besides themselves: style, script, typeface, mark. Embedded, so that the
//! surface needs no file and nobody else's server.

use crate::problems;
use http::HeaderValue;
use http::header::CONTENT_TYPE;
use nexus_runtime::{Problem, Response, full};

/// What is under all pages of the suite, then what operators' pages have of their own.
const STYLE: &str = concat!(
    include_str!("../../../../components/web/kit/assets/ground.css"),
    include_str!("assets/style.css")
);
const SCRIPT: &str = include_str!("assets/app.js");
const TYPEFACE: &[u8] = include_bytes!("../../../../components/web/kit/assets/inter-latin.woff2");
const MARK: &str = include_str!("../../../../components/web/kit/assets/mark.svg");

pub(super) fn answer(name: &str) -> Result<Response, Problem> {
    let (kind, body) = match name {
        "style.css" => ("text/css; charset=utf-8", full(STYLE)),
        "app.js" => ("text/javascript; charset=utf-8", full(SCRIPT)),
        "inter-latin.woff2" => ("font/woff2", full(TYPEFACE)),
        "mark.svg" => ("image/svg+xml", full(MARK)),
        _ => return Err(problems::NOT_FOUND),
    };
    let mut response = Response::new(body);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    Ok(response)
}
