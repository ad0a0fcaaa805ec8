//! Commands on members of sorted sets; [`super::sorted_ranges`] has those on ranges.

use super::arguments::{count, float, is, score, syntax};
use super::keyspace::Keyspace;
use super::value::{Ranked, Score};
use crate::RedisError;
use bytes::Bytes;
use nexus_redis_link::Reply;

type Outcome = Result<Reply, RedisError>;

/// The options of `ZADD`.
#[derive(Default)]
struct Options {
    only_missing: bool,
    only_present: bool,
    only_greater: bool,
    only_less: bool,
    count_changes: bool,
    add_up: bool,
}

impl Options {
    /// Reads up to the first argument that is no option; answers the arguments after that, which
    /// are pairs of score and member.
    fn read(arguments: &[Bytes]) -> Result<(Self, &[Bytes]), RedisError> {
        let mut options = Self::default();
        let mut used = 0;
        for word in arguments {
            match word {
                w if is(w, "nx") => options.only_missing = true,
                w if is(w, "xx") => options.only_present = true,
                w if is(w, "gt") => options.only_greater = true,
                w if is(w, "lt") => options.only_less = true,
                w if is(w, "ch") => options.count_changes = true,
                w if is(w, "incr") => options.add_up = true,
                _ => break,
            }
            used += 1;
        }
        let pairs = &arguments[used..];
        if pairs.is_empty() || !pairs.len().is_multiple_of(2) {
            return Err(syntax());
        }
        match options.contradiction(pairs.len() / 2) {
            Some(text) => Err(RedisError::refused("ERR", text)),
            None => Ok((options, pairs)),
        }
    }

    fn contradiction(&self, pairs: usize) -> Option<&'static str> {
        let directions = [self.only_missing, self.only_greater, self.only_less];
        if self.only_missing && self.only_present {
            Some("XX and NX options at the same time are not compatible")
        } else if directions.iter().filter(|on| **on).count() > 1 {
            Some("GT, LT, and/or NX options at the same time are not compatible")
        } else if self.add_up && pairs > 1 {
            Some("INCR option supports a single increment-element pair")
        } else {
            None
        }
    }

    /// The member's score afterwards; none when the options forbid the change.
    fn decide(&self, old: Option<Score>, given: Score) -> Result<Option<Score>, RedisError> {
        let new = match old {
            Some(old) if self.add_up => {
                Score::new(old.value() + given.value()).ok_or_else(|| {
                    RedisError::refused("ERR", "resulting score is not a number (NaN)")
                })?
            }
            _ => given,
        };
        let allowed = match old {
            Some(old) => {
                !(self.only_missing
                    || self.only_greater && new <= old
                    || self.only_less && new >= old)
            }
            None => !self.only_present,
        };
        Ok(allowed.then_some(new))
    }
}

pub(crate) fn zadd(keyspace: &mut Keyspace, arguments: &[Bytes]) -> Outcome {
    let (options, pairs) = Options::read(&arguments[1..])?;
    let scores = pairs.chunks_exact(2).map(|pair| Ok((float(&pair[0])?, &pair[1])));
    let scores = scores.collect::<Result<Vec<_>, RedisError>>()?;
    keyspace.edit(&arguments[0], |ranked: &mut Ranked| {
        let (mut added, mut changed, mut last) = (0, 0, None);
        for (given, member) in scores {
            let old = ranked.score(member);
            last = options.decide(old, given)?;
            if let Some(new) = last {
                added += usize::from(old.is_none());
                changed += usize::from(old != Some(new));
                ranked.insert(member.clone(), new);
            }
        }
        Ok(match options.add_up {
            true => last.map_or(Reply::Nil, score),
            false => count(if options.count_changes { changed } else { added }),
        })
    })
}

pub(crate) fn zincrby(keyspace: &mut Keyspace, arguments: &[Bytes]) -> Outcome {
    let options = Options { add_up: true, ..Options::default() };
    let given = float(&arguments[1])?;
    keyspace.edit(&arguments[0], |ranked: &mut Ranked| {
        let new = options.decide(ranked.score(&arguments[2]), given)?;
        let new = new.expect("nothing forbids it without options");
        ranked.insert(arguments[2].clone(), new);
        Ok(score(new))
    })
}

pub(crate) fn zrem(keyspace: &mut Keyspace, arguments: &[Bytes]) -> Outcome {
    keyspace.edit(&arguments[0], |ranked: &mut Ranked| {
        Ok(count(arguments[1..].iter().filter(|member| ranked.remove(member)).count()))
    })
}

pub(crate) fn zcard(keyspace: &mut Keyspace, arguments: &[Bytes]) -> Outcome {
    Ok(count(keyspace.read::<Ranked>(&arguments[0])?.map_or(0, |ranked| ranked.all().len())))
}

pub(crate) fn zscore(keyspace: &mut Keyspace, arguments: &[Bytes]) -> Outcome {
    let ranked = keyspace.read::<Ranked>(&arguments[0])?;
    Ok(ranked.and_then(|ranked| ranked.score(&arguments[1])).map_or(Reply::Nil, score))
}
