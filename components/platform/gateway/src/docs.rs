//! The API reference for people: `/docs`, rendered here, without script. The list and the search
//! come from the registry's last look, a service's page from the service's own document as it is
//! now.

mod assets;
mod frame;
mod outline;
mod overview;
mod service_page;

use crate::{registry, store};
use nexus_sdk::prelude::*;
use nexus_sdk::{Operation, Output};

/// Results of one search.
const FOUND_MAX: i32 = 100;
/// More words than anybody needs.
const WORDS_MAX: usize = 8;

pub fn router() -> Router {
    Router::new()
        .route("/docs", get(index))
        .route("/docs/{service}", get(show))
        .merge(assets::router())
}

#[derive(Deserialize, JsonSchema)]
struct Asked {
    /// Words that all occur in an operation, its service or its permission.
    #[serde(default)]
    q: String,
}

/// A whole page.
struct Page(maud::Markup);

/// Nothing but our own style sheet, typeface and logo; forms to ourselves.
const CONTENT_POLICY: &str = "default-src 'none'; style-src 'self'; font-src 'self'; \
img-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

impl IntoResponse for Page {
    fn into_response(self) -> Response {
        let headers = [
            (header::CONTENT_TYPE, "text/html; charset=utf-8"),
            (header::CONTENT_SECURITY_POLICY, CONTENT_POLICY),
            (header::X_FRAME_OPTIONS, "DENY"),
            (header::REFERRER_POLICY, "same-origin"),
            (header::CACHE_CONTROL, "no-cache"),
        ];
        (headers, self.0.into_string()).into_response()
    }
}

impl Output for Page {
    fn describe(operation: &mut Operation) {
        operation.response(StatusCode::OK, "text/html", json!({ "type": "string" }));
    }
}

async fn index(anyone: Public, Query(asked): Query<Asked>) -> Result<Page> {
    registry::ensure_fresh(&anyone).await?;
    let services = store::described(anyone.db()).await?;
    let server = anyone.variable("public_url").await?;
    let query = asked.q.trim();
    if query.is_empty() {
        return Ok(Page(overview::all(&services, &server)));
    }
    let words = query.split_whitespace().take(WORDS_MAX).map(str::to_owned).collect();
    let found = store::search(anyone.db(), &words, FOUND_MAX).await?;
    Ok(Page(overview::found(&services, query, &found, FOUND_MAX as usize)))
}

async fn show(anyone: Public, Path(name): Path<String>) -> Result<Page> {
    registry::ensure_fresh(&anyone).await?;
    let services = store::described(anyone.db()).await?;
    let entry = services.iter().find(|service| service.name == name).ok_or(standard::NotFound)?;
    let document = registry::document(&name).await?;
    let now = anyone.now();
    let ending = store::versions::ending(anyone.db()).await?;
    let ending: Vec<_> = ending
        .into_iter()
        .filter(|version| version.service == name)
        .map(|version| version.seen_at(now))
        .collect();
    let server = anyone.variable("public_url").await?;
    Ok(Page(service_page::page(&services, entry, &document, &ending, &server)))
}
