//! Heads as `nexus:http` writes them: parts in turn, each after its length in four bytes.
//!
//! Knows how they are written and read. Refuses to know who sends them where.

use std::ops::Range;

use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method};
#[cfg(any(test, target_arch = "wasm32"))]
use axum::http::{Request, Uri};

use crate::field;

/// Fields for which there is room from the start: the host's own, and a program's.
const FIELDS: usize = 12;

/// What a field of an answer takes, mostly; to count is more than to grow now and then.
#[cfg(any(test, target_arch = "wasm32"))]
const FIELD_BYTES: usize = 64;

/// Reads what the host has written as the head of `request`, and returns its body; None where it is
/// no request, which the host sends nobody.
#[cfg(any(test, target_arch = "wasm32"))]
pub(crate) fn read_request<B>(
    head_bytes: u32,
    piece: Vec<u8>,
    request: &mut Request<B>,
) -> Option<Bytes> {
    let mut head = Bytes::from(piece);
    let end = usize::try_from(head_bytes).ok().filter(|end| *end <= head.len())?;
    let body = head.split_off(end);
    let mut at = 0;
    *request.method_mut() = Method::from_bytes(&head[part(&head, &mut at)?]).ok()?;
    *request.uri_mut() = Uri::from_maybe_shared(head.slice(part(&head, &mut at)?)).ok()?;
    *request.headers_mut() = read(&head, at)?;
    Some(body)
}

/// A request as the host reads it: how many bytes the head has, then head and body.
pub(crate) fn piece(
    method: &Method,
    target: &str,
    headers: &HeaderMap,
    body: &[u8],
) -> (u32, Vec<u8>) {
    let begin = [method.as_str(), target];
    let bytes = bytes_of(headers) + begin.iter().map(|part| 4 + part.len()).sum::<usize>();
    let mut all = Vec::with_capacity(bytes + body.len());
    for part in begin {
        put(&mut all, part.as_bytes());
    }
    put_fields(&mut all, headers);
    all.extend_from_slice(body);
    (u32::try_from(bytes).unwrap_or(u32::MAX), all)
}

/// Fields that the host has written; None where they are none.
pub(crate) fn headers(fields: Vec<u8>) -> Option<HeaderMap> {
    read(&Bytes::from(fields), 0)
}

/// Fields as the host reads them.
#[cfg(any(test, target_arch = "wasm32"))]
pub(crate) fn fields(headers: &HeaderMap) -> Vec<u8> {
    let mut all = Vec::with_capacity(headers.len() * FIELD_BYTES);
    put_fields(&mut all, headers);
    all
}

fn read(head: &Bytes, mut at: usize) -> Option<HeaderMap> {
    let mut headers = HeaderMap::with_capacity(FIELDS);
    while at < head.len() {
        let name = name(&head[part(head, &mut at)?])?;
        // The bytes stay where they are.
        let value = head.slice(part(head, &mut at)?);
        // SAFETY: the host writes what it has as values of fields, and to look at each byte of them
        // again is a tenth of what a small answer costs here.
        let value = unsafe { HeaderValue::from_maybe_shared_unchecked(value) };
        headers.append(name, value);
    }
    Some(headers)
}

fn name(bytes: &[u8]) -> Option<HeaderName> {
    field::known(bytes).or_else(|| HeaderName::from_bytes(bytes).ok())
}

/// Where the part that begins at `at` stands; `at` is its end afterwards.
fn part(head: &[u8], at: &mut usize) -> Option<Range<usize>> {
    let length = head.get(*at..)?.first_chunk()?;
    let begin = *at + length.len();
    let end = begin.checked_add(usize::try_from(u32::from_le_bytes(*length)).ok()?)?;
    *at = end;
    (end <= head.len()).then_some(begin..end)
}

fn bytes_of(headers: &HeaderMap) -> usize {
    headers.iter().map(|(name, value)| 8 + name.as_str().len() + value.len()).sum()
}

