//! The page that plays a title. Playing needs a script, and somebody who is signed in; this page
//! finds out what is to be played, and the player does the rest.

use crate::catalogue::{self, Kind};
use crate::household::Household;
use crate::prelude::*;
use crate::progress;
use nexus_sdk::prelude::*;
use web_kit::answer::Policy;
use web_kit::document::Document;

pub fn router() -> Router {
    Router::new().route("/watch/{title}", get(show))
}

/// Where the player is, as `player-api` says.
#[derive(Debug, Deserialize)]
pub struct Sdk {
    player: String,
    style: String,
    hls: String,
}

impl Sdk {
    pub async fn find(visitor: &Visitor) -> Result<Sdk, Trouble> {
        visitor.need(call("player-api").get("/api/player-api/v1/sdk")).await
    }
}

/// What a player is told by its attributes.
#[derive(Debug, Default)]
pub struct Wish<'a> {
    pub asset: Uuid,
    pub title: Option<Uuid>,
    pub profile: Option<Uuid>,
    pub name: &'a str,
    pub back: &'a str,
    /// `hls` or `dash`, where the address says so.
    pub engine: &'a str,
}

/// Nothing but the player. It fetches from our own origin, makes the film out of pieces (`blob:`),
/// takes them apart in a worker, and fills a list of subtitles that begins empty (`data:`).
pub fn player(sdk: &Sdk, wish: &Wish<'_>) -> Response {
    let engine = Some(wish.engine).filter(|it| matches!(*it, "hls" | "dash"));
    let body = html! {
        link rel="modulepreload" href=(sdk.player);
        @if engine != Some("dash") { link rel="preload" as="script" href=(sdk.hls); }
        main #main tabindex="-1" {
            h1.away { (wish.name) }
            nexus-player asset=(wish.asset) title-id=[wish.title] profile=[wish.profile]
                heading=(wish.name) back=(wish.back) engine=[engine] {
                noscript {
                    div.tv-empty {
                        h2 { "Playing needs JavaScript" }
                        p { "Everything else here works without it. Please allow it and reload." }
                        p.actions { a.button.primary href=(wish.back) { "Back" } }
                    }
                }
            }
        }
    };
    let shown = Document::new(wish.name, "watch")
        .style(crate::assets::STYLE.path())
        .style(sdk.style.clone())
        .script(sdk.player.clone())
        .show(&body);
    let policy = Policy::strict()
        .allow("connect-src", "'self'")
        .allow("media-src", "'self' blob: data:")
        .allow("worker-src", "'self' blob:");
    page_allowing(StatusCode::OK, shown, &policy)
}

async fn show(visitor: Visitor, Path(name): Path<String>) -> Answer {
    visitor.signed_in()?;
    let household = match Household::known(&visitor).await? {
        Ok(household) => household,
        Err(ask) => return Ok(ask),
    };
    let whole = catalogue::title(&visitor, &household, &name).await?;
    if whole.card.kind == Kind::Series {
        let all: Vec<_> = whole.seasons.iter().flat_map(|season| &season.episodes).collect();
        let known = progress::of(&visitor, &all).await?;
        let next = known.next(&all).ok_or(Trouble::Missing)?;
        return Ok(go(&format!("/watch/{}", next.id)));
    }
    let sdk = Sdk::find(&visitor).await?;
    let about = whole.series_card.as_ref().map_or(whole.card.id, |series| series.id);
    let back = format!("/tv/title/{about}");
    let heading = match (&whole.series_card, whole.card.season, whole.card.number) {
        (Some(series), Some(season), Some(number)) => {
            format!("{}: S{season} E{number}, {}", series.name, whole.card.name)
        }
        _ => whole.card.name.clone(),
    };
    let wish = Wish {
        asset: whole.card.asset.ok_or(Trouble::Missing)?,
        title: Some(whole.card.id),
        profile: household.watching.as_ref().map(|it| it.id),
        name: &heading,
        back: &back,
        engine: visitor.query("engine"),
    };
    Ok(player(&sdk, &wish))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_player_may_load_from_us_alone_and_a_name_is_text() {
        let sdk = Sdk { player: "/p.js".into(), style: "/p.css".into(), hls: "/h.js".into() };
        let wish = Wish { name: "\"><script>", back: "/tv", engine: "evil", ..Wish::default() };
        let response = player(&sdk, &wish);
        let policy = response.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(policy.contains("connect-src 'self'"), "{policy}");
        assert!(!policy.contains("unsafe") && !policy.contains("http"), "{policy}");
    }
}
