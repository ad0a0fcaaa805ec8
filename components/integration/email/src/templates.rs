//! Templates of a tenant's own: written, looked at as they would arrive, used, and taken back.
//!
//! A version is never changed. One of each name and locale is used; without any, the built-in words
//! are. Knows which one a message gets; how it is set is `render.rs`.

use crate::render::{self, Frame, Model, Rendered, Source};
use crate::{Manage, View, senders, store, words};
use nexus_sdk::prelude::*;
use nexus_sdk::serde_json::{Map, Value};

nexus_sdk::refusals! {
    TemplateName = 422, "a template's name takes 1 to 64 of a-z, 0-9 and dashes";
    TemplateSize = 422, "a subject takes 1 to 500 characters, a body at most 64 KiB";
    TemplateRace = 409, "somebody else has just written a version of this template";
    TemplateVersions = 409, "a template takes at most 1000 versions"
}

const NAME_CHARS_MAX: usize = 64;
const SUBJECT_CHARS: std::ops::RangeInclusive<usize> = 1..=500;
const BODY_BYTES_MAX: usize = 64 * 1024;
const VERSIONS_MAX: i32 = 1000;

pub fn router() -> Router {
    Router::new()
        .route("/templates", get(list).post(create))
        .route("/templates/preview", post(preview))
        .route("/templates/{name}/{locale}", delete(retire))
        .route("/templates/{name}/{locale}/{version}", get(show))
        .route("/templates/{name}/{locale}/{version}/activate", post(activate))
        .route("/built-in-templates", get(built_in))
}

/// One version.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Template {
    pub name: String,
    pub locale: String,
    pub version: i32,
    pub subject: String,
    pub html: String,
    pub plain: String,
    pub is_current: bool,
    pub created_at: Time,
    pub created_by: String,
}

/// One version without its bodies.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Version {
    pub name: String,
    pub locale: String,
    pub version: i32,
    pub subject: String,
    pub is_current: bool,
    pub created_at: Time,
    pub created_by: String,
}

impl Template {
    pub fn source(&self) -> Source {
        let Self { subject, html, plain, .. } = self.clone();
        Source { subject, html, plain }
    }
}

/// The tenant's own template for a locale; none where the built-in one is nearer or there is none.
pub async fn choose(db: &Db, name: &str, locale: &str) -> Result<Option<Template>> {
    if !is_name(name) {
        return Err(render::TemplateUnknown.at("template").into());
    }
    let own = store::templates::current(db, name).await?;
    let is_built_in = words::find(name, locale).is_some();
    let locales: Vec<_> = own.iter().map(|template| template.locale.as_str()).collect();
    match nearest(&locales, locale, is_built_in) {
        Some(at) => Ok(own.into_iter().nth(at)),
        None if is_built_in => Ok(None),
        None => Err(render::TemplateUnknown.at("template").into()),
    }
}

/// The place of the locale that comes nearest: the same, the same language, then, where there are
/// no built-in words, English and at last any.
fn nearest(locales: &[&str], wanted: &str, is_built_in: bool) -> Option<usize> {
    let language = |locale: &str| locale.split(['-', '_']).next().map(str::to_ascii_lowercase);
    let place = |test: &dyn Fn(&str) -> bool| locales.iter().position(|locale| test(locale));
    let same = place(&|locale| locale.eq_ignore_ascii_case(wanted));
    let near = same.or_else(|| place(&|locale| language(locale) == language(wanted)));
    let far = || {
        let english = place(&|locale| language(locale).as_deref() == Some("en"));
        english.or((!locales.is_empty()).then_some(0))
    };
    match is_built_in {
        true => near,
        false => near.or_else(far),
    }
}

fn is_name(name: &str) -> bool {
    let is_plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    (1..=NAME_CHARS_MAX).contains(&name.len())
        && name.bytes().all(is_plain)
        && name.starts_with(|c: char| c.is_ascii_lowercase())
}

#[derive(Deserialize, JsonSchema)]
struct Search {
    name: Option<String>,
}

async fn list(
    by: Allowed<View>,
    cursor: Cursor,
    Query(search): Query<Search>,
) -> Result<Page<Version>> {
    store::templates::list(by.db(), search.name.as_deref(), &cursor).await
}

