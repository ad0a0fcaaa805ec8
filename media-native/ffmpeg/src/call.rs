//! One call of `ffmpeg`: no terminal, nothing but named local files, bounds for time and size.

use nexus_media_probe::FORMATS;
use nexus_media_protocol::{Context, Ended, Failure, Program, ProgramError};
use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

/// With the machine's own programs in PATH.
const NAME: &str = "ffmpeg";
/// A little below what the host gives to a worker, which its programs inherit.
const MEMORY_BYTES_MAX: u64 = 7 << 30;
/// Two weeks of a core: the bound of CPU time is each call's own.
const WALL_MAX: Duration = Duration::from_secs(14 * 24 * 3600);
/// A frame that says it is larger is not decoded: 8K in either direction, and a little.
const PIXELS_MAX: u32 = 40_000_000;
/// For any film, and for each second of it: 8K in many sizes takes a minute.
const CPU_MIN: Duration = Duration::from_secs(600);
const CPU_SECONDS_PER_SECOND: u32 = 200;
/// No progress for so long is none at all.
const STALL_MAX: Duration = Duration::from_secs(40);
/// Share of frames that may be damaged: all.
const ERROR_RATE_MAX: &str = "1";

/// Bounds of one call.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// CPU time.
    pub cpu: Duration,
    /// The largest file that it may write.
    pub file_bytes: u64,
    /// Address space. Drivers of graphics cards want a great deal that they never fill.
    pub memory_bytes: u64,
}

impl Limits {
    /// As they are, for a call that a driver takes part in.
    #[must_use]
    pub fn with_a_driver(self) -> Self {
        Self { memory_bytes: u64::MAX, ..self }
    }

    /// For so much of a film, at a speed that only a broken machine falls short of.
    pub fn for_content(content: Duration, file_bytes: u64) -> Self {
        let cpu = CPU_MIN + content * CPU_SECONDS_PER_SECOND;
        Self { cpu, file_bytes, memory_bytes: MEMORY_BYTES_MAX }
    }
}

/// The arguments of one call, in their order.
#[derive(Debug, Clone)]
pub struct FFmpeg {
    arguments: Vec<OsString>,
}

impl FFmpeg {
    /// Reads `file`; `options` are those of the input, such as where to begin.
    pub fn reading(file: &Path, options: &[impl AsRef<str>]) -> Self {
        let mut call = Self { arguments: Vec::new() };
        call.push(["-v", "error", "-hide_banner", "-nostdin", "-nostats", "-y"]);
        call.push(["-protocol_whitelist", "file", "-format_whitelist", FORMATS]);
        // As the look at the file; a file whose streams differ from it would be another film.
        call.push(["-probesize", "50M", "-analyzeduration", "30M", "-max_streams", "200"]);
        call.push(["-max_pixels", &PIXELS_MAX.to_string()]);
        call.push(options.iter().map(AsRef::as_ref));
        call.push(["-i"]);
        call.file(file);
        // A damaged place in a film is a damaged place, and no reason to have none of it.
        call.push(["-max_error_rate", ERROR_RATE_MAX]);
        call
    }

    pub fn push(&mut self, arguments: impl IntoIterator<Item = impl Into<OsString>>) {
        self.arguments.extend(arguments.into_iter().map(Into::into));
    }

    /// A file by its name, whatever the name looks like.
    pub fn file(&mut self, file: &Path) {
        let mut name = OsString::from("file:");
        name.push(file);
        self.arguments.push(name);
    }

    /// Runs the call, which may take so much CPU time and write files so large, and tells how far
    /// into the film it is.
    ///
    /// # Errors
    ///
    /// As [`Context::follow`]; one that ended with a complaint is [`Ended`] as well.
    pub fn run(
        mut self,
        cx: &Context,
        limits: Limits,
        on_time: &mut (dyn FnMut(Duration) + Send),
    ) -> Result<Ended, ProgramError> {
        let mut seen = (Duration::ZERO, 0);
        let mut on_line = |line: &str| {
            let Some((name, value)) = line.split_once('=') else { return false };
            let now = match (name, value.parse::<u64>()) {
                ("out_time_us", Ok(us)) => (Duration::from_micros(us), seen.1),
                ("frame", Ok(frames)) => (seen.0, frames),
                _ => return false,
            };
            let goes_on = now != seen;
            seen = now;
            if goes_on && name == "out_time_us" {
                on_time(now.0);
            }
            goes_on
        };
        self.arguments
            .splice(0..0, ["-progress", "pipe:1", "-stats_period", "0.5"].map(Into::into));
        cx.follow(&self.program(limits), &mut on_line)
    }

    fn program(self, limits: Limits) -> Program {
        let mut program = Program::new(NAME).args(self.arguments);
        program.cpu_max = limits.cpu;
        program.memory_bytes_max = limits.memory_bytes;
        program.file_bytes_max = limits.file_bytes;
        program.wall_max = WALL_MAX;
        program.stall_max = STALL_MAX;
        program
    }
}

/// What becomes of a job whose call came to no end of its own.
pub fn failure(error: ProgramError) -> Failure {
    match error {
        ProgramError::Stopped => Failure::Stopped,
        error if error.is_the_inputs_fault() => {
            Failure::because("unreadable", format!("decoding the file: {error}"))
        }
        // A machine without the program is no fault of the job.
        ProgramError::NotStarted { .. } => {
            Failure::Release { after: Some(Duration::from_secs(60)), reason: error.to_string() }
        }
        error => Failure::retry(error),
    }
}

/// The last thing that ffmpeg said, without the paths of this machine.
pub fn last_words(stderr: &str) -> String {
    let last = stderr.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
    last.split(' ').filter(|word| !word.contains('/')).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_path_of_this_machine_is_told() {
        let said = "[mov @ 0x5]\nfile:/tmp/nx/object-0: Invalid data found\n\n";
        assert_eq!(last_words(said), "Invalid data found");
        assert_eq!(last_words(""), "");
    }
}
