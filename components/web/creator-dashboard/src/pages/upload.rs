//! Where films are dropped. The page itself only holds the place; `assets/upload.js` sends.

use crate::assets;
use crate::prelude::*;
use crate::scene::UPLOAD;
use nexus_sdk::prelude::*;

pub fn router() -> Router {
    Router::new().route("/creator/upload", get(show))
}

async fn show(visitor: Visitor) -> Answer {
    visitor.signed_in()?;
    let content = html! {
        (head("Upload", &html! {}))
        @if visitor.principal().may(UPLOAD) {
            (place())
        } @else {
            div.caution {
                (icon::lock())
                p { "Your account may not upload here yet. An administrator can change that." }
            }
        }
    };
    Ok(studio(&visitor, Menu::Upload, "Upload", &content))
}

fn place() -> Markup {
    html! {
        noscript {
            div.caution {
                (icon::warning())
                p {
                    "Uploading needs JavaScript in your browser, so that it can go on after a "
                    "broken line. Programs may use " code { "/files" } " with any tus client."
                }
            }
        }
        section.drop data-drop data-endpoint="/files" data-tus=(assets::TUS.path()) {
            (icon::upload())
            h2 { "Drop your films here" }
            p.actions {
                label.button.primary for="files" { "Choose files" }
                input.away #files type="file" multiple accept="video/*,audio/*,.mkv,.mxf,.ts";
            }
            p.hint {
                "Film or sound in nearly any format, several at once. Pause whenever you like: "
                "an upload goes on where it stopped, after a broken line and after you have "
                "closed this page."
            }
        }
        section.section-plain data-unfinished hidden {
            h2 { "Not finished" }
            p.hint { "Choose or drop the same file again, and the rest of it is sent." }
            ul.list data-unfinished-list {}
        }
        section.section-plain data-queue hidden {
            div.card-head {
                h2 { "On its way" }
                p.item-more data-overall {}
            }
            ol.queue data-queue-list {}
        }
        p.away role="status" data-told {}
        template data-row { (row()) }
    }
}

/// One upload; the script fills it in.
fn row() -> Markup {
    html! {
        li.upload {
            div.upload-head {
                span.frame { (icon::film()) }
                div.upload-words {
                    p.item-name data-name {}
                    p.item-more data-words {}
                }
                div.actions {
                    button.second.small type="button" data-pause {
                        (icon::pause()) span { "Pause" }
                    }
                    button.second.small type="button" data-resume hidden {
                        (icon::play()) span { "Go on" }
                    }
                    button.quiet.small type="button" data-cancel {
                        (icon::cross()) span { "Cancel" }
                    }
                    a.button.primary.small data-open hidden { "Open" }
                }
            }
            progress.bar max="1" value="0" data-bar {}
        }
    }
}
