//! What Redis does for a component, whoever asks: the cases need only the trait [`Redis`], so the
//! host's backends and a guest with the imported interface run the same ones.
//! Refuses to know backends. The store must be empty at the beginning.

mod cases;

pub use cases::suite;

/// An element of an answer; lists in lists arrive flat, as the interface carries them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Answer {
    Nil,
    Status(String),
    Int(i64),
    Bytes(Vec<u8>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    Type,
    Other(String),
}

/// A connection as a guest sees it.
pub trait Redis {
    async fn execute(&self, command: &str, arguments: &[&[u8]]) -> Result<Vec<Answer>, Failure>;
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Failure>;
    async fn set(&self, key: &str, value: &[u8]) -> Result<(), Failure>;
    async fn incr(&self, key: &str) -> Result<i64, Failure>;
    async fn del(&self, keys: &[&str]) -> Result<u32, Failure>;
    async fn sadd(&self, key: &str, values: &[&str]) -> Result<u32, Failure>;
    async fn smembers(&self, key: &str) -> Result<Vec<String>, Failure>;
    async fn srem(&self, key: &str, values: &[&str]) -> Result<u32, Failure>;
    async fn publish(&self, channel: &str, payload: &[u8]) -> Result<(), Failure>;
}

/// The name of a case and what was wrong.
pub type Outcome = (&'static str, Result<(), String>);

/// What a line of a case expects.
pub enum Expected {
    Answers(Vec<Answer>),
    AnyOrder(Vec<Answer>),
    IntBetween(i64, i64),
    WrongType,
    ErrorWith(&'static str),
}

pub fn nil() -> Expected {
    Expected::Answers(vec![Answer::Nil])
}
pub fn ok() -> Expected {
    status("OK")
}
pub fn status(text: &str) -> Expected {
    Expected::Answers(vec![Answer::Status(text.into())])
}
pub fn int(n: i64) -> Expected {
    Expected::Answers(vec![Answer::Int(n)])
}
pub fn text(text: &str) -> Expected {
    texts([text])
}
pub fn texts<'a>(texts: impl IntoIterator<Item = &'a str>) -> Expected {
    Expected::Answers(texts.into_iter().map(|text| Answer::Bytes(text.into())).collect())
}
pub fn any_order<'a>(texts: impl IntoIterator<Item = &'a str>) -> Expected {
    Expected::AnyOrder(texts.into_iter().map(|text| Answer::Bytes(text.into())).collect())
}
pub fn nothing() -> Expected {
    Expected::Answers(Vec::new())
}
pub use Expected::{ErrorWith, IntBetween, WrongType};

/// Runs `line`, its words separated by blanks, and compares the answer.
pub async fn check<R: Redis>(redis: &R, line: &str, expected: Expected) -> Result<(), String> {
    let mut words = line.split(' ').map(str::as_bytes);
    let command = words.next().map(String::from_utf8_lossy).unwrap_or_default();
    let arguments: Vec<&[u8]> = words.collect();
    let got = redis.execute(&command, &arguments).await;
    let right = match (&expected, &got) {
        (Expected::Answers(expected), Ok(got)) => expected == got,
        (Expected::AnyOrder(expected), Ok(got)) => {
            let (mut expected, mut got) = (expected.clone(), got.clone());
            expected.sort();
            got.sort();
            expected == got
        }
        (IntBetween(from, to), Ok(got)) => {
            matches!(got[..], [Answer::Int(n)] if (*from..=*to).contains(&n))
        }
        (WrongType, Err(Failure::Type)) => true,
        (ErrorWith(part), Err(Failure::Other(text))) => text.contains(part),
        _ => false,
    };
    if right { Ok(()) } else { Err(format!("{line:?} answers {got:?}")) }
}
