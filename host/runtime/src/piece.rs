//! Heads as `nexus:http` writes them (`wit/nexus-http@0.1.0`): parts in turn, each after its length
//! in four bytes. Refuses to know who sends them where.

use crate::call::{Call, is_the_hosts};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, request};

/// A request as a guest is handed it: how many bytes the head has, then head and body.
pub(crate) type Piece = (u32, Vec<u8>);

const LENGTH_BYTES: usize = size_of::<u32>();

/// What belongs to a connection: as `wasmtime_wasi_http::DEFAULT_FORBIDDEN_HEADERS`, in the form in
/// which a name is looked up in no time.
fn is_of_a_connection(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "connection"
            | "host"
            | "http2-settings"
            | "keep-alive"
            | "proxy-authenticate"
            | "proxy-authorization"
            | "proxy-connection"
            | "transfer-encoding"
            | "upgrade"
    )
}

/// A request with what the host says of its call, whatever stood in the head under those names.
///
/// # Errors
/// 4 GiB and more, for which no guest has room.
pub(crate) fn piece(head: &request::Parts, body: &[u8], call: &Call) -> wasmtime::Result<Piece> {
    let target = head.uri.path_and_query().map_or("/", |target| target.as_str());
    let begin = [head.method.as_str(), target].map(str::as_bytes);
    let begin_bytes: usize = begin.iter().map(|part| LENGTH_BYTES + part.len()).sum();
    let said = call.fields();
    let said = said.iter().filter_map(|(name, value)| Some((*name, (*value)?)));
    let said_bytes: usize = said.clone().map(|(name, value)| field_bytes(name, value)).sum();
    let bytes = begin_bytes + said_bytes + bytes_of(&head.headers) + body.len();
    let mut all = Vec::with_capacity(bytes);
    for part in begin {
        put(&mut all, part)?;
    }
    for (name, value) in said {
        put_field(&mut all, name, value)?;
    }
    for (name, value) in head.headers.iter().filter(|(name, _)| !is_the_hosts(name)) {
        put_field(&mut all, name, value.as_bytes())?;
    }
    let head_bytes = u32::try_from(all.len())?;
    all.extend_from_slice(body);
    Ok((head_bytes, all))
}

/// The fields of an answer as a guest is handed them.
///
/// # Errors
/// A field of 4 GiB and more, for which no guest has room.
pub fn fields(headers: &HeaderMap) -> wasmtime::Result<Vec<u8>> {
    let mut all = Vec::with_capacity(bytes_of(headers));
    for (name, value) in headers {
        put_field(&mut all, name, value.as_bytes())?;
    }
    Ok(all)
}

/// What all fields take, those of a connection among them.
fn bytes_of(headers: &HeaderMap) -> usize {
    headers.iter().map(|(name, value)| field_bytes(name, value.as_bytes())).sum()
}

fn field_bytes(name: &HeaderName, value: &[u8]) -> usize {
    2 * LENGTH_BYTES + name.as_str().len() + value.len()
}

fn put(all: &mut Vec<u8>, part: &[u8]) -> wasmtime::Result<()> {
    all.extend(u32::try_from(part.len())?.to_le_bytes());
    all.extend_from_slice(part);
    Ok(())
}

/// Adds a field, unless it belongs to the connection.
fn put_field(all: &mut Vec<u8>, name: &HeaderName, value: &[u8]) -> wasmtime::Result<()> {
    if is_of_a_connection(name) {
        return Ok(());
    }
    put(all, name.as_ref())?;
    put(all, value)
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
            if is_of_a_connection(&name) {
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
    use crate::principal::{DEFAULT_TENANT, Principal};
    use std::sync::Arc;

    fn call() -> Call {
        Call::new("r-1", Arc::new(Principal::anonymous(DEFAULT_TENANT)))
    }

    pub(crate) fn encoded(parts: &[&str]) -> Vec<u8> {
        let mut all = Vec::new();
        for part in parts {
            put(&mut all, part.as_bytes()).unwrap();
        }
        all
    }

    #[test]
    fn what_belongs_to_a_connection_is_what_wasi_http_forbids() {
        let forbidden = wasmtime_wasi_http::DEFAULT_FORBIDDEN_HEADERS;
        assert!(forbidden.iter().all(is_of_a_connection), "{forbidden:?}");
        for name in ["accept", "content-length", "hosts", "te", "trailer", "x-request-id"] {
            assert!(!is_of_a_connection(&name.parse().unwrap()), "{name}");
        }
    }

    #[test]
    fn a_request_is_one_piece_with_what_the_host_says_of_it() {
        let request = http::Request::post("http://a.example/b?c=d")
            .header("host", "a.example")
            .header("connection", "keep-alive")
            .header("nexus-principal", "forged")
            .header("x-request-id", "forged")
            .header("traceparent", "forged")
            .header("X-A", "1")
            .header("x-a", "2")
            .body(());
        let (head, ()) = request.unwrap().into_parts();
        let (head_bytes, all) = piece(&head, b"body", &call()).unwrap();
        let (head, body) = all.split_at(head_bytes as usize);
        let principal = call().principal_header;
        let said = ["nexus-principal", principal.to_str().unwrap(), "x-request-id", "r-1"];
        let sent = ["x-a", "1", "x-a", "2"];
        assert_eq!(head, encoded(&[&["POST", "/b?c=d"], &said[..], &sent[..]].concat()));
        assert_eq!(body, b"body");
    }

    #[test]
    fn a_guests_request_is_read_as_a_guest_is_handed_one() {
        let written = http::Request::put("/b?c=d").header("x-a", "1").header("x-a", "").body(());
        let (written, ()) = written.unwrap().into_parts();
        let (head_bytes, all) = piece(&written, b"body", &call()).unwrap();
        let (mut read, body) = request(head_bytes, all).unwrap().into_parts();
        for (name, value) in call().fields() {
            assert_eq!(read.headers.remove(name).as_ref().map(HeaderValue::as_bytes), value);
        }
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
