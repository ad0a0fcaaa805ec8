//! When an API version ends: `deprecated` says that there is something better, `sunset` when it
//! stops answering. The data plane reads `lifecycles` and says it on every answer (RFC 9745,
//! RFC 8594). Versions are the installation's, so its first tenant decides about them.

use crate::registry::{self, INSTALLATION};
use crate::{Manage, store};
use nexus_sdk::prelude::*;
use platform_contract::gateway::ApiVersionChanged;

nexus_sdk::refusals! {
    VersionElsewhere = 403, "API versions are decided about from the first tenant";
    SunsetOrder = 422, "a version is deprecated before its sunset, and says since when";
    SuccessorForm = 422, "a successor is another version of this service, such as `v2`";
    NoticeUrl = 422, "a notice is an https address of at most 500 characters"
}

pub fn router() -> Router {
    Router::new()
        .route("/versions", get(list))
        .route("/versions/{service}/{version}", get(show).put(set).delete(reset))
        .route("/lifecycles", get(lifecycles))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    Current,
    Deprecated,
    Sunset,
}

/// A version of a service's API.
#[derive(Clone, Deserialize)]
pub struct Kept {
    pub service: String,
    pub version: String,
    pub deprecated_at: Option<Time>,
    pub sunset_at: Option<Time>,
    pub successor: Option<String>,
    pub notice_url: Option<String>,
    pub revision: i64,
    pub updated_at: Time,
}

/// A version of a service's API, and where it stands in its life.
#[derive(Serialize, JsonSchema)]
pub struct Version {
    pub service: String,
    pub version: String,
    pub stage: Stage,
    pub deprecated_at: Option<Time>,
    pub sunset_at: Option<Time>,
    /// The version to go to.
    pub successor: Option<String>,
    /// What to read about it.
    pub notice_url: Option<String>,
    pub revision: i64,
    pub updated_at: Time,
}

impl Kept {
    pub fn seen_at(self, now: Time) -> Version {
        let past = |at: Option<Time>| at.is_some_and(|at| at <= now);
        let stage = match (past(self.sunset_at), past(self.deprecated_at)) {
            (true, _) => Stage::Sunset,
            (_, true) => Stage::Deprecated,
            _ => Stage::Current,
        };
        Version {
            service: self.service,
            version: self.version,
            stage,
            deprecated_at: self.deprecated_at,
            sunset_at: self.sunset_at,
            successor: self.successor,
            notice_url: self.notice_url,
            revision: self.revision,
            updated_at: self.updated_at,
        }
    }

    /// What every answer of this version says; `None` where there is nothing to say.
    fn lifecycle(&self) -> Option<Lifecycle> {
        let deprecated = self.deprecated_at?;
        let base = format!("/api/{}", self.service);
        let mut links = Vec::new();
        if let Some(successor) = &self.successor {
            links.push(format!("<{base}/{successor}>; rel=\"successor-version\""));
        }
        if let Some(notice) = &self.notice_url {
            links.push(format!("<{notice}>; rel=\"deprecation\"; type=\"text/html\""));
        }
        Some(Lifecycle {
            service: self.service.clone(),
            version: self.version.clone(),
            deprecation: format!("@{}", deprecated.timestamp()),
            sunset: self.sunset_at.map(|at| at.format("%a, %d %b %Y %H:%M:%S GMT").to_string()),
            link: (!links.is_empty()).then(|| links.join(", ")),
        })
    }
}

/// Header fields of a version's answers, ready to be sent.
#[derive(Debug, PartialEq, Serialize, JsonSchema)]
struct Lifecycle {
    service: String,
    version: String,
    /// RFC 9745: `@` and the second since 1970.
    deprecation: String,
    /// RFC 8594: an HTTP date.
    sunset: Option<String>,
    link: Option<String>,
}

