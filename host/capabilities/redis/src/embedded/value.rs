//! The five kinds of values, each knowing how many bytes it holds. Refuses to know keys.

use bytes::Bytes;
use std::cmp::Ordering;
use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};

/// What one element costs besides its bytes, by kind: table entries and their slack.
const MEMBER_BYTES: usize = 64;
const FIELD_BYTES: usize = 96;
const ITEM_BYTES: usize = 40;
const RANKED_BYTES: usize = 176;

pub(crate) enum Value {
    Text(Bytes),
    Set(Members),
    Hash(Fields),
    List(Items),
    Sorted(Ranked),
}

impl Value {
    /// As `TYPE` names it.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "string",
            Self::Set(_) => "set",
            Self::Hash(_) => "hash",
            Self::List(_) => "list",
            Self::Sorted(_) => "zset",
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Set(members) => members.bytes(),
            Self::Hash(fields) => fields.bytes(),
            Self::List(items) => items.bytes(),
            Self::Sorted(ranked) => ranked.bytes(),
        }
    }
}

/// A kind of value that is changed in place. (Text is replaced.)
pub(crate) trait Kind: Default {
    fn of(value: &Value) -> Option<&Self>;
    fn of_mut(value: &mut Value) -> Option<&mut Self>;
    fn into_value(self) -> Value;
    fn is_empty(&self) -> bool;
    fn bytes(&self) -> usize;
}

macro_rules! kind {
    ($kind:ident, $variant:ident, $elements:ident) => {
        impl Kind for $kind {
            fn of(value: &Value) -> Option<&Self> {
                if let Value::$variant(this) = value { Some(this) } else { None }
            }
            fn of_mut(value: &mut Value) -> Option<&mut Self> {
                if let Value::$variant(this) = value { Some(this) } else { None }
            }
            fn into_value(self) -> Value {
                Value::$variant(self)
            }
            fn is_empty(&self) -> bool {
                self.$elements.is_empty()
            }
            fn bytes(&self) -> usize {
                self.bytes
            }
        }
    };
}

kind!(Members, Set, members);
kind!(Fields, Hash, fields);
kind!(Items, List, items);
kind!(Ranked, Sorted, scores);

#[derive(Default)]
pub(crate) struct Members {
    members: HashSet<Bytes>,
    bytes: usize,
}

impl Members {
    pub(crate) fn insert(&mut self, member: Bytes) -> bool {
        let size = member.len() + MEMBER_BYTES;
        let new = self.members.insert(member);
        self.bytes += if new { size } else { 0 };
        new
    }

    pub(crate) fn remove(&mut self, member: &[u8]) -> bool {
        let was_there = self.members.remove(member);
        self.bytes -= if was_there { member.len() + MEMBER_BYTES } else { 0 };
        was_there
    }

    pub(crate) fn all(&self) -> &HashSet<Bytes> {
        &self.members
    }
}

#[derive(Default)]
pub(crate) struct Fields {
    fields: HashMap<Bytes, Bytes>,
    bytes: usize,
}

impl Fields {
    /// True when the field is new.
    pub(crate) fn insert(&mut self, field: Bytes, value: Bytes) -> bool {
        self.bytes += field.len() + value.len() + FIELD_BYTES;
        let name = field.len();
        match self.fields.insert(field, value) {
            Some(old) => {
                self.bytes -= name + old.len() + FIELD_BYTES;
                false
            }
            None => true,
        }
    }

    pub(crate) fn remove(&mut self, field: &[u8]) -> bool {
        let old = self.fields.remove(field);
        self.bytes -= old.as_ref().map_or(0, |old| field.len() + old.len() + FIELD_BYTES);
        old.is_some()
    }

    pub(crate) fn all(&self) -> &HashMap<Bytes, Bytes> {
        &self.fields
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Left,
    Right,
}

#[derive(Default)]
pub(crate) struct Items {
    items: VecDeque<Bytes>,
    bytes: usize,
}

impl Items {
    pub(crate) fn push(&mut self, end: End, item: Bytes) {
        self.bytes += item.len() + ITEM_BYTES;
        match end {
            End::Left => self.items.push_front(item),
            End::Right => self.items.push_back(item),
        }
    }

    pub(crate) fn pop(&mut self, end: End) -> Option<Bytes> {
        let item = match end {
            End::Left => self.items.pop_front(),
            End::Right => self.items.pop_back(),
        }?;
        self.bytes -= item.len() + ITEM_BYTES;
        Some(item)
    }

    /// Keeps `from..to`.
    pub(crate) fn keep(&mut self, from: usize, to: usize) {
        while self.items.len() > to.max(from) {
            self.pop(End::Right);
        }
        for _ in 0..from {
            self.pop(End::Left);
        }
    }

    pub(crate) fn all(&self) -> &VecDeque<Bytes> {
        &self.items
    }
}

/// A score; never NaN, and one zero.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Score(f64);

impl Score {
    pub(crate) fn new(score: f64) -> Option<Self> {
        // -0.0 + 0.0 is 0.0.
        (!score.is_nan()).then_some(Self(score + 0.0))
    }

    pub(crate) fn value(self) -> f64 {
        self.0
    }

    /// The least score above this one; none above infinity.
    pub(crate) fn next_up(self) -> Option<Self> {
        Self::new(self.0.next_up()).filter(|next| *next > self)
    }
}

impl Eq for Score {}

impl PartialOrd for Score {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Score {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}

#[derive(Default)]
pub(crate) struct Ranked {
    scores: HashMap<Bytes, Score>,
    ranks: BTreeSet<(Score, Bytes)>,
    bytes: usize,
}

impl Ranked {
    pub(crate) fn score(&self, member: &[u8]) -> Option<Score> {
        self.scores.get(member).copied()
    }

    pub(crate) fn insert(&mut self, member: Bytes, score: Score) {
        match self.scores.insert(member.clone(), score) {
            Some(old) => _ = self.ranks.remove(&(old, member.clone())),
            None => self.bytes += 2 * member.len() + RANKED_BYTES,
        }
        self.ranks.insert((score, member));
    }

    pub(crate) fn remove(&mut self, member: &Bytes) -> bool {
        let Some(score) = self.scores.remove(member) else { return false };
        self.ranks.remove(&(score, member.clone()));
        self.bytes -= 2 * member.len() + RANKED_BYTES;
        true
    }

    /// By score, then by member.
    pub(crate) fn all(&self) -> &BTreeSet<(Score, Bytes)> {
        &self.ranks
    }
}
