//! Kinds of devices, and what each is asked to play. Ours stand here; an administrator may set
//! others in their place, or further ones.

use crate::{Manage, store};
use nexus_sdk::Allowed;
use nexus_sdk::prelude::*;

nexus_sdk::refusals! {
    DeviceName = 422, "a device is named by 1 to 40 of a-z, 0-9 and dash";
    DeviceLimit = 422, "limits are 144 to 4320 lines, 100 to 1000000 kb/s, 4 to 300 s of buffer"
}

/// What somebody is on who does not say it.
pub const USUAL: &str = "web-desktop";

pub fn router() -> Router {
    Router::new()
        .route("/devices", get(list))
        .route("/devices/{name}", get(show).put(set).delete(reset))
}

/// Which of its engines a player begins with; the other one is what it falls back to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Engine {
    /// hls.js.
    Hls,
    /// shaka-player.
    Dash,
}

impl ToParam for Engine {
    fn to_param(&self) -> Param {
        word(self)
    }
}

/// What a kind of device is asked to play.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    pub engine: Engine,
    /// Lines of the largest picture; none where its screen decides.
    #[serde(default)]
    pub height_max: Option<i32>,
    #[serde(default)]
    pub kbps_max: Option<i32>,
    /// What is loaded ahead.
    pub buffer_seconds: i32,
}

/// A kind of device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Device {
    pub name: String,
    #[serde(flatten)]
    pub limits: Limits,
}

/// Ours, until somebody sets others.
fn built_in() -> Vec<Device> {
    let device = |name: &str, height_max: Option<i32>, buffer_seconds: i32| Device {
        name: name.to_owned(),
        limits: Limits { engine: Engine::Hls, height_max, kbps_max: None, buffer_seconds },
    };
    vec![
        device(USUAL, None, 30),
        // A telephone shows no more than that, and pays for its line.
        device("web-mobile", Some(1080), 20),
        // A box beside a television has little memory for script, and one film for an evening.
        device("tv", Some(2160), 40),
    ]
}

fn is_name(name: &str) -> bool {
    let letter = |it: u8| it.is_ascii_lowercase() || it.is_ascii_digit() || it == b'-';
    (1..=40).contains(&name.len()) && name.bytes().all(letter)
}

impl Limits {
    fn is_sane(&self) -> bool {
        self.height_max.is_none_or(|it| (144..=4320).contains(&it))
            && self.kbps_max.is_none_or(|it| (100..=1_000_000).contains(&it))
            && (4..=300).contains(&self.buffer_seconds)
    }
}

/// All kinds, by name.
pub async fn all(by: &Ctx) -> Result<Vec<Device>> {
    let mut all = store::devices::all(by.db()).await?;
    let ours = built_in().into_iter();
    let missing: Vec<Device> =
        ours.filter(|own| all.iter().all(|set| set.name != own.name)).collect();
    all.extend(missing);
    all.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(all)
}

/// The kind of that name; the usual one where there is none.
pub async fn of(by: &Ctx, name: &str) -> Result<Device> {
    let mut all = all(by).await?;
    let found = all.iter().position(|it| it.name == name);
    let found = found.or_else(|| all.iter().position(|it| it.name == USUAL));
    found.map(|at| all.swap_remove(at)).ok_or_else(|| standard::NotFound.into())
}

#[derive(Serialize, JsonSchema)]
struct Devices {
    items: Vec<Device>,
}

async fn list(by: Public) -> Result<Json<Devices>> {
    Ok(Json(Devices { items: all(&by).await? }))
}

async fn show(by: Public, Path(name): Path<String>) -> Result<Json<Device>> {
    let found = all(&by).await?.into_iter().find(|it| it.name == name);
    Ok(Json(found.ok_or(standard::NotFound)?))
}

async fn set(
    by: Allowed<Manage>,
    Path(name): Path<String>,
    Json(limits): Json<Limits>,
) -> Result<NoContent> {
    if !is_name(&name) {
        return Err(DeviceName.into());
    }
    if !limits.is_sane() {
        return Err(DeviceLimit.into());
    }
    by.commit(store::devices::put(&Device { name, limits }, by.now())).await
}

/// Back to ours, or to none.
async fn reset(by: Allowed<Manage>, Path(name): Path<String>) -> Result<NoContent> {
    by.commit(store::devices::remove(&name)).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ours_are_sane_and_the_usual_one_is_among_them() {
        let ours = built_in();
        assert!(ours.iter().all(|it| it.limits.is_sane() && is_name(&it.name)));
        assert!(ours.iter().any(|it| it.name == USUAL));
    }

    #[test]
    fn limits_outside_of_what_there_is_are_refused() {
        let sane = built_in()[0].limits.clone();
        assert!(!Limits { height_max: Some(10), ..sane.clone() }.is_sane());
        assert!(!Limits { kbps_max: Some(0), ..sane.clone() }.is_sane());
        assert!(!Limits { buffer_seconds: 0, ..sane }.is_sane());
        assert!(!is_name("") && !is_name("TV") && is_name("tv-4k"));
    }
}
