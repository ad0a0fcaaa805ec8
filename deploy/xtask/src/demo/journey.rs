//! The way of one film, as its creator goes it: upload, processing, title, playing; and what each
//! piece of it took.

use super::creator::{Creator, expect};
use super::film::{self, Film, POLL};
use crate::http::Request;
use crate::progress::{self, spoken};
use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use std::fmt;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::time::{Duration, Instant};

/// What is sent with one request.
const PIECE_BYTES: usize = 8 << 20;
/// Tries at one piece: the host may be restarted in between.
const TRIES_MAX: u32 = 5;
/// Nothing is heard of an asset for so long: something hangs.
const SILENCE_LIMIT: Duration = Duration::from_secs(300);
/// Facts reach the next service within moments.
const FACT_LIMIT: Duration = Duration::from_secs(60);
const ASSETS: &str = "/api/asset-pipeline/v1/assets";

/// Where the demo stopped, so that whoever reads it knows where to look.
#[derive(Debug, Clone, Copy)]
pub enum Stage {
    Film,
    Account,
    Upload,
    Processing,
    Title,
    Playing,
}

impl fmt::Display for Stage {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(match self {
            Stage::Film => "the film itself: name one with --video, or see what ffmpeg says",
            Stage::Account => "the creator's account: users, user-auth or the mail worker",
            Stage::Upload => "the upload: uploader, at /files",
            Stage::Processing => "the processing: asset-pipeline, transcoder or nx-media",
            Stage::Title => "the title: content-cms",
            Stage::Playing => "the playing: streaming, manifest-builder or the origin",
        })
    }
}

