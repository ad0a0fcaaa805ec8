//! The film that the demo uploads: one that somebody names, or one that ffmpeg makes, with a moving
//! picture, the number of each frame burnt in, and a voice where ffmpeg has one.

use crate::workspace::Workspace;
use crate::{packages, progress, shell};
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Long enough to seek in, short enough to wait for.
const SECONDS: u32 = 20;
const SPOKEN: &str = "Welcome to Nexus COS. This film was made a moment ago, uploaded, processed, \
                      and published, and now it is streamed to you.";

/// A film on this machine.
#[derive(Debug)]
pub struct Film {
    pub path: PathBuf,
    /// What it is called where it is shown.
    pub name: String,
    pub bytes: u64,
}

/// The film named, or the one made; known before anything takes long.
///
/// # Errors
/// When there is no such file, or ffmpeg is missing and cannot be brought.
pub fn prepare(ws: &Workspace, named: Option<&Path>) -> Result<Film> {
    let found = named.map(of_file).transpose()?;
    if shell::find("ffmpeg").is_none() || shell::find("ffprobe").is_none() {
        packages::install(&["ffmpeg"], &ws.target.join("xtask"))?;
    }
    match found {
        Some(film) => Ok(film),
        None => made(ws),
    }
}

fn of_file(path: &Path) -> Result<Film> {
    let known = path.metadata().with_context(|| format!("find the film {}", path.display()))?;
    if !known.is_file() {
        bail!("{} is no file", path.display());
    }
    if known.len() == 0 {
        bail!("{} is empty", path.display());
    }
    let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    Ok(Film { path: path.to_owned(), name, bytes: known.len() })
}

fn made(ws: &Workspace) -> Result<Film> {
    let folder = ws.home().join("demo");
    std::fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
    let path = folder.join("film.mp4");
    let pictures = [gradient(), testcard()];
    let sounds = [voice(), tone()];
    progress::stage(&format!("make a film of {SECONDS} s with ffmpeg"), || {
        // Not every ffmpeg can write letters or speak: the first that works.
        let ways = pictures.iter().flat_map(|picture| sounds.iter().map(move |it| (picture, it)));
        let mut last = None;
        for (picture, sound) in ways {
            match render(picture, sound, &path) {
                Ok(()) => return Ok(()),
                Err(error) => last = Some(error),
            }
        }
        last.map_or(Ok(()), Err).context("make a film with ffmpeg")
    })?;
    let bytes = path.metadata().context("look at the film")?.len();
    Ok(Film { path, name: "A film of this machine".into(), bytes })
}

/// The brand's colours, flowing, with words and the number of the frame.
fn gradient() -> String {
    let words = |text: &str, size: u32, at: &str| {
        format!(",drawtext=text='{text}':fontsize={size}:fontcolor=white:x=(w-text_w)/2:y={at}")
    };
    format!(
        "gradients=size=1280x720:rate=25:duration={SECONDS}:nb_colors=4:speed=0.02\
         :c0=0x2563eb:c1=0x0b1120:c2=0x60a5fa:c3=0x1e40af{}{}",
        words("Nexus COS", 120, "(h-text_h)/2-40"),
        words("frame %{frame_num}", 44, "h-text_h-70"),
    )
}

/// ffmpeg's own card, which counts by itself.
fn testcard() -> String {
    format!("testsrc2=size=1280x720:rate=25:duration={SECONDS}")
}

fn voice() -> String {
    format!("flite=voice=slt:text='{SPOKEN}',aresample=48000,apad=whole_dur={SECONDS}")
}

fn tone() -> String {
    format!("sine=frequency=330:beep_factor=4:sample_rate=48000:duration={SECONDS},volume=0.3")
}

fn render(picture: &str, sound: &str, to: &Path) -> Result<()> {
    let seconds = SECONDS.to_string();
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg.args(["-v", "error", "-nostdin", "-y", "-f", "lavfi", "-i", picture]);
    ffmpeg.args(["-f", "lavfi", "-i", sound, "-t", &seconds, "-c:v", "libx264"]);
    ffmpeg.args(["-preset", "veryfast", "-g", "50", "-pix_fmt", "yuv420p", "-c:a", "aac"]);
    ffmpeg.args(["-ac", "2", "-movflags", "+faststart", "-f", "mp4"]).arg(to);
    shell::capture(&mut ffmpeg).map(drop)
}