async fn show(
    by: Allowed<View>,
    Path((name, locale, version)): Path<(String, String, i32)>,
) -> Result<Json<Template>> {
    store::templates::find(by.db(), &name, &locale, version).await.map(Json)
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Draft {
    name: String,
    locale: String,
    subject: String,
    html: String,
    plain: String,
}

/// A new version, which is used from now on. A template that cannot be read is refused here, not
/// when somebody waits for the message.
async fn create(by: Allowed<Manage>, Json(draft): Json<Draft>) -> Result<Created<Template>> {
    if !is_name(&draft.name) {
        return Err(TemplateName.at("name").into());
    }
    if !words::is_locale(&draft.locale) {
        return Err(words::LocaleForm.at("locale").into());
    }
    let source = source(draft.subject, draft.html, draft.plain)?;
    render::read(&source)?;
    let version = store::templates::latest(by.db(), &draft.name, &draft.locale).await? + 1;
    if version > VERSIONS_MAX {
        return Err(TemplateVersions.into());
    }
    let template = Template {
        name: draft.name,
        locale: draft.locale,
        version,
        subject: source.subject,
        html: source.html,
        plain: source.plain,
        is_current: true,
        created_at: by.now(),
        created_by: by.principal().subject.clone(),
    };
    let retire = store::templates::retire(&template.name, &template.locale);
    let insert = store::templates::insert(&template)
        .on_conflict_refuse("template_pkey", TemplateRace)
        .on_conflict_refuse("template_current", TemplateRace);
    by.commit([retire, insert]).await?;
    Ok(Created(template))
}

fn source(subject: String, html: String, plain: String) -> Result<Source, Refusal> {
    if !SUBJECT_CHARS.contains(&subject.chars().count()) {
        return Err(TemplateSize.at("subject"));
    }
    for (name, body) in [("html", &html), ("plain", &plain)] {
        if body.len() > BODY_BYTES_MAX {
            return Err(TemplateSize.at(name));
        }
    }
    Ok(Source { subject, html, plain })
}

/// Uses an earlier version again.
async fn activate(
    by: Allowed<Manage>,
    Path((name, locale, version)): Path<(String, String, i32)>,
) -> Result<NoContent> {
    let retire = store::templates::retire(&name, &locale);
    let activate = store::templates::activate(&name, &locale, version)
        .on_conflict_refuse("template_current", TemplateRace);
    by.commit([retire, activate]).await
}

/// Back to the built-in words; the versions stay.
async fn retire(
    by: Allowed<Manage>,
    Path((name, locale)): Path<(String, String)>,
) -> Result<NoContent> {
    let retire = store::templates::retire(&name, &locale);
    by.commit(retire.expect_rows(1).or_refuse(standard::NotFound)).await
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Look {
    /// A built-in template, or one of the tenant's own.
    #[serde(default)]
    template: Option<String>,
    /// One that is not written yet.
    #[serde(default)]
    source: Option<Source>,
    #[serde(default)]
    locale: Option<String>,
    #[serde(default)]
    model: Map<String, Value>,
}

/// A message as it would arrive; nothing is sent or kept.
async fn preview(by: Allowed<Manage>, Json(look): Json<Look>) -> Result<Json<Rendered>> {
    let locale = look.locale.unwrap_or_else(|| "en".into());
    if !words::is_locale(&locale) {
        return Err(words::LocaleForm.at("locale").into());
    }
    let sender = senders::of(&by).await?;
    let model = Model::read(look.model)?;
    let frame = Frame { brand: sender.name().to_owned(), locale, unsubscribe: None };
    let rendered = match (look.source, look.template) {
        (Some(given), None) => {
            render::own(&source(given.subject, given.html, given.plain)?, &model, &frame)
        }
        (None, Some(name)) => match choose(by.db(), &name, &frame.locale).await? {
            Some(template) => render::own(&template.source(), &model, &frame),
            None => render::built_in(&name, &model, &frame),
        },
        _ => Err(render::TemplateUnknown.because("give either a template or a source")),
    };
    Ok(Json(rendered?))
}

#[derive(Serialize, JsonSchema)]
struct BuiltIn {
    name: &'static str,
    locales: Vec<&'static str>,
    needs_link: bool,
}

async fn built_in(_by: Allowed<View>) -> Result<Json<Vec<BuiltIn>>> {
    let all = words::all();
    let all =
        all.map(|(name, locales)| BuiltIn { name, locales, needs_link: words::needs_link(name) });
    Ok(Json(all.collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_words_are_chosen() {
        let own = ["de-AT", "en", "fr"];
        for (wanted, is_built_in, chosen) in [
            ("de-AT", true, Some(0)),
            ("DE-at", true, Some(0)),
            ("de", true, Some(0)),
            ("fr-CA", true, Some(2)),
            ("en", true, Some(1)),
            ("es", true, None),
            ("es", false, Some(1)),
        ] {
            assert_eq!(nearest(&own, wanted, is_built_in), chosen, "{wanted} {is_built_in}");
        }
        assert_eq!(nearest(&["ja"], "es", false), Some(0));
        assert_eq!(nearest(&[], "es", false), None);
        assert_eq!(nearest(&[], "en", true), None);
    }

    #[test]
    fn a_name_is_a_plain_word() {
        assert!(is_name("order-shipped") && is_name("a1"));
        for name in ["", "-a", "1a", "Order", "a/b", "a.html", &"a".repeat(65)] {
            assert!(!is_name(name), "{name:?}");
        }
    }
}
