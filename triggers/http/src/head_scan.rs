//! Reads an HTTP/1 byte stream before hyper does and says where the first thing stands that two
//! parsers could read differently. Strict where RFC 9112 lets a server choose: hyper 1.12 accepts
//! `content-length` beside `transfer-encoding`, codings before `chunked`, bare LF as a line end,
//! repeated lengths and spaces after a chunk size, and each of those is how requests are smuggled.
//! Refuses to know sockets and time; copies nothing but lines that were cut by a read.

use crate::grammar::{self, malformed};
use crate::problems;
use nexus_runtime::Problem;

/// What one head may measure.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HeadLimits {
    pub(crate) bytes: usize,
    pub(crate) headers: usize,
    pub(crate) url_bytes: usize,
}

/// A refused stream. Nothing after it can be trusted.
#[derive(Debug)]
pub(crate) struct Refused {
    /// Bytes at the start of the last slice that may still be used: earlier messages, or the
    /// sound part of a body.
    pub(crate) sound: usize,
    /// The fault is in a body whose request has begun, not in a head.
    pub(crate) in_body: bool,
    pub(crate) problem: Problem,
}

/// A chunk's size line with its extensions: sizes take few digits and nobody uses extensions.
const CHUNK_LINE_MAX: usize = 1024;
/// All trailer fields of one body.
const TRAILER_BYTES_MAX: usize = 8 << 10;
/// Method, spaces and version beside the target of a request line.
const REQUEST_LINE_REST_MAX: usize = 64;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line {
    Request,
    Header,
    ChunkSize,
    Trailer,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Line(Line),
    /// A body of known length, or one chunk.
    Bytes {
        left: u64,
        chunked: bool,
    },
    /// The CRLF after a chunk; how much of it was seen.
    ChunkEnd(u8),
}

/// What is known of the head (or trailer section) being read.
#[derive(Debug, Default)]
struct Head {
    bytes: usize,
    fields: usize,
    is_http_11: bool,
    hosts: usize,
    length: Option<u64>,
    chunked: bool,
}

/// The framing of one connection.
pub(crate) struct Scanner {
    limits: HeadLimits,
    state: State,
    head: Head,
    /// The beginning of a line that a read cut.
    line: Vec<u8>,
    heads: u64,
}

impl Scanner {
    pub(crate) fn new(limits: HeadLimits) -> Self {
        let (state, head) = (State::Line(Line::Request), Head::default());
        Self { limits, state, head, line: Vec::new(), heads: 0 }
    }

    /// Complete heads so far.
    pub(crate) fn heads(&self) -> u64 {
        self.heads
    }

    /// Nothing of a next message has arrived.
    pub(crate) fn is_between(&self) -> bool {
        self.state == State::Line(Line::Request) && self.head.bytes == 0 && self.line.is_empty()
    }

    pub(crate) fn is_in_head(&self) -> bool {
        matches!(self.state, State::Line(Line::Request | Line::Header))
    }

    /// Takes the next bytes of the stream.
    pub(crate) fn scan(&mut self, bytes: &[u8]) -> Result<(), Refused> {
        let mut at = 0;
        let mut sound = 0;
        while at < bytes.len() {
            let heads = self.heads;
            match self.step(&bytes[at..]) {
                Ok(taken) => at += taken,
                Err(problem) => {
                    let in_body = !self.is_in_head();
                    return Err(Refused { sound, in_body, problem });
                }
            }
            // In a body every finished step is sound; a head is sound only as a whole.
            if !self.is_in_head() || self.heads != heads || self.is_between() {
                sound = at;
            }
        }
        Ok(())
    }

    fn step(&mut self, rest: &[u8]) -> Result<usize, Problem> {
        match self.state {
            State::Line(line) => self.step_line(line, rest),
            State::Bytes { left, chunked } => {
                let taken = left.min(rest.len() as u64);
                self.state = match (left - taken, chunked) {
                    (0, true) => State::ChunkEnd(0),
                    (0, false) => State::Line(Line::Request),
                    (left, chunked) => State::Bytes { left, chunked },
                };
                Ok(taken as usize)
            }
            State::ChunkEnd(seen) => {
                let expected = if seen == 0 { b'\r' } else { b'\n' };
                if rest[0] != expected {
                    return Err(malformed("a chunk is longer than its size says"));
                }
                self.state =
                    if seen == 0 { State::ChunkEnd(1) } else { State::Line(Line::ChunkSize) };
                Ok(1)
            }
        }
    }

    fn step_line(&mut self, kind: Line, rest: &[u8]) -> Result<usize, Problem> {
        let Some(end) = memchr::memchr(b'\n', rest) else {
            self.check_size(kind, self.line.len() + rest.len())?;
            self.line.extend_from_slice(rest);
            return Ok(rest.len());
        };
        let taken = end + 1;
        self.check_size(kind, self.line.len() + taken)?;
        if self.line.is_empty() {
            self.take_line(kind, &rest[..taken])?;
        } else {
            let mut whole = std::mem::take(&mut self.line);
            whole.extend_from_slice(&rest[..taken]);
            self.take_line(kind, &whole)?;
            whole.clear();
            self.line = whole;
        }
        Ok(taken)
    }

