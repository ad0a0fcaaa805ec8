//! ffmpeg and what it can really encode: each encoder is tried on a second of nothing.

use super::programs::version_of;
use super::{Check, Finding, Ground};
use futures::future::BoxFuture;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tokio::process::Command;

pub(super) const CHECKS: &[Check] = &[
    Check::plain("media", "ffmpeg", |ground| ffmpeg(&program(ground, "ffmpeg"))),
    Check::plain("media", "ffprobe", |ground| ffmpeg(&program(ground, "ffprobe"))),
    Check::asking("media", "H.264", |ground| tried(ground, &["-c:v", "libx264"], true)),
    Check::asking("media", "AAC", |ground| tried(ground, &["-c:a", "aac"], true)),
    Check::asking("media", "AV1", |ground| {
        tried(ground, &["-c:v", "libsvtav1", "-preset", "12"], false)
    }),
    Check::asking("media", "VP9", |ground| tried(ground, &["-c:v", "libvpx-vp9"], false)),
    Check::asking("media", "Opus", |ground| tried(ground, &["-c:a", "libopus"], false)),
    Check::asking("media", "GPU", |ground| Box::pin(gpu(ground))),
];

/// Named by the operator, or found on PATH.
fn program(ground: &Ground, name: &str) -> PathBuf {
    let variable = format!("NEXUS_{}", name.to_uppercase());
    ground.set(&variable).map_or_else(|| PathBuf::from(name), PathBuf::from)
}

fn ffmpeg(program: &Path) -> Finding {
    match version_of(program, "-version") {
        Some(said) => version(&said),
        None => Finding::warn(
            format!("{} does not run", program.display()),
            "`apt-get install ffmpeg`: nothing is transcoded here without it",
        ),
    }
}

/// `ffmpeg version 5.1.6-0+deb12u1 Copyright …`, or `ffmpeg version N-112345-g…` of a build of
/// today.
fn version(said: &str) -> Finding {
    let word = said.split_whitespace().nth(2).unwrap_or_default();
    let mut numbers = word.split(['.', '-']).map(str::parse::<u32>);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) if (major, minor) < (5, 1) => {
            Finding::fail(word, "5.1 or newer is needed")
        }
        _ => Finding::ok(word),
    }
}

/// A quarter of a second of black and of silence, encoded and thrown away.
async fn encodes(program: &Path, arguments: &[&str]) -> Result<(), String> {
    let sound = arguments.contains(&"-c:a");
    let source = match sound {
        true => "anullsrc=duration=0.25",
        false => "color=size=256x144:rate=24:duration=0.25",
    };
    let mut command = Command::new(program);
    command.args(["-v", "error", "-nostdin", "-f", "lavfi", "-i", source]).args(arguments);
    command.args(["-f", "null", "-"]).stdin(Stdio::null()).stdout(Stdio::null());
    let done = command.stderr(Stdio::piped()).kill_on_drop(true).output().await;
    let done = done.map_err(|error| error.to_string())?;
    let words = String::from_utf8_lossy(&done.stderr);
    let last = words.lines().last().unwrap_or("it says nothing").to_owned();
    if done.status.success() { Ok(()) } else { Err(last) }
}

fn tried<'a>(
    ground: &'a Ground,
    arguments: &'static [&'static str],
    is_needed: bool,
) -> BoxFuture<'a, Finding> {
    Box::pin(async move {
        let program = program(ground, "ffmpeg");
        if version_of(&program, "-version").is_none() {
            return Finding::skip("there is no ffmpeg");
        }
        told(arguments[1], encodes(&program, arguments).await, is_needed)
    })
}

fn told(encoder: &str, tried: Result<(), String>, is_needed: bool) -> Finding {
    let todo = "use an ffmpeg that has it";
    match (tried, is_needed) {
        (Ok(()), _) => Finding::ok(format!("{encoder} works")),
        (Err(reason), true) => Finding::fail(format!("{encoder}: {reason}"), todo),
        (Err(reason), false) => Finding::warn(format!("{encoder}: {reason}"), todo),
    }
}

async fn gpu(ground: &Ground) -> Finding {
    let device = ["/dev/nvidia0", "/dev/dri/renderD128"];
    let Some(device) = device.into_iter().find(|device| Path::new(device).exists()) else {
        return Finding::skip("this machine has none");
    };
    let program = program(ground, "ffmpeg");
    let arguments: &[&str] = match device.contains("nvidia") {
        true => &["-c:v", "h264_nvenc"],
        false => &["-vf", "format=nv12,hwupload", "-c:v", "h264_vaapi"],
    };
    let arguments: Vec<&str> = match device.contains("nvidia") {
        true => arguments.to_vec(),
        false => [&["-vaapi_device", device][..], arguments].concat(),
    };
    match encodes(&program, &arguments).await {
        Ok(()) => Finding::ok(format!("{device} encodes H.264")),
        Err(reason) => Finding::warn(
            format!("{device}: {reason}"),
            "install its driver, or leave the work to the processor",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Outcome::{Fail, Ok, Skipped, Warn};
    use super::*;

    #[test]
    fn an_old_ffmpeg_is_told_apart_from_a_new_one_and_from_none() {
        let at = |word: &str| version(&format!("ffmpeg version {word} Copyright")).outcome;
        assert_eq!(
            (at("4.4.2-0ubuntu"), at("5.1.6-0+deb12u1"), at("N-112345-gabc")),
            (Fail, Ok, Ok)
        );
        assert_eq!(ffmpeg(Path::new("/nowhere/ffmpeg")).outcome, Warn);
    }

    #[tokio::test]
    async fn an_encoder_is_judged_by_what_it_does() {
        let folder = tempfile::tempdir().unwrap();
        let mut ground = Ground::bare(folder.path());
        assert_eq!(tried(&ground, &["-c:v", "libx264"], true).await.outcome, Ok);
        assert_eq!(tried(&ground, &["-c:v", "libnothing"], true).await.outcome, Fail);
        assert_eq!(tried(&ground, &["-c:a", "libnothing"], false).await.outcome, Warn);
        ground.environment = vec![("NEXUS_FFMPEG".into(), "/nowhere/ffmpeg".into())];
        assert_eq!(tried(&ground, &["-c:v", "libx264"], true).await.outcome, Skipped);
    }
}
