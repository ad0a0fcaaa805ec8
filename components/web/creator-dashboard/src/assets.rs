//! The files beside these pages: their style, what moves on them, and the client of uploads.

use crate::prelude::*;
use nexus_sdk::prelude::*;

web_kit::files! { "/creator/assets":
    STYLE = "studio"."css", "text/css; charset=utf-8";
    STUDIO = "studio"."js", "text/javascript; charset=utf-8";
    UPLOAD = "upload"."js", "text/javascript; charset=utf-8";
    TUS = "tus"."js", "text/javascript; charset=utf-8";
}

pub fn router() -> Router {
    Router::new().route("/creator/assets/{file}", get(show))
}

async fn show(Path(file): Path<String>) -> Result<Response, Trouble> {
    web_kit::assets::answer(ALL, &file)
}
