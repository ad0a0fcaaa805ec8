//! The files beside these pages, and the kit's, which stand here for every front end.

use crate::prelude::*;
use nexus_sdk::prelude::*;

web_kit::files! { "/account/assets":
    PASSKEY_SCRIPT = "passkey"."js", "text/javascript; charset=utf-8";
    SITE_STYLE = "site"."css", "text/css; charset=utf-8";
}

pub fn router() -> Router {
    Router::new().route("/account/assets/{file}", get(show))
}

async fn show(Path(file): Path<String>) -> Result<Response, Trouble> {
    web_kit::assets::answer(ALL, &file)
}