/// A stream as ffprobe sees it: "h264 1280x720" for each of its tracks, and its seconds.
#[derive(Debug)]
pub struct Seen {
    pub tracks: Vec<String>,
    pub seconds: f64,
}

/// Asks ffprobe what a player would find at `url`, and decodes the first moments of it.
///
/// # Errors
/// When nothing can be read there, or what is there cannot be decoded.
pub fn look(url: &str) -> Result<Seen> {
    let mut ffprobe = Command::new("ffprobe");
    ffprobe.args(["-v", "error", "-of", "json", "-show_entries"]);
    ffprobe.args(["stream=codec_type,codec_name,width,height:format=duration", url]);
    let told = ask(&mut ffprobe).context("read the stream with ffprobe")?;
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg.args(["-v", "error", "-nostdin", "-xerror", "-i", url, "-t", "2", "-f", "null", "-"]);
    ask(&mut ffmpeg).context("decode the first two seconds")?;
    seen(&told)
}

/// As `shell::capture`, without the command's words in its error: they hold a token.
fn ask(command: &mut Command) -> Result<String> {
    let answer = command.output().context("start it")?;
    if !answer.status.success() {
        let words = String::from_utf8_lossy(&answer.stderr);
        let plain: Vec<_> = words.lines().filter(|line| !line.contains("?t=")).collect();
        bail!("it failed ({}): {}", answer.status, plain.join("; "));
    }
    Ok(String::from_utf8_lossy(&answer.stdout).into_owned())
}

fn seen(told: &str) -> Result<Seen> {
    let told: serde_json::Value = serde_json::from_str(told).context("read what ffprobe says")?;
    let streams = told["streams"].as_array().cloned().unwrap_or_default();
    let track = |stream: &serde_json::Value| {
        let codec = stream["codec_name"].as_str()?;
        Some(match (stream["width"].as_u64(), stream["height"].as_u64()) {
            (Some(width), Some(height)) => format!("{codec} {width}x{height}"),
            _ => codec.to_owned(),
        })
    };
    let mut tracks: Vec<_> = streams.iter().filter_map(track).collect();
    tracks.sort();
    tracks.dedup();
    if tracks.is_empty() {
        bail!("there is neither picture nor sound in it");
    }
    let seconds = told["format"]["duration"].as_str().and_then(|it| it.parse().ok());
    Ok(Seen { tracks, seconds: seconds.unwrap_or(0.0) })
}

/// How long one waits between two looks.
pub const POLL: Duration = Duration::from_millis(250);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ffprobe_says_is_told_in_a_line() {
        let told = r#"{ "streams": [
            { "codec_type": "audio", "codec_name": "aac" },
            { "codec_type": "video", "codec_name": "h264", "width": 1280, "height": 720 },
            { "codec_type": "video", "codec_name": "h264", "width": 1280, "height": 720 }
        ], "format": { "duration": "20.05" } }"#;
        let seen = seen(told).unwrap();
        assert_eq!(seen.tracks, ["aac", "h264 1280x720"]);
        assert!((seen.seconds - 20.05).abs() < 0.001);
        assert!(super::seen(r#"{ "streams": [] }"#).is_err());
    }

    #[test]
    fn a_film_that_is_not_there_is_known_before_anything_is_built() {
        let missing = of_file(Path::new("/nowhere/film.mp4")).unwrap_err();
        assert!(missing.to_string().contains("/nowhere/film.mp4"), "{missing}");
        let folder = tempfile::tempdir().unwrap();
        assert!(of_file(folder.path()).unwrap_err().to_string().contains("is no file"));
        let empty = folder.path().join("empty.mp4");
        std::fs::write(&empty, b"").unwrap();
        assert!(of_file(&empty).unwrap_err().to_string().contains("is empty"));
    }
}