fn put(all: &mut Vec<u8>, part: &[u8]) {
    // A part of 4 GiB is more than a guest has memory for.
    all.extend_from_slice(&u32::try_from(part.len()).unwrap_or_default().to_le_bytes());
    all.extend_from_slice(part);
}

fn put_fields(all: &mut Vec<u8>, headers: &HeaderMap) {
    for (name, value) in headers {
        put(all, name.as_str().as_bytes());
        put(all, value.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `nexus:http`, written by hand.
    fn written(parts: &[&[u8]], body: &[u8]) -> (u32, Vec<u8>) {
        let mut all = Vec::new();
        for part in parts {
            all.extend((part.len() as u32).to_le_bytes());
            all.extend_from_slice(part);
        }
        let head_bytes = all.len() as u32;
        all.extend_from_slice(body);
        (head_bytes, all)
    }

    fn request(head_bytes: u32, piece: Vec<u8>) -> Option<Request<Bytes>> {
        let mut request = Request::new(());
        let body = read_request(head_bytes, piece, &mut request)?;
        Some(request.map(|()| body))
    }

    #[test]
    fn a_request_is_read_from_its_piece() {
        let parts: [&[u8]; 6] = [b"POST", b"/a?b=c", b"accept", b"*/*", b"accept", b"\xe9: x"];
        let (head_bytes, all) = written(&parts, b"the body");
        let request = request(head_bytes, all).unwrap();
        assert_eq!(
            (request.method(), request.uri().to_string().as_str()),
            (&Method::POST, "/a?b=c")
        );
        let accept: Vec<_> = request.headers().get_all("accept").iter().collect();
        assert_eq!(accept, [&b"*/*"[..], b"\xe9: x"]);
        assert_eq!(request.body(), "the body");
    }

    #[test]
    fn more_fields_than_there_is_room_for_at_first_are_read_too() {
        let names: Vec<_> = (0..3 * FIELDS).map(|number| format!("x-{number}")).collect();
        let fields = names.iter().flat_map(|name| [name.as_bytes(), b"1"]);
        let parts: Vec<_> = [&b"GET"[..], b"/"].into_iter().chain(fields).collect();
        let (head_bytes, all) = written(&parts, b"");
        let request = request(head_bytes, all).unwrap();
        assert!(names.iter().all(|name| request.headers()[name] == "1"));
        assert_eq!(super::fields(request.headers()), written(&parts[2..], b"").1);
    }

    #[test]
    fn a_body_may_be_absent_and_a_value_empty() {
        let (head_bytes, all) = written(&[b"GET", b"/", b"x-a", b""], b"");
        let request = request(head_bytes, all).unwrap();
        assert_eq!(request.headers()["x-a"], "");
        assert!(request.body().is_empty());
    }

    #[test]
    fn what_is_no_request_is_refused_wherever_it_breaks() {
        let (head_bytes, all) = written(&[b"GET", b"/x", b"x-a", b"1"], b"body");
        for cut in 0..head_bytes {
            // A head may end after its target and after any field.
            assert_eq!(request(cut, all.clone()).is_some(), cut == 13, "{cut}");
        }
        assert!(request(head_bytes + 5, all).is_none(), "more head than there is");
        let (head_bytes, all) = written(&[b"GET", b"/", b"x a", b"1"], b"");
        assert!(request(head_bytes, all).is_none(), "no name of a field");
    }

    #[test]
    fn requests_and_fields_are_written_as_they_are_read() {
        let mut all = HeaderMap::new();
        all.append("x-a", HeaderValue::from_static("1"));
        all.append("x-a", HeaderValue::from_static("2"));
        let parts: [&[u8]; 6] = [b"PUT", b"/a?b", b"x-a", b"1", b"x-a", b"2"];
        assert_eq!(piece(&Method::PUT, "/a?b", &all, b"body"), written(&parts, b"body"));
        assert_eq!(fields(&all), written(&parts[2..], b"").1);
        assert_eq!(headers(fields(&all)).unwrap(), all);
        assert!(headers(vec![0xff; 4]).is_none());
    }
}
