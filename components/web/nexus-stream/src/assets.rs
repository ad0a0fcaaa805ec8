//! The files beside these pages.

use nexus_sdk::prelude::*;
use web_kit::assets::answer;
use web_kit::prelude::*;

web_kit::files! { "/tv/assets":
    STYLE = "tv"."css", "text/css; charset=utf-8";
    REMOTE = "remote"."js", "text/javascript; charset=utf-8";
}

pub fn router() -> Router {
    Router::new().route("/tv/assets/{file}", get(show))
}

async fn show(Path(file): Path<String>) -> Result<Response, Trouble> {
    answer(ALL, &file)
}
