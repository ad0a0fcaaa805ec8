//! Watching: from an upload that is ready to pictures that can be decoded, and who is turned away.

use super::stage::{PATIENCE, asset_of, becomes, count, creator, film, told, upload};
use nexus::dev_tokens::Claims;
use nexus_harness::prelude::*;
use nexus_runtime::{DEFAULT_TENANT, PrincipalKind};
use std::io::Write as _;
use std::process::{Command, Output};
use uuid::Uuid;

const SESSIONS: &str = "/api/streaming/v1/sessions";

const SERVICES: [&str; 9] = [
    "asset-pipeline",
    "kms",
    "manifest-builder",
    "media-metadata",
    "streaming",
    "thumbnailer",
    "transcoder",
    "uploader",
    "users",
];

async fn cinema() -> Nexus {
    Nexus::setup().services(&SERVICES).start().await
}

/// An asset that is ready, as `streaming` knows it too.
pub async fn ready(by: &Client, seconds: u32, size: &str) -> Value {
    let upload = upload(by, "film.mp4", film(seconds, size)).await;
    let asset = becomes(by, &asset_of(by, &upload).await, "ready").await;
    let url = publication(&asset);
    eventually("streaming knows the asset", PATIENCE, async || by.get(&url).await.status == 200)
        .await;
    let package = asset["package_id"].as_str().unwrap();
    let shown = format!("/api/manifest-builder/v1/packages/{package}");
    eventually("its package is complete", PATIENCE, async || {
        let answer = by.get(&shown).await;
        answer.status == 200 && answer.json::<Value>()["is_complete"] == true
    })
    .await;
    asset
}

fn publication(asset: &Value) -> String {
    format!("/api/streaming/v1/assets/{}/publication", asset["id"].as_str().unwrap())
}

pub async fn play(by: &Client, asset: &Value) -> Value {
    by.post(SESSIONS, json!({ "asset": asset["id"] })).await.status(201).json()
}

/// Lines of a playlist that are addresses.
pub fn addresses(playlist: &str) -> Vec<String> {
    playlist.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
}

/// The address in the tag of a playlist that begins so.
pub fn named(playlist: &str, tag: &str) -> String {
    let line = playlist.lines().find(|line| line.starts_with(tag)).unwrap_or_default();
    let address = line.split("URI=\"").nth(1).and_then(|rest| rest.split('"').next());
    address.unwrap_or_else(|| panic!("no {tag} in {playlist}")).to_owned()
}

pub async fn bytes(by: &Client, address: &str) -> Vec<u8> {
    by.get(address).await.ok().body.to_vec()
}

/// All of a track in one piece: its head and its segments.
pub async fn track(by: &Client, playlist: &str) -> Vec<u8> {
    let mut all = bytes(by, &named(playlist, "#EXT-X-MAP")).await;
    for address in addresses(playlist) {
        all.extend(bytes(by, &address).await);
    }
    all
}

fn run(program: &str, arguments: &[&str], file: &[u8]) -> Output {
    let mut kept = tempfile::NamedTempFile::with_suffix(".mp4").unwrap();
    kept.write_all(file).unwrap();
    let path = kept.path().to_str().unwrap();
    let arguments: Vec<&str> =
        arguments.iter().map(|it| if *it == "FILE" { path } else { *it }).collect();
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output
}

