//! Announcements: news and maintenance notes, shown between a start and an end.

use crate::{Operate, View, store};
use nexus_sdk::prelude::*;
use platform_contract::AnnouncementId;

nexus_sdk::refusals! {
    AnnouncementTitle = 422, "a title takes 1 to 160 characters, a body at most 10000";
    AnnouncementEnd = 422, "an announcement ends after it starts"
}

pub fn router() -> Router {
    Router::new()
        .route("/announcements", get(list_current).post(create))
        .route("/announcements/all", get(list_all))
        .route("/announcements/{id}", put(replace).delete(remove))
}

#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Announcement {
    pub id: AnnouncementId,
    pub title: String,
    pub body: String,
    pub level: Level,
    pub starts_at: Time,
    pub ends_at: Option<Time>,
    pub created_at: Time,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    News,
    Notice,
    Warning,
}

impl ToParam for Level {
    fn to_param(&self) -> Param {
        word(self)
    }
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Draft {
    pub title: String,
    #[serde(default)]
    pub body: String,
    pub level: Level,
    /// Now, when absent.
    pub starts_at: Option<Time>,
    /// Until removed, when absent.
    pub ends_at: Option<Time>,
}

impl Draft {
    fn checked(self, id: AnnouncementId, now: Time) -> Result<Announcement, Refusal> {
        if !(1..=160).contains(&self.title.trim().chars().count()) {
            return Err(AnnouncementTitle.at("title"));
        }
        if self.body.chars().count() > 10_000 {
            return Err(AnnouncementTitle.at("body"));
        }
        let starts_at = self.starts_at.unwrap_or(now);
        if self.ends_at.is_some_and(|end| end <= starts_at) {
            return Err(AnnouncementEnd.at("ends_at"));
        }
        Ok(Announcement {
            id,
            title: self.title.trim().to_string(),
            body: self.body,
            level: self.level,
            starts_at,
            ends_at: self.ends_at,
            created_at: now,
        })
    }
}

async fn list_current(anyone: Public, cursor: Cursor) -> Result<Page<Announcement>> {
    store::current_announcements(anyone.db(), anyone.now(), &cursor).await
}

async fn list_all(by: Allowed<View>, cursor: Cursor) -> Result<Page<Announcement>> {
    store::announcements(by.db(), &cursor).await
}

async fn create(by: Allowed<Operate>, Json(draft): Json<Draft>) -> Result<Created<Announcement>> {
    let announcement = draft.checked(by.new_id(), by.now())?;
    by.commit(store::insert_announcement(&announcement)).await?;
    Ok(Created(announcement))
}

async fn replace(
    by: Allowed<Operate>,
    Path(id): Path<AnnouncementId>,
    Json(draft): Json<Draft>,
) -> Result<NoContent> {
    let announcement = draft.checked(id, by.now())?;
    by.commit(store::update_announcement(&announcement).or_refuse(standard::NotFound)).await
}

async fn remove(by: Allowed<Operate>, Path(id): Path<AnnouncementId>) -> Result<NoContent> {
    by.commit(store::remove_announcement(id).or_refuse(standard::NotFound)).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft() -> Draft {
        serde_json::from_value(json!({ "title": " Maintenance ", "level": "notice" })).unwrap()
    }

    fn at(text: &str) -> Time {
        text.parse().unwrap()
    }

    #[test]
    fn an_announcement_starts_now_unless_it_says_otherwise() {
        let now = at("2026-03-01T10:00:00Z");
        let made = draft().checked(Uuid::nil().into(), now).unwrap();
        assert_eq!((made.title.as_str(), made.starts_at), ("Maintenance", now));
    }

    #[test]
    fn one_that_ends_before_it_starts_is_refused() {
        let early = Draft { ends_at: Some(at("2026-03-01T10:00:00Z")), ..draft() };
        let refused = early.checked(Uuid::nil().into(), at("2026-03-01T10:00:00Z"));
        assert_eq!(refused.err().unwrap().name, "AnnouncementEnd");
    }

    #[test]
    fn a_blank_title_is_refused() {
        let blank = Draft { title: "  ".into(), ..draft() };
        let refused = blank.checked(Uuid::nil().into(), at("2026-03-01T10:00:00Z"));
        assert_eq!(refused.err().unwrap().name, "AnnouncementTitle");
    }
}
