//! Heads as `nexus:http` writes them (`wit/nexus-http@0.1.0`): parts in turn, each after its length
//! in four bytes. Refuses to know who sends them where.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, request};
use wasmtime_wasi_http::DEFAULT_FORBIDDEN_HEADERS;

/// A request as a guest is handed it: how many bytes the head has, then head and body.
pub(crate) type Piece = (u32, Vec<u8>);

const LENGTH_BYTES: usize = size_of::<u32>();

/// What belongs to a connection. A static, because a constant would be made anew for each field.
static OF_A_CONNECTION: [HeaderName; 9] = DEFAULT_FORBIDDEN_HEADERS;

/// # Errors
/// 4 GiB and more, for which no guest has room.
pub(crate) fn piece(head: &request::Parts, body: &[u8]) -> wasmtime::Result<Piece> {
    let target = head.uri.path_and_query().map_or("/", |target| target.as_str());
    let begin = [head.method.as_str(), target].map(str::as_bytes);
    let head_bytes =
        begin.iter().map(|part| LENGTH_BYTES + part.len()).sum::<usize>() + bytes_of(&head.headers);
    let mut all = Vec::with_capacity(head_bytes + body.len());
    for part in begin {
        put(&mut all, part)?;
    }
    put_fields(&mut all, &head.headers)?;
    all.extend_from_slice(body);
    Ok((u32::try_from(head_bytes)?, all))
}

/// The fields of an answer as a guest is handed them.
///
/// # Errors
/// A field of 4 GiB and more, for which no guest has room.
pub fn fields(headers: &HeaderMap) -> wasmtime::Result<Vec<u8>> {
    let mut all = Vec::with_capacity(bytes_of(headers));
    put_fields(&mut all, headers)?;
    Ok(all)
}

/// All that a guest may see, and say.
fn own(headers: &HeaderMap) -> impl Iterator<Item = [&[u8]; 2]> {
    let own = headers.iter().filter(|(name, _)| !OF_A_CONNECTION.contains(name));
    own.map(|(name, value)| [name.as_ref(), value.as_bytes()])
}

fn bytes_of(headers: &HeaderMap) -> usize {
    own(headers).flatten().map(|part| LENGTH_BYTES + part.len()).sum()
}

fn put(all: &mut Vec<u8>, part: &[u8]) -> wasmtime::Result<()> {
    all.extend(u32::try_from(part.len())?.to_le_bytes());
    all.extend_from_slice(part);
    Ok(())
}

fn put_fields(all: &mut Vec<u8>, headers: &HeaderMap) -> wasmtime::Result<()> {
    own(headers).flatten().try_for_each(|part| put(all, part))
}

/// A request that a guest has written.
///
/// # Errors
/// What is no request in HTTP, in words for its author.
pub fn request(head_bytes: u32, piece: Vec<u8>) -> Result<Request<Bytes>, String> {
    let mut head = Bytes::from(piece);
    let end = usize::try_from(head_bytes).ok().filter(|end| *end <= head.len());
    let body = head.split_off(end.ok_or("the head is longer than the request")?);
    let mut parts = Parts { bytes: head, at: 0 };
    let method = parts.next()?.ok_or("a request without its method")?;
    let target = parts.next()?.ok_or("a request without its target")?;
    if !target.starts_with(b"/") {
        return Err("the target of a request is a path".to_owned());
    }
    let mut request = Request::new(body);
    *request.method_mut() = Method::from_bytes(&method).map_err(|why| why.to_string())?;
    *request.uri_mut() = Uri::from_maybe_shared(target).map_err(|why| why.to_string())?;
    *request.headers_mut() = parts.headers()?;
    Ok(request)
}

/// Fields that a guest has written.
///
/// # Errors
/// What is no field in HTTP, and fields that are the host's to say.
pub(crate) fn headers(fields: Vec<u8>) -> Result<HeaderMap, String> {
    Parts { bytes: fields.into(), at: 0 }.headers()
}

struct Parts {
    bytes: Bytes,
    at: usize,
}