    /// Refuses what is too long before it is complete, so that a line cannot grow for ever.
    fn check_size(&self, kind: Line, line: usize) -> Result<(), Problem> {
        let total = self.head.bytes + line;
        match kind {
            Line::Request if line > self.limits.url_bytes + REQUEST_LINE_REST_MAX => {
                Err(grammar::url_too_long(self.limits.url_bytes))
            }
            Line::Request | Line::Header if total > self.limits.bytes => {
                let detail = format!("a header section takes {} bytes", self.limits.bytes);
                Err(problems::HEAD_TOO_LARGE.detail(detail))
            }
            Line::ChunkSize if line > CHUNK_LINE_MAX => {
                Err(malformed("a chunk's size line is too long"))
            }
            Line::Trailer if total > TRAILER_BYTES_MAX => {
                Err(malformed("the trailer section is too large"))
            }
            _ => Ok(()),
        }
    }

    /// One line with its LF.
    fn take_line(&mut self, kind: Line, line: &[u8]) -> Result<(), Problem> {
        let Some(text) = line.strip_suffix(b"\r\n") else {
            return Err(malformed("a line ends in LF without CR"));
        };
        if memchr::memchr(b'\r', text).is_some() {
            return Err(malformed("a line contains CR"));
        }
        self.head.bytes += line.len();
        match (kind, text.is_empty()) {
            // RFC 9112 section 2.2: empty lines before a request are ignored; they count.
            (Line::Request, true) => Ok(()),
            (Line::Request, false) => {
                self.head.is_http_11 = grammar::request_line(text, self.limits.url_bytes)?;
                self.state = State::Line(Line::Header);
                Ok(())
            }
            (Line::Header, true) => self.end_head(),
            (Line::Header, false) => self.take_field(text),
            (Line::ChunkSize, _) => self.take_chunk_size(text),
            (Line::Trailer, true) => {
                self.state = State::Line(Line::Request);
                self.head = Head::default();
                Ok(())
            }
            (Line::Trailer, false) => {
                self.count_field()?;
                grammar::field(text).map(drop)
            }
        }
    }

    fn count_field(&mut self) -> Result<(), Problem> {
        self.head.fields += 1;
        if self.head.fields > self.limits.headers {
            let detail = format!("a request takes {} header fields", self.limits.headers);
            return Err(problems::TOO_MANY_HEADERS.detail(detail));
        }
        Ok(())
    }

    fn take_field(&mut self, text: &[u8]) -> Result<(), Problem> {
        self.count_field()?;
        let (name, value) = grammar::field(text)?;
        // Only names of these lengths matter here; comparing lengths first keeps the rest cheap.
        match name.len() {
            4 if name.eq_ignore_ascii_case(b"host") => self.head.hosts += 1,
            14 if name.eq_ignore_ascii_case(b"content-length") => {
                if self.head.length.is_some() {
                    return Err(malformed("content-length is repeated"));
                }
                self.head.length = Some(grammar::decimal(value)?);
            }
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => {
                if self.head.chunked || !value.eq_ignore_ascii_case(b"chunked") {
                    return Err(malformed("the only transfer coding is chunked, once"));
                }
                self.head.chunked = true;
            }
            _ => {}
        }
        Ok(())
    }

    fn end_head(&mut self) -> Result<(), Problem> {
        let head = std::mem::take(&mut self.head);
        if head.hosts > 1 || head.is_http_11 && head.hosts == 0 {
            return Err(problems::INVALID_HOST);
        }
        if head.chunked && head.length.is_some() {
            return Err(malformed("content-length and transfer-encoding exclude each other"));
        }
        if head.chunked && !head.is_http_11 {
            return Err(malformed("HTTP/1.0 knows no transfer-encoding"));
        }
        self.heads += 1;
        self.state = match (head.chunked, head.length) {
            (true, _) => State::Line(Line::ChunkSize),
            (false, Some(left @ 1..)) => State::Bytes { left, chunked: false },
            (false, _) => State::Line(Line::Request),
        };
        Ok(())
    }

    fn take_chunk_size(&mut self, text: &[u8]) -> Result<(), Problem> {
        self.head.bytes = 0;
        let (size, extension) = match memchr::memchr(b';', text) {
            Some(end) => text.split_at(end),
            None => (text, &[][..]),
        };
        let digits = (1..=15).contains(&size.len()) && size.iter().all(u8::is_ascii_hexdigit);
        if !digits || grammar::has_control(extension) {
            return Err(malformed("a chunk has no valid size"));
        }
        let hex = |n: u64, d: &u8| n << 4 | u64::from((*d as char).to_digit(16).unwrap_or(0));
        self.state = match size.iter().fold(0, hex) {
            0 => State::Line(Line::Trailer),
            left => State::Bytes { left, chunked: true },
        };
        Ok(())
    }
}

#[cfg(test)]
#[path = "head_scan_tests.rs"]
mod tests;
