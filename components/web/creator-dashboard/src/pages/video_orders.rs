//! What is done with a film: renamed, processed again, given another poster, deleted, made a title.

use super::video::shown;
use crate::film::{self, Film};
use crate::prelude::*;
use crate::title::Title;
use nexus_sdk::Question;
use nexus_sdk::prelude::*;
use nexus_sdk::serde_json::Value;

pub fn router() -> Router {
    Router::new()
        .route("/creator/videos/{id}/rename", post(rename))
        .route("/creator/videos/{id}/retry", post(retry))
        .route("/creator/videos/{id}/process", post(process))
        .route("/creator/videos/{id}/stop", post(stop))
        .route("/creator/videos/{id}/poster", post(choose))
        .route("/creator/videos/{id}/subtitles/remove", post(remove_subtitles))
        .route("/creator/videos/{id}/title", post(make_title))
        .route("/creator/videos/{id}/delete", post(remove))
}

fn page_of(id: Uuid) -> String {
    format!("/creator/videos/{id}")
}

/// Asks, and goes on to the film with a notice, or says on its page why not.
async fn order(visitor: &Visitor, id: Uuid, asked: Question, notice: Notice) -> Answer {
    visitor.signed_in()?;
    match visitor.ask::<Value>(asked).await? {
        Ok(_) => Ok(go(&notice.on(&page_of(id)))),
        Err(refused) => {
            let film = film::find(visitor, id).await?;
            shown(visitor, &film, &Complaints::of(&refused)).await
        }
    }
}

async fn rename(visitor: Visitor, Path(id): Path<Uuid>, posted: Posted) -> Answer {
    visitor.signed_in()?;
    let title = posted.text("title");
    let asked = call("asset-pipeline").patch(film::at(id, "")).json(&json!({ "title": title }));
    match visitor.ask::<Value>(asked).await? {
        Ok(_) => Ok(go(&notice::FILM_RENAMED.on(&page_of(id)))),
        Err(refused) => {
            let film = Film { title: title.to_owned(), ..film::find(&visitor, id).await? };
            shown(&visitor, &film, &Complaints::of(&refused)).await
        }
    }
}

async fn retry(visitor: Visitor, Path(id): Path<Uuid>, _form: Posted) -> Answer {
    let asked = call("asset-pipeline").post(film::at(id, "/retry"));
    order(&visitor, id, asked, notice::AGAIN).await
}

async fn process(visitor: Visitor, Path(id): Path<Uuid>, _form: Posted) -> Answer {
    let asked = call("asset-pipeline").post(film::at(id, "/process"));
    order(&visitor, id, asked, notice::AGAIN).await
}

async fn stop(visitor: Visitor, Path(id): Path<Uuid>, _form: Posted) -> Answer {
    let asked = call("asset-pipeline").post(film::at(id, "/cancel"));
    order(&visitor, id, asked, notice::STOPPED).await
}

async fn choose(visitor: Visitor, Path(id): Path<Uuid>, posted: Posted) -> Answer {
    let Ok(poster) = posted.text("poster").parse::<i32>() else {
        return Err(Trouble::Malformed);
    };
    let asked = call("thumbnailer").put(format!("/api/thumbnailer/v1/items/{id}/poster"));
    let asked = asked.json(&json!({ "poster": poster }));
    order(&visitor, id, asked, notice::POSTER_CHOSEN).await
}

async fn remove_subtitles(visitor: Visitor, Path(id): Path<Uuid>, posted: Posted) -> Answer {
    let language = posted.text("language");
    // What stands in a path is a language's tag and nothing that leads elsewhere.
    if !language.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        return Err(Trouble::Malformed);
    }
    let asked = call("asset-pipeline").delete(film::at(id, &format!("/subtitles/{language}")));
    order(&visitor, id, asked, notice::SUBTITLES_REMOVED).await
}

async fn make_title(visitor: Visitor, Path(id): Path<Uuid>, _form: Posted) -> Answer {
    visitor.signed_in()?;
    let film = film::find(&visitor, id).await?;
    let draft = json!({ "name": film.title, "kind": "film", "asset": id });
    let asked = call("content-cms").post("/api/content-cms/v1/titles").json(&draft);
    match visitor.ask::<Title>(asked).await? {
        Ok(made) => Ok(go(&notice::CREATED.on(&made.value.path()))),
        Err(refused) => shown(&visitor, &film, &Complaints::of(&refused)).await,
    }
}

async fn remove(visitor: Visitor, Path(id): Path<Uuid>, _form: Posted) -> Answer {
    visitor.signed_in()?;
    let asked = call("asset-pipeline").delete(film::at(id, ""));
    match visitor.ask::<Value>(asked).await? {
        Ok(_) => Ok(go(&notice::FILM_DELETED.on("/creator/videos"))),
        Err(refused) => {
            let film = film::find(&visitor, id).await?;
            shown(&visitor, &film, &Complaints::of(&refused)).await
        }
    }
}
