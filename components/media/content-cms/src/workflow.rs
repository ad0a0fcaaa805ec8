//! The way of a title from a draft to the public and back: which step leads where, and what must
//! hold for it. Pure.

use crate::rights;
use nexus_sdk::prelude::*;

nexus_sdk::refusals! {
    WrongState = 409, "a title in this state does not take this step";
    ReviewRequired = 409, "what is published here is looked at first: submit it";
    NotPlayable = 409, "its asset cannot be played yet: publish it when it is ready";
    NoAsset = 409, "there is nothing to play: name an asset first";
    PublishAtPast = 422, "a date of publication lies in the future";
    UnpublishAt = 422, "a title ends after it was published, and not in the past"
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum State {
    Draft,
    /// Somebody else is to look at it.
    Review,
    /// Becomes published by itself: at a date, or once its asset can be played.
    Scheduled,
    Published,
    /// It was published before.
    Unpublished,
    Archived,
}

/// What happens to a title.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    Create,
    Edit,
    Submit,
    Approve,
    SendBack,
    Schedule,
    Publish,
    Unpublish,
    Archive,
    Restore,
    /// Its time was over.
    Expire,
    /// Its asset was deleted.
    LoseAsset,
}

macro_rules! words {
    ($($kind:ty),*) => {$(
        impl ToParam for $kind {
            fn to_param(&self) -> Param {
                word(self)
            }
        }
    )*};
}

words! { State, Action }

/// Where a title stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stand {
    pub state: State,
    /// When a scheduled title is due; as soon as it can be played, where absent. Of a title in
    /// review, what its owner wishes.
    pub publish_at: Option<Time>,
    pub unpublish_at: Option<Time>,
}

/// What somebody says beside a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Terms {
    pub publish_at: Option<Time>,
    pub unpublish_at: Option<Time>,
    /// Whether to wait for what cannot be played yet.
    pub when_ready: bool,
}

/// What is true of a title and of whoever asks.
#[derive(Debug, Clone, Copy)]
pub struct Facts {
    /// There is something to play, or it is a series.
    pub has_asset: bool,
    pub is_playable: bool,
    /// Whoever asks need not wait for anybody's yes.
    pub may_publish: bool,
    pub now: Time,
}

impl Stand {
    pub const DRAFT: Stand = Stand { state: State::Draft, publish_at: None, unpublish_at: None };

    fn plain(state: State) -> Stand {
        Stand { state, ..Stand::DRAFT }
    }

    /// Where a step leads that a person takes.
    ///
    /// # Errors
    /// 409 where the state does not take it, 422 for dates that lie wrong.
    pub fn step(&self, action: Action, terms: &Terms, facts: &Facts) -> Result<Stand, Refusal> {
        use State::{Archived, Draft, Published, Review, Scheduled, Unpublished};
        match (action, self.state) {
            (Action::Submit, Draft | Unpublished) => self.submit(terms, facts),
            (Action::Approve, Review) => {
                let publish_at = terms.publish_at.or(self.publish_at);
                let unpublish_at = terms.unpublish_at.or(self.unpublish_at);
                // What its owner wished for may be over by now.
                let publish_at = publish_at.filter(|at| *at > facts.now);
                Stand::towards(&Terms { publish_at, unpublish_at, ..*terms }, facts)
            }
            (Action::SendBack, Review) => Ok(Stand::DRAFT),
            (Action::Schedule, Draft | Unpublished | Scheduled) => {
                facts.permit()?;
                Stand::towards(&Terms { when_ready: true, ..*terms }, facts)
            }
            // It is there already: only when it ends is said, or that it does not.
            (Action::Schedule, Published) if terms.publish_at.is_none() => {
                facts.permit()?;
                terms.check(facts.now)?;
                Ok(Stand { unpublish_at: terms.unpublish_at, ..*self })
            }
            (Action::Publish, Draft | Unpublished | Scheduled | Review) => {
                facts.permit()?;
                Stand::towards(&Terms { publish_at: None, ..*terms }, facts)
            }
            (Action::Unpublish, Published) => Ok(Stand::plain(Unpublished)),
            (Action::Unpublish, Scheduled) => Ok(Stand::DRAFT),
            (Action::Archive, Draft | Review | Scheduled | Published | Unpublished) => {
                Ok(Stand::plain(Archived))
            }
            (Action::Restore, Archived) => Ok(Stand::DRAFT),
            _ => Err(WrongState),
        }
    }

    fn submit(&self, terms: &Terms, facts: &Facts) -> Result<Stand, Refusal> {
        terms.check(facts.now)?;
        let Terms { publish_at, unpublish_at, .. } = *terms;
        Ok(Stand { state: State::Review, publish_at, unpublish_at })
    }

    /// To the public, now or later.
    fn towards(terms: &Terms, facts: &Facts) -> Result<Stand, Refusal> {
        terms.check(facts.now)?;
        if !facts.has_asset {
            return Err(NoAsset);
        }
        let Terms { publish_at, unpublish_at, when_ready } = *terms;
        match publish_at {
            Some(_) => Ok(Stand { state: State::Scheduled, publish_at, unpublish_at }),
            None if facts.is_playable => {
                Ok(Stand { state: State::Published, publish_at: None, unpublish_at })
            }
            None if when_ready => {
                Ok(Stand { state: State::Scheduled, publish_at: None, unpublish_at })
            }
            None => Err(NotPlayable),
        }
    }

    /// What time, or the fate of its asset, makes of it by itself.
    pub fn due(&self, facts: &Facts) -> Option<(Action, Stand)> {
        let over = self.unpublish_at.is_some_and(|at| at <= facts.now);
        match self.state {
            State::Published if !facts.has_asset => {
                Some((Action::LoseAsset, Stand::plain(State::Unpublished)))
            }
            State::Scheduled | State::Review if !facts.has_asset => {
                Some((Action::LoseAsset, Stand::DRAFT))
            }
            State::Published if over => Some((Action::Expire, Stand::plain(State::Unpublished))),
            // It would have been over before it began.
            State::Scheduled if over => Some((Action::Expire, Stand::DRAFT)),
            State::Scheduled
                if facts.is_playable && self.publish_at.is_none_or(|at| at <= facts.now) =>
            {
                let stand = Stand { state: State::Published, publish_at: None, ..*self };
                Some((Action::Publish, stand))
            }
            _ => None,
        }
    }
}

impl Facts {
    fn permit(&self) -> Result<(), Refusal> {
        if self.may_publish { Ok(()) } else { Err(ReviewRequired) }
    }
}

impl Terms {
    fn check(&self, now: Time) -> Result<(), Refusal> {
        if self.publish_at.is_some_and(|at| at <= now || !rights::is_date(at)) {
            return Err(PublishAtPast.at("publish_at"));
        }
        let begins = self.publish_at.unwrap_or(now);
        if self.unpublish_at.is_some_and(|at| at <= begins || !rights::is_date(at)) {
            return Err(UnpublishAt.at("unpublish_at"));
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "workflow_tests.rs"]
mod tests;
