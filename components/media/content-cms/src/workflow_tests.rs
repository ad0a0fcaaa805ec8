//! Which step leads where, and what no order of steps ever leads to.

use super::*;
use proptest::prelude::*;

const NOW: i64 = 1_000;

fn at(second: i64) -> Time {
    nexus_sdk::chrono::DateTime::from_timestamp(second, 0).unwrap()
}

fn facts() -> Facts {
    Facts { has_asset: true, is_playable: true, may_publish: true, now: at(NOW) }
}

fn stand(state: State) -> Stand {
    Stand { state, ..Stand::DRAFT }
}

fn step(from: State, action: Action) -> Result<State, Refusal> {
    stand(from).step(action, &Terms::default(), &facts()).map(|to| to.state)
}

#[test]
fn each_step_leads_from_some_states_and_from_no_other() {
    use State::{Archived, Draft, Published, Review, Scheduled, Unpublished};
    let all = [Draft, Review, Scheduled, Published, Unpublished, Archived];
    for (action, expected) in [
        (Action::Submit, [Some(Review), None, None, None, Some(Review), None]),
        (Action::Approve, [None, Some(Published), None, None, None, None]),
        (Action::SendBack, [None, Some(Draft), None, None, None, None]),
        (
            Action::Publish,
            [Some(Published), Some(Published), Some(Published), None, Some(Published), None],
        ),
        (Action::Unpublish, [None, None, Some(Draft), Some(Unpublished), None, None]),
        (
            Action::Archive,
            [Some(Archived), Some(Archived), Some(Archived), Some(Archived), Some(Archived), None],
        ),
        (Action::Restore, [None, None, None, None, None, Some(Draft)]),
        (Action::Edit, [None; 6]),
        (Action::Expire, [None; 6]),
    ] {
        for (from, to) in all.into_iter().zip(expected) {
            assert_eq!(step(from, action), to.ok_or(WrongState), "{action:?} from {from:?}");
        }
    }
}

#[test]
fn what_cannot_be_played_is_not_published_but_may_wait_until_it_can() {
    let waiting = Facts { is_playable: false, ..facts() };
    let draft = Stand::DRAFT;
    let publish = |terms: Terms| draft.step(Action::Publish, &terms, &waiting);
    assert_eq!(publish(Terms::default()), Err(NotPlayable));
    let waits = publish(Terms { when_ready: true, ..Terms::default() }).unwrap();
    assert_eq!((waits.state, waits.publish_at), (State::Scheduled, None));
    assert_eq!(waits.due(&waiting), None);
    let (action, there) = waits.due(&facts()).unwrap();
    assert_eq!((action, there.state), (Action::Publish, State::Published));
    let nothing = Facts { has_asset: false, ..waiting };
    let refused = draft.step(Action::Publish, &Terms::default(), &nothing);
    assert_eq!(refused, Err(NoAsset));
}

#[test]
fn a_date_is_kept_to_the_second_and_waits_for_the_asset_too() {
    let terms =
        Terms { publish_at: Some(at(2_000)), unpublish_at: Some(at(3_000)), when_ready: false };
    let scheduled = Stand::DRAFT.step(Action::Schedule, &terms, &facts()).unwrap();
    let when = |now: i64, is_playable: bool| Facts { now: at(now), is_playable, ..facts() };
    assert_eq!(scheduled.due(&when(1_999, true)), None);
    assert_eq!(scheduled.due(&when(2_000, false)), None);
    let (_, published) = scheduled.due(&when(2_000, true)).unwrap();
    assert_eq!(published.due(&when(2_999, true)), None);
    let (action, over) = published.due(&when(3_000, true)).unwrap();
    assert_eq!((action, over.state), (Action::Expire, State::Unpublished));
    // It never could be played while it should have been.
    let (action, over) = scheduled.due(&when(3_000, false)).unwrap();
    assert_eq!((action, over.state), (Action::Expire, State::Draft));
}

