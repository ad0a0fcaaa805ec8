//! What a refresh token that is shown is worth. Pure.
//!
//! A token is used once and has one successor. Shown a second time, it means that two have it, and
//! nobody can tell which of them is honest: the whole family ends (RFC 9700 §4.14.2). Except that a
//! client whose answer was lost must be able to ask again: within ten seconds, and only as long as
//! the successor is unused, it is given the *same* successor. A thief who is that fast gains
//! nothing that lasts: there is still one chain, and as soon as either of the two goes on, the
//! other's next try ends the family.

use crate::limits::GRACE_SECONDS;
use nexus_sdk::prelude::*;

/// A refresh token as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    pub used_at: Option<Time>,
    /// What its successor is made with; gone when the successor was used.
    pub salt: Option<Vec<u8>>,
    pub family_ended: bool,
    pub family_expires_at: Time,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is used now, and its successor is made.
    Next,
    /// It was used a moment ago, and its successor is made again, with this salt.
    Again(Vec<u8>),
    /// Two have it.
    Reuse,
    /// Its family is over.
    Worthless,
}

pub fn judge(shown: &Shown, now: Time) -> Verdict {
    if shown.family_ended || shown.family_expires_at <= now {
        return Verdict::Worthless;
    }
    let Some(used_at) = shown.used_at else {
        return Verdict::Next;
    };
    match &shown.salt {
        Some(salt) if now <= used_at + seconds(GRACE_SECONDS) => Verdict::Again(salt.clone()),
        _ => Verdict::Reuse,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(second: i64) -> Time {
        Time::from_timestamp(second, 0).unwrap()
    }

    #[test]
    fn a_token_is_used_once_repeated_for_ten_seconds_and_then_ends_its_family() {
        let fresh =
            Shown { used_at: None, salt: None, family_ended: false, family_expires_at: at(1000) };
        assert_eq!(judge(&fresh, at(100)), Verdict::Next);
        let used = Shown { used_at: Some(at(100)), salt: Some(vec![7]), ..fresh.clone() };
        assert_eq!(judge(&used, at(110)), Verdict::Again(vec![7]));
        assert_eq!(judge(&used, at(111)), Verdict::Reuse);
        let overtaken = Shown { salt: None, ..used.clone() };
        assert_eq!(judge(&overtaken, at(100)), Verdict::Reuse);
        for over in [
            Shown { family_ended: true, ..fresh.clone() },
            Shown { family_ended: true, ..used },
            Shown { family_expires_at: at(100), ..fresh },
        ] {
            assert_eq!(judge(&over, at(100)), Verdict::Worthless);
        }
    }

    /// A family as the tables hold it. `commit` does what the statements of `families::refresh` do,
    /// with their conditions; between a look and a commit anybody else may commit.
    #[derive(Debug, Default)]
    struct Family {
        tokens: Vec<(Shown, Option<usize>)>,
        ended: bool,
        salts: u8,
    }

    const EXPIRES: i64 = 100_000;

    impl Family {
        fn begin() -> Family {
            let mut family = Family::default();
            family.add(None);
            family
        }

        fn add(&mut self, parent: Option<usize>) -> usize {
            let (used_at, salt, family_expires_at) = (None, None, at(EXPIRES));
            let token = Shown { used_at, salt, family_ended: false, family_expires_at };
            self.tokens.push((token, parent));
            self.tokens.len() - 1
        }

        fn look(&self, token: usize) -> Shown {
            Shown { family_ended: self.ended, ..self.tokens[token].0.clone() }
        }

        /// The successor that was given, or why none: a conflict is `Err`.
        fn commit(
            &mut self,
            token: usize,
            verdict: &Verdict,
            now: Time,
        ) -> Result<Option<usize>, ()> {
            if *verdict == Verdict::Worthless {
                return Ok(None);
            }
            if self.ended {
                return Err(());
            }
            match verdict {
                Verdict::Next if self.tokens[token].0.used_at.is_some() => Err(()),
                Verdict::Next => {
                    for (other, _) in &mut self.tokens {
                        other.salt = None;
                    }
                    self.salts += 1;
                    self.tokens[token].0.used_at = Some(now);
                    self.tokens[token].0.salt = Some(vec![self.salts]);
                    Ok(Some(self.add(Some(token))))
                }
                Verdict::Again(salt) if self.tokens[token].0.salt.as_ref() != Some(salt) => Err(()),
                Verdict::Again(_) => {
                    Ok(self.tokens.iter().position(|(_, parent)| *parent == Some(token)))
                }
                Verdict::Reuse => {
                    self.ended = true;
                    Ok(None)
                }
                Verdict::Worthless => Ok(None),
            }
        }
    }

    /// One of several clients at work: it has looked, and will commit later.
    #[derive(Debug, Clone)]
    enum Move {
        Look { client: usize, token: usize },
        Commit { client: usize },
        Wait { seconds: i64 },
    }

    fn moves() -> impl Strategy<Value = Vec<Move>> {
        let one = prop_oneof![
            4 => (0..4_usize, 0..8_usize).prop_map(|(client, token)| Move::Look { client, token }),
            4 => (0..4_usize).prop_map(|client| Move::Commit { client }),
            1 => (0..20_i64).prop_map(|seconds| Move::Wait { seconds }),
        ];
        proptest::collection::vec(one, 1..80)
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

        /// Whatever several clients do in whatever order: a token has one successor, there is one
        /// token that can be used, and one that is shown too late ends the family.
        #[test]
        fn a_family_stays_one_chain_and_ends_at_the_first_reuse(moves in moves()) {
            let mut family = Family::begin();
            let mut now = at(0);
            let mut looked: [Option<(usize, Verdict)>; 4] = [None, None, None, None];
            for step in moves {
                match step {
                    Move::Wait { seconds: more } => now += seconds(more as i32),
                    Move::Look { client, token } => {
                        let token = token % family.tokens.len();
                        looked[client] = Some((token, judge(&family.look(token), now)));
                    }
                    Move::Commit { client } => {
                        let Some((token, verdict)) = looked[client].take() else { continue };
                        // The slower of two looks again.
                        if family.commit(token, &verdict, now).is_err() {
                            let again = judge(&family.look(token), now);
                            prop_assert!(family.commit(token, &again, now).is_ok());
                        }
                    }
                }
                let live = family.tokens.iter().filter(|(token, _)| token.used_at.is_none());
                prop_assert_eq!(live.count(), 1);
                let salted = family.tokens.iter().filter(|(token, _)| token.salt.is_some());
                prop_assert!(salted.count() <= 1);
                for parent in 0..family.tokens.len() {
                    let children = family.tokens.iter().filter(|(_, of)| *of == Some(parent));
                    prop_assert!(children.count() <= 1);
                }
            }
            // From whatever state: the first token again, long after, is the end if it was used.
            let late = now + seconds(GRACE_SECONDS + 1);
            let used = family.tokens[0].0.used_at.is_some();
            let verdict = judge(&family.look(0), late);
            prop_assert!(family.commit(0, &verdict, late).is_ok());
            prop_assert_eq!(family.ended, used || verdict == Verdict::Worthless);
        }
    }
}
