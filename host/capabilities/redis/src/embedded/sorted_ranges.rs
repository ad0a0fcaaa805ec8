//! Commands on ranges of sorted sets, by rank or by score. Refuses ranges by text (`BYLEX`).

use super::arguments::{Span, bytes, count, float, integer, is, score, syntax};
use super::keyspace::Keyspace;
use super::value::{Ranked, Score};
use crate::RedisError;
use bytes::Bytes;
use nexus_redis_link::Reply;
use std::ops::Bound::{Excluded, Included, Unbounded};

type Outcome = Result<Reply, RedisError>;

/// One end of a range of scores, `(` in front when the score itself is outside.
#[derive(Clone, Copy)]
struct Limit {
    score: Score,
    outside: bool,
}

impl Limit {
    fn read(argument: &[u8]) -> Result<Self, RedisError> {
        let (outside, number) = match argument {
            [b'(', number @ ..] => (true, number),
            number => (false, number),
        };
        let score = float(number);
        let score = score.map_err(|_| RedisError::refused("ERR", "min or max is not a float"))?;
        Ok(Self { score, outside })
    }
}

/// `min` and `max` of a range of scores.
#[derive(Clone, Copy)]
struct Scores(Limit, Limit);

impl Scores {
    fn read(min: &[u8], max: &[u8]) -> Result<Self, RedisError> {
        Ok(Self(Limit::read(min)?, Limit::read(max)?))
    }

    fn of(self, ranked: &Ranked) -> impl DoubleEndedIterator<Item = &(Score, Bytes)> {
        let Self(min, max) = self;
        // A range that ends before it begins would panic in the tree.
        let end = max.score.max(min.score).next_up();
        let end = end.map_or(Unbounded, |end| Excluded((end, Bytes::new())));
        let within = ranked.all().range((Included((min.score, Bytes::new())), end));
        within.filter(move |(score, _)| {
            let above = if min.outside { *score > min.score } else { *score >= min.score };
            let below = if max.outside { *score < max.score } else { *score <= max.score };
            above && below
        })
    }
}

/// What follows the two ends.
#[derive(Default)]
struct Options {
    by_score: bool,
    reversed: bool,
    with_scores: bool,
    limit: Option<(usize, usize)>,
}

impl Options {
    fn read(arguments: &[Bytes]) -> Result<Self, RedisError> {
        let mut options = Self::default();
        let mut rest = arguments.iter();
        while let Some(word) = rest.next() {
            if is(word, "byscore") {
                options.by_score = true;
            } else if is(word, "rev") {
                options.reversed = true;
            } else if is(word, "withscores") {
                options.with_scores = true;
            } else if is(word, "limit") {
                let offset = integer(rest.next().ok_or_else(syntax)?)?;
                let many = integer(rest.next().ok_or_else(syntax)?)?;
                // A negative offset selects nothing, a negative count everything.
                let offset = usize::try_from(offset).unwrap_or(usize::MAX);
                options.limit = Some((offset, usize::try_from(many).unwrap_or(usize::MAX)));
            } else {
                return Err(syntax());
            }
        }
        Ok(options)
    }
}

pub(crate) fn zrange(keyspace: &mut Keyspace, arguments: &[Bytes]) -> Outcome {
    let options = Options::read(&arguments[3..])?;
    if options.by_score {
        return by_score(keyspace, arguments, &options);
    }
    if options.limit.is_some() {
        let text = "syntax error, LIMIT is only supported in combination with either BYSCORE or \
                    BYLEX";
        return Err(RedisError::refused("ERR", text));
    }
    let span = Span::read(&arguments[1], &arguments[2])?;
    let ranked = keyspace.read::<Ranked>(&arguments[0])?;
    let (from, to) = span.within(ranked.map_or(0, |ranked| ranked.all().len()));
    let all = ranked.into_iter().flat_map(Ranked::all);
    Ok(match options.reversed {
        true => reply(all.rev().skip(from).take(to - from), &options),
        false => reply(all.skip(from).take(to - from), &options),
    })
}

pub(crate) fn zrangebyscore(keyspace: &mut Keyspace, arguments: &[Bytes]) -> Outcome {
    let options = Options::read(&arguments[3..])?;
    if options.by_score || options.reversed {
        return Err(syntax());
    }
    by_score(keyspace, arguments, &options)
}

/// Reversed, the greater end comes first.
fn by_score(keyspace: &Keyspace, arguments: &[Bytes], options: &Options) -> Outcome {
    let (first, second) = (&arguments[1], &arguments[2]);
    let (min, max) = if options.reversed { (second, first) } else { (first, second) };
    let scores = Scores::read(min, max)?;
    let Some(ranked) = keyspace.read::<Ranked>(&arguments[0])? else {
        return Ok(Reply::List(Vec::new()));
    };
    let (offset, many) = options.limit.unwrap_or((0, usize::MAX));
    let range = scores.of(ranked);
    Ok(match options.reversed {
        true => reply(range.rev().skip(offset).take(many), options),
        false => reply(range.skip(offset).take(many), options),
    })
}

fn reply<'a>(range: impl Iterator<Item = &'a (Score, Bytes)>, options: &Options) -> Reply {
    let mut replies = Vec::new();
    for (value, member) in range {
        replies.push(bytes(member));
        if options.with_scores {
            replies.push(score(*value));
        }
    }
    Reply::List(replies)
}

pub(crate) fn zcount(keyspace: &mut Keyspace, arguments: &[Bytes]) -> Outcome {
    let scores = Scores::read(&arguments[1], &arguments[2])?;
    let ranked = keyspace.read::<Ranked>(&arguments[0])?;
    Ok(count(ranked.map_or(0, |ranked| scores.of(ranked).count())))
}

pub(crate) fn zremrangebyscore(keyspace: &mut Keyspace, arguments: &[Bytes]) -> Outcome {
    let scores = Scores::read(&arguments[1], &arguments[2])?;
    keyspace.edit(&arguments[0], |ranked: &mut Ranked| {
        let members: Vec<Bytes> = scores.of(ranked).map(|(_, member)| member.clone()).collect();
        Ok(count(members.iter().filter(|member| ranked.remove(member)).count()))
    })
}
