//! The origin of finished media: segments and pictures below `/media/`, read from the object store,
//! kept in memory, and sent to whoever shows a playback token for the package. Refuses to know who
//! may have such a token, what a playlist says, and where objects lie.
//!
//! Packages are immutable, so an answer is good for ever; the token is no part of any cache's key.

mod ranges;
mod shelf;
mod token;

pub use token::{KEY_BYTES, Playback};

use crate::identities::Identities;
use crate::problems;
use crate::refusal::Refusal;
use async_trait::async_trait;
use futures::stream::BoxStream;
use futures::{StreamExt as _, TryStreamExt as _};
use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderMap,
    HeaderValue,
};
use http::request::Parts;
use http::{Method, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use nexus_runtime::{Response, full};
use ranges::Asked;
use shelf::{Item, Shelf};
use std::ops::Range;
use std::sync::{Arc, OnceLock};
use token::{Key, Refused};
use uuid::Uuid;
use wasmtime_wasi_http::Error as BodyError;

/// What comes before a package's id in a path.
pub(crate) const PREFIX: &str = "/media/";

/// The bytes of an object as they arrive; an error ends them early.
pub type Bytes = BoxStream<'static, Result<bytes::Bytes, PackagesAway>>;

/// The store cannot be read now; the words are for the log.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the object store does not answer: {0}")]
pub struct PackagesAway(pub String);

/// An object that is being read.
pub struct Opened {
    /// Bytes of the whole object.
    pub size: u64,
    /// Opaque, without quotes.
    pub etag: String,
    pub body: Bytes,
}

/// Where packages lie.
#[async_trait]
pub trait Packages: Send + Sync + 'static {
    /// Begins to read `packages/<package>/…`, all of it or one range; None when it is not there.
    ///
    /// # Errors
    ///
    /// When the store does not answer.
    async fn open(
        &self,
        key: &str,
        range: Option<Range<u64>>,
    ) -> Result<Option<Opened>, PackagesAway>;
}

/// The origin of one host; clones share it.
#[derive(Clone)]
pub struct MediaOrigin(Arc<Inner>);

struct Inner {
    key: Key,
    packages: OnceLock<Arc<dyn Packages>>,
    shelf: Shelf,
}

impl MediaOrigin {
    /// An origin that believes tokens made with `key` and keeps `memory` bytes of objects.
    pub fn new(key: [u8; KEY_BYTES], memory: u64) -> Self {
        let shelf = Shelf::new(memory);
        let key = Key::new(&key);
        Self(Arc::new(Inner { key, packages: OnceLock::new(), shelf }))
    }

    /// Says where packages lie; until then nothing is found. The first word counts.
    pub fn read_from(&self, packages: Arc<dyn Packages>) {
        let _known = self.0.packages.set(packages);
    }

    /// Answers a request below [`PREFIX`].
    pub(crate) async fn answer(
        &self,
        parts: &Parts,
        identities: &Identities,
    ) -> Result<Response, Refusal> {
        let file = File::of(parts.uri.path()).ok_or(problems::NO_ROUTE)?;
        if !matches!(parts.method, Method::GET | Method::HEAD) {
            return Err(problems::METHOD_NOT_ALLOWED.into());
        }
        self.admit(parts.uri.query().unwrap_or_default(), &file, identities)?;
        let packages = self.0.packages.get().ok_or(problems::MEDIA_AWAY)?;
        let key = parts.uri.path().strip_prefix('/').unwrap_or_default();
        let key = format!("packages/{}", key.strip_prefix("media/").unwrap_or_default());
        let item = self.0.shelf.get(&key, packages.as_ref()).await.map_err(away)?;
        let item = item.ok_or(problems::NO_ROUTE)?;
        let mut response = send(packages.as_ref(), &key, &item, &parts.headers).await?;
        describe(response.headers_mut(), file.media_type, &item);
        Ok(response)
    }

    fn admit(&self, query: &str, file: &File, identities: &Identities) -> Result<(), Refusal> {
        let denied = |why: Refused| problems::PLAYBACK_DENIED.detail(why.to_string());
        let shown = query.split('&').find_map(|pair| pair.strip_prefix("t="));
        let shown = shown.ok_or(Refused::Missing).map_err(denied)?;
        let playback = Playback::read(shown, &self.0.key, identities.0.now()).map_err(denied)?;
        if playback.package != file.package {
            return Err(denied(Refused::Package).into());
        }
        if file.height.is_some_and(|height| height > playback.height_max) {
            return Err(denied(Refused::Height).into());
        }
        if identities.0.has_ended(playback.tenant, playback.session) {
            return Err(denied(Refused::Ended).into());
        }
        Ok(())
    }
}

