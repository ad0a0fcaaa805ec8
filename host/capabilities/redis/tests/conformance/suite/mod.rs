//! What Redis does for a component, whoever asks: the cases need only the trait [`Redis`], so the
//! host's backends and a guest with the imported interface run the same ones.
//! Refuses to know backends. The store must be empty at the beginning.

mod collections;
mod everything;
mod keys;
mod sorted;
mod strings;

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

pub type Case = Result<(), String>;

macro_rules! suite {
    ($($file:ident::$case:ident)*) => {
        /// Runs every case on an empty store.
        pub async fn suite<R: Redis>(redis: &R) -> Vec<Outcome> {
            vec![$((stringify!($case), $file::$case(redis).await)),*]
        }
    };
}

suite! {
    strings::the_typed_functions_do_what_their_names_say
    strings::keys_and_values_are_any_bytes
    strings::what_is_of_another_type_is_an_error_of_type
    strings::set_obeys_its_options
    strings::set_refuses_options_that_contradict_each_other
    strings::counters_count_and_refuse_to_overflow
    strings::several_strings_are_read_and_written_at_once
    strings::strings_grow_and_are_swapped
    keys::keys_exist_have_a_type_and_are_deleted
    keys::deadlines_are_set_shown_and_lifted
    keys::deadlines_obey_their_conditions
    keys::a_key_is_gone_when_its_time_is_over
    collections::sets_hold_each_member_once
    collections::hashes_hold_fields
    collections::lists_grow_at_both_ends
    collections::lists_are_trimmed
    sorted::sorted_sets_keep_scores
    sorted::sorted_sets_answer_ranges
    sorted::sorted_sets_obey_the_options_of_zadd
    everything::empty_collections_do_not_exist
    everything::every_command_refuses_a_key_of_another_kind
    everything::wrong_arguments_are_named
    everything::a_scan_meets_ten_thousand_keys_once_each
    everything::a_scan_meets_what_stays_while_others_come_and_go
    everything::increments_at_the_same_time_are_all_counted
    everything::small_talk
}

macro_rules! run {
    ($redis:ident: $($line:literal => $expected:expr,)*) => {
        $(check($redis, $line, $expected).await?;)*
    };
}
use run;

macro_rules! ensure {
    ($condition:expr, $($message:tt)+) => {
        if !$condition {
            return Err(format!($($message)+));
        }
    };
}
use ensure;

pub fn failed(failure: Failure) -> String {
    format!("{failure:?}")
}