/// What a film has become, and how long that took.
#[derive(Debug)]
pub struct Told {
    pub title: String,
    pub asset: String,
    pub seen: film::Seen,
    pub took: Vec<(&'static str, Duration)>,
}

/// From a file to a stream that decodes.
pub fn go(creator: &Creator, film: &Film) -> Result<Told> {
    let began = Instant::now();
    let what = format!("upload {} ({} MB)", film.name, film.bytes.div_ceil(1_000_000));
    let upload = progress::stage(&what, || send(creator, film)).context(Stage::Upload)?;
    let uploaded = began.elapsed();
    let (asset, playable, ready) =
        progress::stage("process it", || follow(creator, &upload)).context(Stage::Processing)?;
    let title = progress::stage("make a title and publish it", || publish(creator, &asset, film))
        .context(Stage::Title)?;
    let seen = progress::stage("play it", || play(creator, &asset)).context(Stage::Playing)?;
    let took = vec![
        ("upload", uploaded),
        ("until it can be watched", playable),
        ("until every size is there", ready),
        ("all of it", began.elapsed()),
    ];
    Ok(Told { title, asset, seen, took })
}

/// By tus 1.0.0, piece by piece; a piece that broke off goes on where the server stands.
fn send(creator: &Creator, film: &Film) -> Result<String> {
    let name = film.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let told = format!("filename {},purpose {}", base64(name.as_bytes()), base64(b"asset"));
    let request = Request { method: "POST", path: "/files", ..Request::default() };
    let length = film.bytes.to_string();
    let headers =
        [("tus-resumable", "1.0.0"), ("upload-length", &length), ("upload-metadata", &told)];
    let made = creator.send(&request, &headers)?;
    expect(&made, 201, "begin an upload")?;
    let place = made.header("location").context("an upload has a place")?;
    let path = place[place.find("/files").context("the place is below /files")?..].to_owned();
    let mut file = File::open(&film.path).context("open the film")?;
    let (mut offset, mut failures) = (0, 0);
    while offset < film.bytes {
        match piece(creator, &path, &mut file, offset)? {
            Some(reached) => (offset, failures) = (reached, 0),
            None if failures >= TRIES_MAX => bail!("a piece does not arrive, however often sent"),
            None => {
                failures += 1;
                std::thread::sleep(POLL * failures);
                offset = standing(creator, &path)?;
            }
        }
    }
    path.rsplit('/').next().map(str::to_owned).context("an upload has an id")
}

/// How far it is now; none where another try may end otherwise.
fn piece(creator: &Creator, path: &str, file: &mut File, offset: u64) -> Result<Option<u64>> {
    file.seek(SeekFrom::Start(offset)).context("go on in the film")?;
    let mut bytes = Vec::new();
    let limit = u64::try_from(PIECE_BYTES).unwrap_or(u64::MAX);
    file.by_ref().take(limit).read_to_end(&mut bytes).context("read the film")?;
    let request = Request { method: "PATCH", path, bytes: Some(&bytes), ..Request::default() };
    let at = offset.to_string();
    let kind = "application/offset+octet-stream";
    let headers = [("tus-resumable", "1.0.0"), ("upload-offset", &at), ("content-type", kind)];
    let sent = match creator.send(&request, &headers) {
        Ok(sent) if !matches!(sent.status, 409 | 423 | 429 | 500..) => sent,
        // The line broke, or somebody is busy.
        _ => return Ok(None),
    };
    expect(&sent, 204, "send a piece of the film")?;
    offset_of(sent.header("upload-offset")).map(Some)
}

fn standing(creator: &Creator, path: &str) -> Result<u64> {
    let request = Request { method: "HEAD", path, ..Request::default() };
    let told = creator.send(&request, &[("tus-resumable", "1.0.0")])?;
    offset_of(told.header("upload-offset"))
}

fn offset_of(told: Option<&str>) -> Result<u64> {
    told.and_then(|offset| offset.parse().ok()).context("the server says how far it is")
}

/// Watches an upload become an asset, playable, ready. Gives its id, and after how long.
fn follow(creator: &Creator, upload: &str) -> Result<(String, Duration, Duration)> {
    let began = Instant::now();
    let asset = until("the upload is an asset", FACT_LIMIT, || {
        let told = creator.read(&format!("/api/uploader/v1/objects/{upload}"))?;
        if told["state"] == "rejected" {
            bail!("the file was not taken: {}", told["reason"].as_str().unwrap_or_default());
        }
        let all = creator.read(&format!("{ASSETS}?limit=50"))?;
        let items = all["items"].as_array().into_iter().flatten();
        let own = items.clone().find(|asset| asset["upload_id"] == upload);
        Ok(own.and_then(|asset| asset["id"].as_str()).map(str::to_owned))
    })?;
    let (mut playable, mut said, mut heard) = (None, String::new(), Instant::now());
    loop {
        let now = creator.read(&format!("{ASSETS}/{asset}/progress/now"))?;
        if playable.is_none() && now["package_id"].is_string() {
            playable = Some(began.elapsed());
            eprintln!("    it can be watched after {}", spoken(began.elapsed()));
        }
        let line = doing(&now);
        if line != said {
            heard = Instant::now();
            eprintln!("    {line}");
            said = line;
        }
        match now["state"].as_str().unwrap_or_default() {
            "ready" => {
                let ready = began.elapsed();
                return Ok((asset, playable.unwrap_or(ready), ready));
            }
            "failed" => {
                let reason = &now["failure"];
                let word = |name: &str| reason[name].as_str().unwrap_or_default().to_owned();
                bail!("the film cannot be processed ({}): {}", word("code"), word("detail"));
            }
            _ if heard.elapsed() > SILENCE_LIMIT => {
                bail!("nothing has moved for {} s: {said}", SILENCE_LIMIT.as_secs());
            }
            _ => std::thread::sleep(POLL),
        }
    }
}

/// What goes on, in a line that changes every tenth.
fn doing(now: &Value) -> String {
    let steps = now["steps"].as_array().into_iter().flatten();
    let running: Vec<_> = steps
        .filter(|step| matches!(step["state"].as_str(), Some("running" | "requested")))
        .map(|step| {
            let word = |name: &str| step[name].as_str().unwrap_or_default();
            let tenths = (step["fraction"].as_f64().unwrap_or(0.0) * 10.0).floor();
            let name = [word("name"), word("lane")].join(" ");
            format!("{} {:.0} %", name.trim_end(), tenths * 10.0)
        })
        .collect();
    match running.is_empty() {
        true => now["state"].as_str().unwrap_or_default().to_owned(),
        false => running.join(", "),
    }
}

fn publish(creator: &Creator, asset: &str, film: &Film) -> Result<String> {
    // A name in addresses of its own, so that the demo can be run again.
    let slug = format!("demo-{}", asset.get(..13).unwrap_or(asset));
    let draft = json!({
        "kind": "film", "name": film.name, "slug": slug, "asset": asset, "language": "en",
        "synopsis": "Uploaded, processed and published by cargo xtask demo.",
        "genres": ["documentary"], "maturity": "all",
    });
    let made = creator.ask("POST", "/api/content-cms/v1/titles", &draft, 201)?;
    let id = made["id"].as_str().context("a title has an id")?.to_owned();
    let path = format!("/api/content-cms/v1/titles/{id}");
    creator.ask("POST", &format!("{path}/publish"), &json!({ "when_ready": true }), 200)?;
    until("the title is published", FACT_LIMIT, || {
        let now = creator.read(&path)?;
        Ok((now["state"] == "published").then_some(()))
    })?;
    until("viewers see it", FACT_LIMIT, || {
        let seen = creator.get(&format!("/api/content-cms/v1/browse/titles/{id}"))?;
        Ok((seen.status == 200).then_some(()))
    })?;
    Ok(id)
}

/// As a player: a playback, its playlists, its segments, decoded.
fn play(creator: &Creator, asset: &str) -> Result<film::Seen> {
    let wish = json!({ "asset": asset, "device": "xtask demo" });
    let playback = creator.ask("POST", "/api/streaming/v1/sessions", &wish, 201)?;
    let hls = playback["hls"].as_str().context("a playback has a playlist")?;
    let url = match hls.starts_with('/') {
        true => format!("http://{}{hls}", creator.address()),
        false => hls.to_owned(),
    };
    let seen = film::look(&url)?;
    let id = playback["id"].as_str().unwrap_or_default();
    let path = format!("/api/streaming/v1/sessions/{id}");
    let request = Request { method: "DELETE", path: &path, ..Request::default() };
    creator.send(&request, &[])?;
    Ok(seen)
}

/// Asks until there is an answer.
fn until<T>(what: &str, limit: Duration, ask: impl Fn() -> Result<Option<T>>) -> Result<T> {
    let began = Instant::now();
    loop {
        if let Some(answer) = ask()? {
            return Ok(answer);
        }
        if began.elapsed() > limit {
            bail!("waited {} s, and still not: {what}", limit.as_secs());
        }
        std::thread::sleep(POLL);
    }
}

/// RFC 4648 section 4; a dependency for two words would be one too many.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let byte = |at: usize| u32::from(three.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for at in 0..4 {
            let letter = LETTERS[(bits >> (18 - 6 * at) & 63) as usize];
            text.push(if at <= three.len() { char::from(letter) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_encoded_as_the_rfc_shows() {
        for (plain, encoded) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(plain.as_bytes()), encoded);
        }
    }

    #[test]
    fn what_goes_on_is_told_in_tenths() {
        let now = json!({ "state": "processing", "steps": [
            { "name": "probe", "lane": "", "state": "succeeded", "fraction": 1.0 },
            { "name": "transcode", "lane": "ladder", "state": "running", "fraction": 0.47 },
        ]});
        assert_eq!(doing(&now), "transcode ladder 40 %");
        assert_eq!(doing(&json!({ "state": "ready", "steps": [] })), "ready");
    }

    #[test]
    fn where_it_stopped_is_part_of_what_is_told() {
        let failed: Result<()> = Err(anyhow::anyhow!("no"));
        let told = format!("{:#}", failed.context(Stage::Upload).unwrap_err());
        assert!(told.starts_with("the upload: uploader, at /files"), "{told}");
    }
}