#[derive(Serialize, JsonSchema)]
struct Lifecycles {
    /// False while the database cannot be asked: what was said before still holds.
    known: bool,
    items: Vec<Lifecycle>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Draft {
    /// Since when, or from when on.
    deprecated_at: Option<Time>,
    sunset_at: Option<Time>,
    successor: Option<String>,
    notice_url: Option<String>,
}

impl Draft {
    fn check(&self, version: &str) -> Result<(), Refusal> {
        match (self.deprecated_at, self.sunset_at) {
            (None, Some(_)) => return Err(SunsetOrder.at("deprecated_at")),
            (Some(deprecated), Some(sunset)) if sunset < deprecated => {
                return Err(SunsetOrder.at("sunset_at"));
            }
            _ => {}
        }
        let number = |text: &str| {
            let digits = text.strip_prefix('v')?;
            let fits = (1..=3).contains(&digits.len())
                && digits.bytes().all(|b| b.is_ascii_digit())
                && !digits.starts_with('0');
            fits.then_some(())
        };
        let another = |it: &str| number(it).is_some() && it != version;
        if self.successor.as_deref().is_some_and(|it| !another(it)) {
            return Err(SuccessorForm.at("successor"));
        }
        let address = |it: &str| {
            let plain = |b: u8| b.is_ascii_graphic() && !b"<>\"\\".contains(&b);
            it.starts_with("https://") && it.len() <= 500 && it.bytes().all(plain)
        };
        if self.notice_url.as_deref().is_some_and(|it| !address(it)) {
            return Err(NoticeUrl.at("notice_url"));
        }
        Ok(())
    }
}

async fn list(anyone: Public, cursor: Cursor) -> Result<Page<Version>> {
    registry::ensure_fresh(&anyone).await?;
    let now = anyone.now();
    let page = store::versions::list(anyone.db(), &cursor).await?;
    Ok(page.map(|kept| kept.seen_at(now)))
}

async fn show(anyone: Public, path: Path<(String, String)>) -> Result<Tagged<Json<Version>>> {
    registry::ensure_fresh(&anyone).await?;
    answer(&anyone, &path.0).await
}

async fn answer(by: &Ctx, (service, version): &(String, String)) -> Result<Tagged<Json<Version>>> {
    let kept = store::versions::find(by.db(), service, version).await?;
    Ok(Tagged(Etag::of_version(kept.revision), Json(kept.seen_at(by.now()))))
}

async fn set(
    by: Allowed<Manage>,
    path: Path<(String, String)>,
    seen: Option<IfMatch>,
    Json(draft): Json<Draft>,
) -> Result<Tagged<Json<Version>>> {
    draft.check(&path.0.1)?;
    change(&by, path.0, seen, draft).await
}

/// It is current again.
async fn reset(
    by: Allowed<Manage>,
    path: Path<(String, String)>,
    seen: Option<IfMatch>,
) -> Result<Tagged<Json<Version>>> {
    let nothing = Draft { deprecated_at: None, sunset_at: None, successor: None, notice_url: None };
    change(&by, path.0, seen, nothing).await
}

async fn change(
    by: &Ctx,
    path: (String, String),
    seen: Option<IfMatch>,
    draft: Draft,
) -> Result<Tagged<Json<Version>>> {
    if Uuid::from(by.tenant()) != INSTALLATION {
        return Err(VersionElsewhere.into());
    }
    registry::ensure_fresh(by).await?;
    let (service, version) = &path;
    let mut kept = store::versions::find(by.db(), service, version).await?;
    if let Some(seen) = seen {
        seen.allow(&Etag::of_version(kept.revision))?;
    }
    kept.deprecated_at = draft.deprecated_at;
    kept.sunset_at = draft.sunset_at;
    kept.successor = draft.successor;
    kept.notice_url = draft.notice_url;
    let who = by.principal().subject.clone();
    let told = ApiVersionChanged {
        service: service.clone(),
        version: version.clone(),
        deprecated_at: kept.deprecated_at,
        sunset_at: kept.sunset_at,
        by: who.clone(),
    };
    by.commit([store::versions::put(&kept, &who, by.now()).expect_rows(1), emit(told)]).await?;
    answer(by, &path).await
}

/// What the data plane says on answers. It reads this every few seconds.
async fn lifecycles(anyone: Public) -> Result<Json<Lifecycles>> {
    match store::versions::ending(anyone.db()).await {
        Ok(all) => {
            let items = all.iter().filter_map(Kept::lifecycle).collect();
            Ok(Json(Lifecycles { known: true, items }))
        }
        // Nobody waits for this answer; whoever needs the database says that it is away.
        Err(Error::Unavailable { .. }) => Ok(Json(Lifecycles { known: false, items: Vec::new() })),
        Err(other) => Err(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Option<Time> {
        Some(text.parse().unwrap())
    }

    fn kept() -> Kept {
        Kept {
            service: "kms".into(),
            version: "v1".into(),
            deprecated_at: at("2026-03-01T00:00:00Z"),
            sunset_at: at("2027-03-01T00:00:00Z"),
            successor: Some("v2".into()),
            notice_url: Some("https://example.com/v2".into()),
            revision: 1,
            updated_at: at("2026-01-01T00:00:00Z").unwrap(),
        }
    }

    #[test]
    fn the_fields_are_those_of_the_standards() {
        let said = kept().lifecycle().unwrap();
        assert_eq!(said.deprecation, "@1772323200");
        assert_eq!(said.sunset.as_deref(), Some("Mon, 01 Mar 2027 00:00:00 GMT"));
        assert_eq!(
            said.link.as_deref(),
            Some(
                "</api/kms/v2>; rel=\"successor-version\", \
                 <https://example.com/v2>; rel=\"deprecation\"; type=\"text/html\""
            )
        );
        assert_eq!(Kept { deprecated_at: None, ..kept() }.lifecycle(), None);
    }

    #[test]
    fn a_version_grows_old_by_itself() {
        for (now, stage) in [
            ("2026-02-28T23:59:59Z", Stage::Current),
            ("2026-03-01T00:00:00Z", Stage::Deprecated),
            ("2027-03-01T00:00:00Z", Stage::Sunset),
        ] {
            assert_eq!(kept().seen_at(now.parse().unwrap()).stage, stage, "{now}");
        }
    }

    #[test]
    fn an_end_before_its_announcement_is_refused() {
        let draft = |value| serde_json::from_value::<Draft>(value).unwrap().check("v1");
        let refused = draft(json!({ "sunset_at": "2027-01-01T00:00:00Z" }));
        assert_eq!(refused, Err(SunsetOrder.at("deprecated_at")));
        for bad in ["v1", "v0", "2", "v", "vx"] {
            assert_eq!(draft(json!({ "successor": bad })), Err(SuccessorForm.at("successor")));
        }
        for bad in ["http://example.com", "https://a>; rel=\"x", "https://a\r\nset-cookie: b"] {
            assert_eq!(draft(json!({ "notice_url": bad })), Err(NoticeUrl.at("notice_url")));
        }
        assert_eq!(draft(json!({})), Ok(()));
    }
}
