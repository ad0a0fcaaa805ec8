//! What holds for a tenant.

use crate::content::Maturity;
use crate::{Manage, rights, store};
use nexus_sdk::axum::http::HeaderName;
use nexus_sdk::prelude::*;

nexus_sdk::refusals! {
    TerritoryForm = 422, "a territory has two capital letters (ISO 3166-1 alpha-2)";
    HeaderForm = 422, "a header's name has 1 to 60 of a-z, 0-9 and dash"
}

pub fn router() -> Router {
    Router::new().route("/settings", get(show).put(set))
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Whether somebody with `content-cms:review` says yes before something is published.
    pub review_required: bool,
    /// What is shown to those who have not signed in.
    pub visitor_maturity: Maturity,
    /// Where viewers are, as far as nothing else says it.
    pub territory: Option<String>,
    /// In which a proxy in front says where a viewer is. Only with one that sets it itself: from a
    /// viewer it would be a claim.
    pub territory_header: Option<String>,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            review_required: false,
            visitor_maturity: Maturity::Sixteen,
            territory: None,
            territory_header: None,
        }
    }
}

impl Settings {
    fn check(&self) -> Result<(), Refusal> {
        if self.territory.as_deref().is_some_and(|it| !rights::is_territory(it)) {
            return Err(TerritoryForm.at("territory"));
        }
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let named = |name: &str| {
            (1..=60).contains(&name.len())
                && name.bytes().all(plain)
                && HeaderName::try_from(name).is_ok()
        };
        if self.territory_header.as_deref().is_some_and(|name| !named(name)) {
            return Err(HeaderForm.at("territory_header"));
        }
        Ok(())
    }

    /// Where a viewer is. Unknown where nobody says it: then only what may be shown everywhere is.
    pub fn territory_of(&self, headers: &HeaderMap) -> Option<String> {
        let told = self.territory_header.as_deref().and_then(|name| headers.get(name));
        let told = told.and_then(|value| value.to_str().ok()).map(str::trim);
        let told = told.map(str::to_ascii_uppercase).filter(|it| rights::is_territory(it));
        told.or_else(|| self.territory.clone())
    }
}

async fn show(by: SignedIn) -> Result<Json<Settings>> {
    store::settings::of(by.db()).await.map(Json)
}

async fn set(by: Allowed<Manage>, Json(settings): Json<Settings>) -> Result<NoContent> {
    settings.check()?;
    by.commit(store::settings::put(&settings, by.now())).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_a_viewer_is_says_a_proxy_and_nobody_else() {
        let headers = HeaderMap::from_iter([("x-country".parse().unwrap(), "at".parse().unwrap())]);
        let by_header =
            Settings { territory_header: Some("x-country".into()), ..Settings::default() };
        assert_eq!(by_header.territory_of(&headers).as_deref(), Some("AT"));
        assert_eq!(Settings::default().territory_of(&headers), None);
        let home = Settings { territory: Some("DE".into()), ..by_header };
        assert_eq!(home.territory_of(&HeaderMap::new()).as_deref(), Some("DE"));
        assert!(home.check().is_ok());
    }

    #[test]
    fn what_is_no_territory_and_no_header_is_refused() {
        for (territory, header) in [(Some("Germany"), None), (None, Some("X Country"))] {
            let settings = Settings {
                territory: territory.map(str::to_owned),
                territory_header: header.map(str::to_owned),
                ..Settings::default()
            };
            assert!(settings.check().is_err(), "{settings:?}");
        }
    }
}