/// A file of a package, by its path.
#[derive(Debug, PartialEq, Eq)]
struct File {
    package: Uuid,
    /// Of a video track, in lines.
    height: Option<u16>,
    media_type: &'static str,
}

impl File {
    /// None for a path that no package has, so that nothing else of the store can be named.
    fn of(path: &str) -> Option<Self> {
        let mut rest = path.strip_prefix(PREFIX)?.split('/');
        let (package, folder, name) = (rest.next()?, rest.next()?, rest.next()?);
        // Only as it is written: another spelling would be another cache's entry.
        let lower = !package.bytes().any(|byte| byte.is_ascii_uppercase());
        let id = Uuid::try_parse(package).ok().filter(|_| lower && package.len() == 36)?;
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        let (stem, extension) = name.rsplit_once('.')?;
        if rest.next().is_some() || stem.is_empty() || !stem.bytes().all(plain) {
            return None;
        }
        let number = |digits: &str| digits.parse::<u16>().ok().filter(|_| !digits.starts_with('0'));
        let (height, media_type) = match (folder.split_at_checked(1)?, extension) {
            // `f` is a track made to be there early, `v` one of the ladder.
            (("v" | "f", lines), "m4s" | "mp4") => (Some(number(lines)?), "video/mp4"),
            (("a", index), "m4s" | "mp4") if index.bytes().all(|it| it.is_ascii_digit()) => {
                (None, "audio/mp4")
            }
            _ => (None, picture_or_text(folder, extension)?),
        };
        Some(Self { package: id, height, media_type })
    }
}

fn picture_or_text(folder: &str, extension: &str) -> Option<&'static str> {
    match (folder, extension) {
        ("images", "jpg") => Some("image/jpeg"),
        ("images", "webp") => Some("image/webp"),
        ("images", "png") => Some("image/png"),
        ("text", "vtt") => Some("text/vtt; charset=utf-8"),
        _ => None,
    }
}

fn away(error: PackagesAway) -> Refusal {
    tracing::warn!(%error, "a segment could not be read");
    problems::MEDIA_AWAY.into()
}

async fn send(
    packages: &dyn Packages,
    key: &str,
    item: &Item,
    headers: &HeaderMap,
) -> Result<Response, Refusal> {
    let range = match ranges::asked(headers, item.size, &item.etag) {
        Asked::Known => return Ok(empty(StatusCode::NOT_MODIFIED)),
        Asked::Nothing => {
            let there = number(format!("bytes */{}", item.size));
            let refusal = Refusal::from(problems::RANGE_NOT_SATISFIABLE);
            return Err(refusal.with(CONTENT_RANGE, there));
        }
        Asked::Whole => 0..item.size,
        Asked::Part(range) => range,
    };
    let whole = range == (0..item.size);
    let length = range.end - range.start;
    let described = || format!("bytes {}-{}/{}", range.start, range.end - 1, item.size);
    let described = (!whole).then(described);
    let body = match &item.bytes {
        // Both ends are within the bytes, which are as many as `size`.
        Some(bytes) => full(bytes.slice(range.start as usize..range.end as usize)),
        None => {
            let opened = packages.open(key, (!whole).then_some(range)).await.map_err(away)?;
            let body = opened.ok_or(problems::NO_ROUTE)?.body;
            let frames = body.map_ok(Frame::data).map_err(cut_off);
            StreamBody::new(frames.boxed()).boxed_unsync()
        }
    };
    let mut response = http::Response::new(body);
    response.headers_mut().insert(CONTENT_LENGTH, length.into());
    if let Some(described) = described {
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
        response.headers_mut().insert(CONTENT_RANGE, number(described));
    }
    Ok(response)
}

fn cut_off(error: PackagesAway) -> BodyError {
    tracing::warn!(%error, "a segment broke off");
    BodyError::InternalError(Some(error.to_string()))
}

fn empty(status: StatusCode) -> Response {
    let mut response = http::Response::new(full(""));
    *response.status_mut() = status;
    response
}

fn number(text: String) -> HeaderValue {
    HeaderValue::try_from(text).expect("digits are visible ASCII")
}

fn describe(headers: &mut HeaderMap, media_type: &'static str, item: &Item) {
    if let Some(quoted) = &item.quoted {
        headers.insert(ETAG, quoted.clone());
    }
    headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static(media_type));
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    let good_for_ever = HeaderValue::from_static("public, max-age=31536000, immutable");
    headers.entry(CACHE_CONTROL).or_insert(good_for_ever);
}

#[cfg(test)]
#[path = "media/media_tests.rs"]
mod tests;