#[test]
fn what_is_published_is_given_an_end_without_being_taken_back() {
    let published = stand(State::Published);
    let schedule = |publish_at: Option<i64>, unpublish_at: Option<i64>| {
        let (publish_at, unpublish_at) = (publish_at.map(at), unpublish_at.map(at));
        let terms = Terms { publish_at, unpublish_at, when_ready: false };
        published.step(Action::Schedule, &terms, &facts())
    };
    let ends = schedule(None, Some(2_000)).unwrap();
    assert_eq!((ends.state, ends.unpublish_at), (State::Published, Some(at(2_000))));
    let stays = ends.step(Action::Schedule, &Terms::default(), &facts()).unwrap();
    assert_eq!(stays, published);
    assert_eq!(schedule(Some(2_000), None), Err(WrongState));
    assert!(schedule(None, Some(NOW)).is_err());
}

#[test]
fn dates_that_lie_wrong_are_refused_by_name() {
    let schedule = |publish_at: Option<i64>, unpublish_at: Option<i64>| {
        let (publish_at, unpublish_at) = (publish_at.map(at), unpublish_at.map(at));
        let terms = Terms { publish_at, unpublish_at, when_ready: false };
        Stand::DRAFT.step(Action::Schedule, &terms, &facts()).map_err(|why| why.name)
    };
    assert_eq!(schedule(Some(NOW), None).unwrap_err(), "PublishAtPast");
    assert_eq!(schedule(Some(2_000), Some(2_000)).unwrap_err(), "UnpublishAt");
    assert_eq!(schedule(None, Some(NOW)).unwrap_err(), "UnpublishAt");
    assert!(schedule(Some(2_000), Some(2_001)).is_ok());
}

#[test]
fn who_must_ask_first_submits_and_the_wish_for_a_date_is_remembered() {
    let asks = Facts { may_publish: false, ..facts() };
    let wish = Terms { publish_at: Some(at(5_000)), ..Terms::default() };
    for action in [Action::Publish, Action::Schedule] {
        assert_eq!(Stand::DRAFT.step(action, &wish, &asks), Err(ReviewRequired));
    }
    let review = Stand::DRAFT.step(Action::Submit, &wish, &asks).unwrap();
    let approve = |now: i64| {
        let facts = Facts { now: at(now), ..facts() };
        review.step(Action::Approve, &Terms::default(), &facts).unwrap()
    };
    assert_eq!(
        (approve(4_000).state, approve(4_000).publish_at),
        (State::Scheduled, wish.publish_at)
    );
    assert_eq!(approve(6_000).state, State::Published);
    // Without anything to play it comes back by itself.
    let gone = Facts { has_asset: false, ..facts() };
    assert_eq!(review.due(&gone), Some((Action::LoseAsset, Stand::DRAFT)));
}

fn action() -> impl Strategy<Value = Action> {
    prop::sample::select(vec![
        Action::Submit,
        Action::Approve,
        Action::SendBack,
        Action::Schedule,
        Action::Publish,
        Action::Unpublish,
        Action::Archive,
        Action::Restore,
    ])
}

proptest! {
    /// Time passes, the asset comes and goes, somebody who may not publish tries everything.
    #[test]
    fn nothing_is_ever_published_that_cannot_be_played_or_was_not_approved(
        turns in prop::collection::vec(
            (action(), any::<bool>(), any::<bool>(), 0..40i64, prop::option::of(1..30i64)), 1..40,
        ),
    ) {
        let (mut now, mut approved) = (NOW, false);
        let mut stand = Stand::DRAFT;
        for (action, is_playable, when_ready, passed, later) in turns {
            now += passed;
            let facts =
                Facts { has_asset: true, is_playable, may_publish: false, now: at(now) };
            let publish_at = later.map(|later| at(now + later));
            let terms = Terms { publish_at, unpublish_at: None, when_ready };
            let before = stand;
            let to = stand.step(action, &terms, &facts);
            if before.state == State::Archived {
                prop_assert_eq!(to.is_ok(), action == Action::Restore);
            }
            stand = to.unwrap_or(stand);
            if action == Action::Approve && before.state == State::Review {
                approved = approved || stand.state != State::Review;
            }
            if let Some((_, to)) = stand.due(&facts) {
                stand = to;
            }
            if before.state != State::Published && stand.state == State::Published {
                prop_assert!(is_playable && approved);
            }
            if matches!(stand.state, State::Draft | State::Archived | State::Unpublished) {
                prop_assert_eq!((stand.publish_at, stand.unpublish_at), (None, None));
                approved = false;
            }
        }
    }
}
