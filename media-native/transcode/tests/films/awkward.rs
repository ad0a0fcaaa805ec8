//! The corpus: every film is playable afterwards, or refused with a code.

use crate::cinema::{Cinema, bed, folder, job};
use nexus_harness::prelude::*;
use nexus_media_corpus::{Bed, FILMS, Fate, Film};
use nexus_media_transcode::Kind;

async fn check(bed: &Bed, film: &Film, ended: Result<Value, String>) -> Result<(), String> {
    let (frames, sounds) = match (film.fate, ended) {
        (Fate::Refused(code), Err(reason)) if reason.starts_with(&format!("{code}: ")) => {
            return Ok(());
        }
        (Fate::Plays { frames, sounds }, Ok(output)) => {
            let cinema = Cinema::open(bed, output).await;
            for track in cinema.indexes.keys() {
                let complaints = cinema.complaints(track);
                if !complaints.is_empty() {
                    return Err(format!("{track} does not play: {complaints}"));
                }
            }
            if let Some(index) = cinema.indexes.get("v180") {
                let seen = cinema.pictures("v180").len() as u64;
                if seen != index.frames {
                    return Err(format!("{seen} pictures, and the index says {}", index.frames));
                }
            }
            let frames_made = cinema.indexes.get("v180").map_or(0, |index| index.frames);
            let sounds_made = cinema.indexes.values();
            let sounds_made =
                sounds_made.filter(|it| matches!(it.kind, Kind::Audio { .. })).count();
            ((frames, Some(frames_made)), (sounds, sounds_made))
        }
        (fate, ended) => return Err(format!("{ended:?}, not {fate:?}")),
    };
    match (frames, sounds) {
        ((Some(wanted), Some(made)), _) if wanted != made => {
            Err(format!("{made} pictures of {wanted}"))
        }
        (_, (wanted, made)) if wanted != made => Err(format!("{made} tracks of sound of {wanted}")),
        _ => Ok(()),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_awkward_film_is_playable_or_refused_with_a_code_and_no_worker_dies() {
    let bed = bed().await;
    let mut submitted = Vec::new();
    for film in FILMS {
        let file = film.make(folder()).unwrap();
        let source = bed.stash(&file).await;
        let mut wanted = job(&source, &format!("packages/{}", film.name));
        let second = json!({ "source_index": 1, "track": "a1", "bitrate_bps": 64_000 });
        wanted["audio"].as_array_mut().unwrap().push(second);
        let id = bed.submit("transcode", &wanted, &json!({ "attempts_max": 1 })).await;
        submitted.push((film, id));
    }
    let mut wrong = Vec::new();
    for (film, id) in submitted {
        let ended = bed.outcome(&id).await;
        if let Err(words) = check(&bed, film, ended).await {
            wrong.push(format!("{}: {words}", film.name));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    bed.end().await;
}
