//! What these pages say after a form was sent.

web_kit::notices! {
    AGAIN = "again", "It is being processed again.";
    ARCHIVED = "archived", "The title is in the archive.";
    CREATED = "created", "The title is there. Say what it is, then publish it.";
    EPISODE_ADDED = "episode-added", "The episode is there.";
    FILM_DELETED = "film-deleted", "The film is deleted.";
    FILM_RENAMED = "film-renamed", "The film has its new name.";
    POSTER_CHOSEN = "poster-chosen", "That picture stands for the film now.";
    PUBLISHED = "published", "It is published.";
    RESTORED = "restored", "The title is back from the archive.";
    ROW_CREATED = "row-created", "The row is there. Put titles into it.";
    ROW_DELETED = "row-deleted", "The row is deleted.";
    SAVED = "saved", "It is saved.";
    SCHEDULED = "scheduled", "It is scheduled, and is published by itself.";
    SENT_BACK = "sent-back", "The title went back to its owner.";
    STOPPED = "stopped", "Processing is stopped.";
    SUBMITTED = "submitted", "The title is in review.";
    SUBTITLES_REMOVED = "subtitles-removed", "Those subtitles are removed.";
    TITLE_DELETED = "title-deleted", "The title is deleted.";
    UNPUBLISHED = "unpublished", "It is no longer published.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_means_one_sentence() {
        for (at, notice) in ALL.iter().enumerate() {
            let first = ALL.iter().position(|other| other.word() == notice.word());
            assert_eq!(first, Some(at), "{}", notice.word());
        }
    }
}