/// Decodes all of it; gives its length in seconds by the decoder's clock.
fn decode(file: &[u8], stream: &str) -> f64 {
    let decoded = run("ffmpeg", &["-v", "error", "-xerror", "-i", "FILE", "-f", "null", "-"], file);
    assert!(decoded.stderr.is_empty(), "{}", String::from_utf8_lossy(&decoded.stderr));
    let asked = ["-v", "error", "-select_streams", stream, "-show_entries", "format=duration"];
    let asked: Vec<&str> = asked.into_iter().chain(["-of", "csv=p=0", "FILE"]).collect();
    let told = run("ffprobe", &asked, file);
    String::from_utf8_lossy(&told.stdout).trim().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_published_plays_up_to_the_size_of_the_plan() {
    let nexus = cinema().await;
    let owner = creator(&nexus).await;
    let asset = ready(&owner, 9, "1920x1080").await;
    let viewer = nexus.member_with(["nothing:at-all"]).await;
    // Nobody but its owner knows that it is there.
    let wish = json!({ "asset": asset["id"] });
    viewer.post(SESSIONS, &wish).await.problem(404, "not-found");
    viewer.get(&publication(&asset)).await.problem(404, "not-found");
    owner.put(&publication(&asset), json!({ "published": true })).await.no_content();
    let session = play(&viewer, &asset).await;
    assert_eq!(session["height_max"], 720);
    let anybody = nexus.anonymous();
    let master = anybody.get(session["hls"].as_str().unwrap()).await.ok();
    assert_eq!(master.header("content-type"), Some("application/vnd.apple.mpegurl"));
    let master = master.text();
    assert!(master.contains("RESOLUTION=1280x720") && !master.contains("1920x1080"), "{master}");
    let variants = addresses(&master);
    assert!(variants.len() >= 4, "{master}");
    // Each of its sizes, and its sound, are whole and decode without a fault.
    for variant in &variants {
        let playlist = anybody.get(variant).await.ok().text();
        let length = decode(&track(&anybody, &playlist).await, "v:0");
        assert!((8.9..=9.1).contains(&length), "{length} s of {variant}");
    }
    let sound = anybody.get(&named(&master, "#EXT-X-MEDIA:TYPE=AUDIO")).await.ok().text();
    let length = decode(&track(&anybody, &sound).await, "a:0");
    assert!((8.9..=9.2).contains(&length), "{length} s of sound");
    // A keyframe by itself is a picture.
    let stills = anybody.get(&named(&master, "#EXT-X-I-FRAME-STREAM-INF")).await.ok().text();
    let range = stills.lines().find_map(|line| line.strip_prefix("#EXT-X-BYTERANGE:")).unwrap();
    let (length, offset) = range.split_once('@').unwrap();
    let (length, offset): (usize, usize) = (length.parse().unwrap(), offset.parse().unwrap());
    let mut still = bytes(&anybody, &named(&stills, "#EXT-X-MAP")).await;
    let first = bytes(&anybody, &addresses(&stills)[0]).await;
    still.extend(&first[offset..offset + length]);
    // The fragment's head names pictures that are not there; the first one is whole.
    let first = ["-v", "fatal", "-i", "FILE", "-frames:v", "1", "-f", "null", "-"];
    run("ffmpeg", &first, &still);
    // DASH names the same segments.
    let manifest = anybody.get(session["dash"].as_str().unwrap()).await.ok();
    assert_eq!(manifest.header("content-type"), Some("application/dash+xml"));
    let manifest = manifest.text();
    assert!(manifest.contains("v720") && !manifest.contains("v1080"), "{manifest}");
    // Pictures of the way through, and one that stands for it.
    let board = anybody.get(session["sprite"].as_str().unwrap()).await.ok().text();
    let picture = board.lines().find(|line| line.starts_with("/media/")).unwrap();
    bytes(&anybody, picture.split('#').next().unwrap()).await;
    bytes(&anybody, session["poster"].as_str().unwrap()).await;
    // Another plan shows more, from the next session on.
    let administrator = nexus.member_with(["streaming:manage", "streaming:view"]).await;
    let subject = viewer_of(&nexus).await;
    let plan = format!("/api/streaming/v1/entitlements/{subject}");
    administrator.put(&plan, json!({ "plan": "creator" })).await.no_content();
    viewer.delete(&format!("{SESSIONS}/{}", session["id"].as_str().unwrap())).await.no_content();
    let session = play(&viewer, &asset).await;
    let master = anybody.get(session["hls"].as_str().unwrap()).await.ok().text();
    assert!(master.contains("RESOLUTION=1920x1080"), "{master}");
    // Both lanes were told ready, each once.
    let ready = told(&nexus, "media.package.ready.v1").await;
    assert_eq!(ready.len(), 2, "{ready:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_that_includes_none_of_the_sizes_is_told_so_instead_of_given_sound_alone() {
    let nexus = cinema().await;
    let by = nexus.member_with(["transcoder:manage", "streaming:manage"]).await;
    let rung = json!({ "side": 1080, "maxrate_bps": 3_000_000 });
    let ladder = json!({ "crf": 30, "preset": "ultrafast", "rungs": [rung] });
    let large = json!({ "name": "large", "ladder": ladder, "is_default": true });
    by.post("/api/transcoder/v1/profiles", large).await.status(201);
    let owner = creator(&nexus).await;
    let asset = ready(&owner, 2, "1920x1080").await;
    owner.put(&publication(&asset), json!({ "published": true })).await.no_content();
    let subject = Uuid::now_v7().to_string();
    let viewer = nexus.anonymous().bearer(&nexus.token(&Claims {
        subject: subject.clone(),
        kind: PrincipalKind::User,
        permissions: Vec::new(),
        tenant: DEFAULT_TENANT,
        lifetime: minutes(30),
    }));
    let wish = json!({ "asset": asset["id"] });
    viewer.post(SESSIONS, &wish).await.problem(409, "no-size-for-plan");
    let plan = format!("/api/streaming/v1/entitlements/{subject}");
    by.put(&plan, json!({ "plan": "creator" })).await.no_content();
    play(&viewer, &asset).await;
}

/// The one viewer of the story.
async fn viewer_of(nexus: &Nexus) -> String {
    let session = nexus.host().database().unwrap().host().await.unwrap();
    let sql = "select distinct viewer_id::text from streaming.session";
    session.query(sql, &[]).await.unwrap()[0].get(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_token_for_this_package_opens_anything_and_only_while_it_lasts() {
    let nexus = cinema().await;
    let owner = creator(&nexus).await;
    let asset = ready(&owner, 2, "320x180").await;
    let session = play(&owner, &asset).await;
    let (hls, dash) = (session["hls"].as_str().unwrap(), session["dash"].as_str().unwrap());
    let anybody = nexus.anonymous();
    let master = anybody.get(hls).await.ok().text();
    let variant = addresses(&master)[0].clone();
    let playlist = anybody.get(&variant).await.ok().text();
    let segment = addresses(&playlist)[0].clone();
    anybody.get(&segment).await.ok();
    let all = [hls, dash, &variant, &segment];
    let token = hls.split_once("?t=").unwrap().1;
    let last = token.chars().last().unwrap();
    let other = if last == 'A' { 'E' } else { 'A' };
    let altered = format!("{}{other}", &token[..token.len() - 1]);
    for address in all {
        let bare = address.split('?').next().unwrap();
        anybody.get(bare).await.problem(403, "playback-denied");
        anybody.get(&format!("{bare}?t={altered}")).await.problem(403, "playback-denied");
        // The package's id is another one's.
        let package = asset["package_id"].as_str().unwrap();
        let foreign = address.replace(package, &uuid::Uuid::now_v7().to_string());
        anybody.get(&foreign).await.problem(403, "playback-denied");
    }
    // A word of the player brings a fresh one; the first one ends by itself.
    nexus.advance(minutes(1)).await;
    let beat = json!({ "position_ms": 1500, "state": "playing" });
    let url = format!("{SESSIONS}/{}/heartbeat", session["id"].as_str().unwrap());
    let again: Value = owner.post(&url, &beat).await.ok().json();
    nexus.advance(minutes(4) + seconds(30)).await;
    for address in all {
        anybody.get(address).await.problem(403, "playback-denied");
    }
    assert_ne!(again["hls"], session["hls"]);
    // Half of it was seen, which counts; where it was is remembered.
    assert_eq!(told(&nexus, "media.view.qualified.v1").await.len(), 1);
    let progress = format!("/api/streaming/v1/progress/{}", asset["id"].as_str().unwrap());
    assert_eq!(owner.get(&progress).await.ok().json::<Value>()["position_ms"], 1500);
    // Nothing was heard of the player for long.
    eventually("the player is taken for gone", PATIENCE, async || {
        let ended = told(&nexus, "media.view.ended.v1").await;
        ended.iter().any(|ended| ended["reason"] == "stale")
    })
    .await;
    owner.post(&url, &beat).await.problem(409, "session-ended");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_taken_back_stops_playing_at_once() {
    let nexus = cinema().await;
    let owner = creator(&nexus).await;
    let asset = ready(&owner, 2, "320x180").await;
    owner.put(&publication(&asset), json!({ "published": true })).await.no_content();
    let viewer = nexus.member_with(["nothing:at-all"]).await;
    let session = play(&viewer, &asset).await;
    let anybody = nexus.anonymous();
    let segment = async |session: &Value| {
        let master = anybody.get(session["hls"].as_str().unwrap()).await.ok().text();
        let playlist = anybody.get(&addresses(&master)[0]).await.ok().text();
        addresses(&playlist)[0].clone()
    };
    let (theirs, own) = (segment(&session).await, play(&owner, &asset).await);
    let own = segment(&own).await;
    // One place, and it is being watched: the next player waits.
    let more = json!({ "asset": asset["id"], "device": "tv" });
    viewer.post(SESSIONS, &more).await.problem(409, "too-many-sessions");
    anybody.get(&theirs).await.ok();
    owner.put(&publication(&asset), json!({ "published": false })).await.no_content();
    let stops = async |address: &str| {
        eventually("the segment is refused", seconds(10), async || {
            anybody.get(address).await.status == 403
        })
        .await;
    };
    stops(&theirs).await;
    // Its owner plays on, until it is gone.
    anybody.get(&own).await.ok();
    let beat = json!({ "position_ms": 100, "state": "playing" });
    let url = format!("{SESSIONS}/{}/heartbeat", session["id"].as_str().unwrap());
    viewer.post(&url, &beat).await.problem(409, "session-ended");
    viewer.post(SESSIONS, &more).await.problem(404, "not-found");
    owner.delete(&super::stage::url_of(&asset)).await.no_content();
    stops(&own).await;
    let gone = "select count(*) from streaming.session where ended_at is null";
    assert_eq!(count(&nexus, gone).await, 0);
}
