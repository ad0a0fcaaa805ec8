//! The header fields of tus: what a client asks, and what it is told. Pure.

use crate::domain::{
    Kind, LengthMissing, OffsetMissing, PartialUnknown, ProtocolVersion, State, UPLOAD_BYTES_MAX,
    Upload,
};
use crate::hash::{ALGORITHMS, Checksum};
use media_contract::UploadId;
use nexus_sdk::axum::http::HeaderValue;
use nexus_sdk::prelude::*;

const VERSION: &str = "1.0.0";
const EXTENSIONS: &str = "creation,creation-with-upload,creation-defer-length,expiration,checksum,\
                          termination,concatenation";
/// Fields of an answer that a page of another origin may read.
const EXPOSED: &str = "etag, link, location, retry-after, x-request-id, tus-resumable, \
                       tus-version, tus-extension, tus-max-size, tus-checksum-algorithm, \
                       upload-offset, upload-length, upload-defer-length, upload-metadata, \
                       upload-concat, upload-expires";
/// Pieces of one final upload; a client sends a handful side by side.
const PARTIALS_MAX: usize = 64;

/// What a request says.
pub struct Asked<'h> {
    pub length: Option<i64>,
    pub defers: bool,
    pub offset: Option<i64>,
    pub metadata: Option<&'h str>,
    pub concat: Option<&'h str>,
    /// Its body belongs to the upload.
    pub brings_bytes: bool,
    pub content_length: Option<u64>,
    checksum: Option<&'h str>,
}

impl<'h> Asked<'h> {
    /// Reads a request of this version of the protocol.
    pub fn of(headers: &'h HeaderMap) -> Result<Asked<'h>, Refusal> {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        if text("tus-resumable") != Some(VERSION) {
            return Err(ProtocolVersion);
        }
        let media_type = text("content-type").unwrap_or_default().to_ascii_lowercase();
        let defers = match text("upload-defer-length") {
            None => false,
            Some("1") => true,
            Some(_) => return Err(LengthMissing),
        };
        Ok(Asked {
            length: number(text("upload-length"), LengthMissing)?,
            defers,
            offset: number(text("upload-offset"), OffsetMissing)?,
            metadata: text("upload-metadata"),
            concat: text("upload-concat"),
            brings_bytes: media_type == "application/offset+octet-stream",
            content_length: text("content-length").and_then(|length| length.parse().ok()),
            checksum: text("upload-checksum"),
        })
    }

    pub fn checksum(&self) -> Result<Option<Checksum>, Refusal> {
        self.checksum.map(Checksum::parse).transpose()
    }
}

/// Digits only: `+5`, `-0` and ` 5` are no numbers here.
fn number(text: Option<&str>, wrong: Refusal) -> Result<Option<i64>, Refusal> {
    let Some(text) = text else {
        return Ok(None);
    };
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse().ok().filter(|_| digits);
    number.map(Some).ok_or(wrong)
}

/// What `upload-concat` says: `partial`, or `final;` and the pieces' paths or URLs.
pub fn concat(field: Option<&str>) -> Result<(Kind, Vec<UploadId>), Refusal> {
    let list = match field {
        None => return Ok((Kind::Whole, Vec::new())),
        Some("partial") => return Ok((Kind::Partial, Vec::new())),
        Some(field) => field.strip_prefix("final;").ok_or(PartialUnknown)?,
    };
    let id = |url: &str| url.rsplit('/').next().and_then(|id| id.parse().ok());
    let ids: Option<Vec<UploadId>> = list.split_ascii_whitespace().map(id).collect();
    let mut ids = ids.ok_or(PartialUnknown)?;
    let named = ids.len();
    let kept = ids.clone();
    ids.sort_unstable();
    ids.dedup();
    // Each piece goes into the whole once: afterwards it is gone.
    if ids.len() < named || !(1..=PARTIALS_MAX).contains(&named) {
        return Err(PartialUnknown);
    }
    Ok((Kind::Final, kept))
}

/// Completes an answer of the protocol, whichever it is.
pub fn answer(asked: &HeaderMap, result: Result<Response>) -> Response {
    let outdated = result.as_ref().is_err_and(|error| error.is(&ProtocolVersion));
    let mut response = result.unwrap_or_else(IntoResponse::into_response);
    set(&mut response, "tus-resumable", VERSION);
    if outdated {
        set(&mut response, "tus-version", VERSION);
    }
    open_to_pages(asked, &mut response);
    response
}

/// Lets a page of another origin read these fields too. A page may only send `tus-resumable` after
/// the host has answered its preflight, which it does for the origins that an operator allows: so
/// whoever has sent it was allowed.
fn open_to_pages(asked: &HeaderMap, response: &mut Response) {
    let (Some(origin), true) = (asked.get("origin"), asked.contains_key("tus-resumable")) else {
        return;
    };
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED));
}

fn set(response: &mut Response, name: &'static str, value: &str) {
    // Ours, or taken from a header: always fit for one.
    if let Ok(value) = HeaderValue::try_from(value) {
        response.headers_mut().insert(name, value);
    }
}

fn empty(status: StatusCode) -> Response {
    let mut response = status.into_response();
    set(&mut response, "cache-control", "no-store");
    response
}

