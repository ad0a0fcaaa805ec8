//! The H.264 encoders that a machine may have, how each is told what is wanted, and which of them
//! work here: found out by having each encode a picture, because drivers promise much.

use crate::args::{Lane, Rung};
use nexus_media_protocol::Program;
use std::path::Path;
use std::time::Duration;

/// One that always works comes last.
const KNOWN: [Encoder; 4] = [
    Encoder { name: "h264_nvenc", device: Some("/dev/nvidiactl"), upload: None },
    Encoder { name: "h264_qsv", device: Some(RENDER_NODE), upload: None },
    Encoder { name: "h264_vaapi", device: Some(RENDER_NODE), upload: Some("format=nv12,hwupload") },
    CPU,
];
const CPU: Encoder = Encoder { name: "libx264", device: None, upload: None };
const RENDER_NODE: &str = "/dev/dri/renderD128";

/// A fixed number, so that the same film gives the same bytes on every machine.
const THREADS: &str = "4";
const PRESET_FAST: &str = "superfast";
const PRESET_LADDER: &str = "veryfast";
/// A driver that takes longer to begin is not one to wait for.
const TRIAL_MAX: Duration = Duration::from_secs(20);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Encoder {
    pub(crate) name: &'static str,
    /// Without this file it is not worth a try.
    device: Option<&'static str>,
    /// Filters that bring a picture to it.
    pub(crate) upload: Option<&'static str>,
}

impl Encoder {
    pub(crate) fn is_cpu(self) -> bool {
        self == CPU
    }

    /// What the program needs to know before any input.
    pub(crate) fn device_arguments(self) -> Vec<&'static str> {
        if self.upload.is_some() { vec!["-vaapi_device", RENDER_NODE] } else { Vec::new() }
    }

    /// Quality, rate and speed; the groups of pictures are the same for all.
    pub(crate) fn arguments(self, rung: &Rung, lane: Lane) -> Vec<String> {
        let crf = rung.crf.to_string();
        let rate = rung.maxrate_bps.to_string();
        let buffer = rung.bufsize.unwrap_or(2 * rung.maxrate_bps).to_string();
        let usual = if lane == Lane::Fast { PRESET_FAST } else { PRESET_LADDER };
        let preset = rung.preset.as_deref().unwrap_or(usual);
        let own: &[&str] = match self.name {
            "h264_nvenc" => {
                &["-preset", "p4", "-rc", "vbr", "-cq", &crf, "-forced-idr", "1", "-bf", "2"]
            }
            "h264_qsv" => &["-global_quality", &crf, "-forced_idr", "1", "-bf", "2"],
            "h264_vaapi" => &["-rc_mode", "QVBR", "-global_quality", &crf, "-b:v", &rate],
            _ => &["-preset", preset, "-crf", &crf, "-forced-idr", "1", "-threads", THREADS],
        };
        let common: &[&str] = &["-c:v", self.name, "-profile:v", "high"];
        let rates: &[&str] = &["-maxrate", &rate, "-bufsize", &buffer];
        [common, rates, own].concat().iter().map(|it| (*it).to_owned()).collect()
    }

    /// Encodes one picture and throws it away.
    async fn works(self, folder: &Path) -> bool {
        if self.device.is_some_and(|device| !Path::new(device).exists()) {
            return false;
        }
        let upload = self.upload.unwrap_or("format=yuv420p");
        let mut trial = Program::new("ffmpeg")
            .args(["-v", "error", "-nostdin"])
            .args(self.device_arguments())
            .args(["-f", "lavfi", "-i", "color=black:size=320x180:rate=25:duration=0.2"])
            .args(["-vf", upload, "-frames:v", "1", "-c:v", self.name, "-f", "null", "-"]);
        // Drivers reserve far more than they fill.
        trial.memory_bytes_max = if self.is_cpu() { 7 << 30 } else { u64::MAX };
        trial.wall_max = TRIAL_MAX;
        match trial.try_out(folder).await {
            Ok(ended) if ended.status.success() => true,
            Ok(ended) => {
                let words = nexus_media_ffmpeg::last_words(&ended.stderr);
                tracing::debug!(encoder = self.name, words, "does not work here");
                false
            }
            Err(error) => {
                tracing::debug!(encoder = self.name, %error, "does not work here");
                false
            }
        }
    }
}

/// Those that work on this machine, the processor's own last.
pub(crate) async fn detect(folder: &Path) -> Vec<Encoder> {
    let mut found = Vec::new();
    for encoder in KNOWN {
        if encoder.works(folder).await {
            found.push(encoder);
        }
    }
    found
}

/// The one of a name.
pub(crate) fn named(name: &str) -> Option<Encoder> {
    KNOWN.into_iter().find(|encoder| encoder.name == name)
}

/// Which are tried for a job, in their order: those it prefers, else all of this machine; the
/// processor's own last, because it always works.
pub(crate) fn order(here: &[Encoder], preferred: &[String]) -> Vec<Encoder> {
    let wanted = preferred.iter().filter_map(|name| here.iter().find(|it| it.name == name));
    let mut order: Vec<_> = match preferred.is_empty() {
        true => here.to_vec(),
        false => wanted.copied().collect(),
    };
    order.retain(|encoder| !encoder.is_cpu());
    order.push(CPU);
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_a_job_prefers_the_processor_comes_last() {
        let here: Vec<_> = KNOWN.to_vec();
        let names = |preferred: &[&str]| {
            let preferred: Vec<_> = preferred.iter().map(|it| (*it).to_owned()).collect();
            order(&here, &preferred).iter().map(|encoder| encoder.name).collect::<Vec<_>>()
        };
        assert_eq!(names(&["libx264", "h264_qsv"]), ["h264_qsv", "libx264"]);
        assert_eq!(names(&["av1_amf"]), ["libx264"]);
        assert_eq!(names(&[]), ["h264_nvenc", "h264_qsv", "h264_vaapi", "libx264"]);
        assert_eq!(order(&[], &[]), [CPU]);
    }
}