impl Parts {
    fn next(&mut self) -> Result<Option<Bytes>, String> {
        let rest = &self.bytes[self.at..];
        if rest.is_empty() {
            return Ok(None);
        }
        let length = rest.first_chunk().ok_or("a field is cut off")?;
        let begin = self.at + length.len();
        self.at = begin.saturating_add(u32::from_le_bytes(*length) as usize);
        if self.at > self.bytes.len() {
            return Err("a field is cut off".to_owned());
        }
        Ok(Some(self.bytes.slice(begin..self.at)))
    }

    fn headers(mut self) -> Result<HeaderMap, String> {
        let mut headers = HeaderMap::new();
        while let Some(name) = self.next()? {
            let value = self.next()?.ok_or("a field without its value")?;
            let name = HeaderName::from_bytes(&name).map_err(|why| why.to_string())?;
            if OF_A_CONNECTION.contains(&name) {
                return Err(format!("the field {name} is the host's to say"));
            }
            let value = HeaderValue::from_maybe_shared(value);
            headers.append(name, value.map_err(|why| why.to_string())?);
        }
        Ok(headers)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn encoded(parts: &[&str]) -> Vec<u8> {
        let mut all = Vec::new();
        for part in parts {
            put(&mut all, part.as_bytes()).unwrap();
        }
        all
    }

    #[test]
    fn a_request_is_one_piece_without_what_belongs_to_its_connection() {
        let request = http::Request::post("http://a.example/b?c=d")
            .header("host", "a.example")
            .header("connection", "keep-alive")
            .header("X-A", "1")
            .header("x-a", "2")
            .body(());
        let (head, ()) = request.unwrap().into_parts();
        let (head_bytes, all) = piece(&head, b"body").unwrap();
        let (head, body) = all.split_at(head_bytes as usize);
        assert_eq!(head, encoded(&["POST", "/b?c=d", "x-a", "1", "x-a", "2"]));
        assert_eq!(body, b"body");
    }

    #[test]
    fn a_guests_request_is_read_as_a_guest_is_handed_one() {
        let written = http::Request::put("/b?c=d").header("x-a", "1").header("x-a", "").body(());
        let (written, ()) = written.unwrap().into_parts();
        let (head_bytes, all) = piece(&written, b"body").unwrap();
        let (read, body) = request(head_bytes, all).unwrap().into_parts();
        assert_eq!((&read.method, &read.uri), (&written.method, &written.uri));
        assert_eq!((read.headers, body), (written.headers, Bytes::from("body")));
    }

    #[test]
    fn what_is_no_request_is_refused() {
        let head = encoded(&["GET", "/x", "x-a", "1"]);
        let head_bytes = u32::try_from(head.len()).unwrap();
        for cut in 0..head_bytes {
            // A head may end after its target.
            assert_eq!(request(cut, head.clone()).is_ok(), cut == 13, "cut after {cut}");
        }
        assert!(request(head_bytes + 1, head).is_err());
        for parts in [
            ["G T", "/", "x-a", "1"],
            ["GET", "/no target", "x-a", "1"],
            ["GET", "a.example", "x-a", "1"],
            ["GET", "/", "x a", "1"],
        ] {
            let head = encoded(&parts);
            assert!(request(u32::try_from(head.len()).unwrap(), head).is_err(), "{parts:?}");
        }
    }

    #[test]
    fn fields_are_read_as_they_are_written() {
        let written = encoded(&["x-a", "1", "set-cookie", "b=c", "set-cookie", ""]);
        let read = headers(written).unwrap();
        let cookies: Vec<_> = read.get_all("set-cookie").iter().collect();
        assert_eq!(cookies, ["b=c", ""]);
        assert_eq!(read["x-a"], "1");
        assert_eq!(headers(fields(&read).unwrap()).unwrap(), read);
    }

    #[test]
    fn what_are_no_fields_is_refused() {
        let whole = encoded(&["x-a", "1"]);
        for cut in 1..whole.len() {
            assert!(headers(whole[..cut].to_vec()).is_err(), "cut after {cut}");
        }
        for parts in [["x a", "1"], ["x-a", "1\n2"], ["transfer-encoding", "chunked"]] {
            assert!(headers(encoded(&parts)).is_err(), "{parts:?}");
        }
        assert!(headers(vec![0xff; 4]).is_err());
    }
}