/// What is spoken here.
pub fn capabilities(asked: &HeaderMap) -> Response {
    let mut response = empty(StatusCode::NO_CONTENT);
    set(&mut response, "tus-resumable", VERSION);
    set(&mut response, "tus-version", VERSION);
    set(&mut response, "tus-extension", EXTENSIONS);
    set(&mut response, "tus-max-size", &UPLOAD_BYTES_MAX.to_string());
    set(&mut response, "tus-checksum-algorithm", ALGORITHMS);
    open_to_pages(asked, &mut response);
    response
}

fn set_expiry(response: &mut Response, upload: &Upload) {
    if let (State::Receiving, Some(expires)) = (upload.state, upload.expires_at) {
        set(response, "upload-expires", &httpdate::fmt_http_date(expires.into()));
    }
}

/// 201: where the upload is, and how far if bytes came along.
pub fn created(upload: &Upload, with_bytes: bool) -> Response {
    let mut response = empty(StatusCode::CREATED);
    set(&mut response, "location", &format!("/files/{}", upload.id));
    if with_bytes {
        set(&mut response, "upload-offset", &upload.received.to_string());
    }
    set_expiry(&mut response, upload);
    response
}

/// 204: how far the upload is now.
pub fn appended(upload: &Upload) -> Response {
    let mut response = empty(StatusCode::NO_CONTENT);
    set(&mut response, "upload-offset", &upload.received.to_string());
    set_expiry(&mut response, upload);
    response
}

/// The answer to HEAD.
pub fn standing(upload: &Upload) -> Response {
    let mut response = empty(StatusCode::OK);
    match upload.length {
        Some(length) => set(&mut response, "upload-length", &length.to_string()),
        None => set(&mut response, "upload-defer-length", "1"),
    }
    // While a final upload is joined it has no offset that would mean something to a client.
    if upload.kind != Kind::Final || upload.state == State::Completed {
        set(&mut response, "upload-offset", &upload.received.to_string());
    }
    if !upload.metadata_line.is_empty() {
        set(&mut response, "upload-metadata", &upload.metadata_line);
    }
    let paths = || upload.partials.iter().map(|id| format!("/files/{id}")).collect::<Vec<_>>();
    match upload.kind {
        Kind::Whole => {}
        Kind::Partial => set(&mut response, "upload-concat", "partial"),
        Kind::Final => {
            set(&mut response, "upload-concat", &format!("final;{}", paths().join(" ")));
        }
    }
    set_expiry(&mut response, upload);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &'static str)| {
            (name.parse().unwrap(), HeaderValue::from_static(value))
        };
        fields.iter().map(pair).collect()
    }

    #[test]
    fn another_version_of_the_protocol_is_told_which_is_spoken() {
        for fields in [&[][..], &[("tus-resumable", "0.2.2")]] {
            let headers = asked(fields);
            let error = Asked::of(&headers).err().unwrap();
            let response = answer(&headers, Err(error.into()));
            assert_eq!(response.status(), 412);
            assert_eq!(response.headers()["tus-version"], VERSION);
        }
    }

    #[test]
    fn an_offset_or_a_length_is_digits_and_nothing_else() {
        for odd in ["", "-1", "+1", "1 ", "0x1", "9223372036854775808", "1.0"] {
            let headers = HeaderMap::from_iter([
                ("tus-resumable".parse().unwrap(), HeaderValue::from_static(VERSION)),
                ("upload-offset".parse().unwrap(), HeaderValue::from_str(odd).unwrap()),
            ]);
            assert!(Asked::of(&headers).is_err(), "{odd:?}");
        }
        let headers = asked(&[("tus-resumable", VERSION), ("upload-offset", "007")]);
        assert_eq!(Asked::of(&headers).unwrap().offset, Some(7));
    }

    #[test]
    fn pieces_are_named_by_paths_or_urls_once_each() {
        let (one, two) =
            ("01890a5d-ac96-774b-bcce-b302099a8057", "01890a5d-ac96-774b-bcce-b302099a8058");
        let line = format!("final;/files/{two} https://nexus.example/files/{one}");
        let (kind, ids) = concat(Some(&line)).unwrap();
        assert_eq!(kind, Kind::Final);
        assert_eq!(ids.iter().map(ToString::to_string).collect::<Vec<_>>(), [two, one]);
        for odd in ["final", "final;", "final;/files/x", "Partial"] {
            assert!(concat(Some(odd)).is_err(), "{odd:?}");
        }
        assert!(concat(Some(&format!("final;/files/{one} /files/{one}"))).is_err());
    }

    #[test]
    fn only_a_page_that_was_let_in_reads_the_answer() {
        let page = ("origin", "https://app.example");
        let answered =
            answer(&asked(&[page, ("tus-resumable", VERSION)]), Ok(empty(StatusCode::OK)));
        assert_eq!(answered.headers()["access-control-allow-origin"], "https://app.example");
        assert!(
            answered.headers()["access-control-expose-headers"]
                .to_str()
                .unwrap()
                .contains("upload-offset")
        );
        let simple = answer(&asked(&[page]), Ok(empty(StatusCode::OK)));
        assert!(!simple.headers().contains_key("access-control-allow-origin"));
    }
}
