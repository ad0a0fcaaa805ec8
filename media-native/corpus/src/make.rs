//! How a film comes into a folder: under a name of its own first, so that others who make it at
//! the same time do not see half of it.

use crate::{Film, Then};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A new corpus does not find films of an old one.
const VERSION: &str = "2";

impl Film {
    /// The film's file below `folder`; made when it is not there.
    ///
    /// # Errors
    ///
    /// When the folder cannot be written, or `ffmpeg` cannot make it: its last words.
    pub fn make(&self, folder: &Path) -> io::Result<PathBuf> {
        let folder = folder.join(format!("corpus-{VERSION}"));
        let film = folder.join(self.name);
        if film.exists() {
            return Ok(film);
        }
        fs::create_dir_all(&folder)?;
        let own = folder.join(format!("{}-{}", std::process::id(), self.name));
        match self.then {
            Then::Bytes(bytes) => fs::write(&own, bytes)?,
            Then::Nothing => ffmpeg(self.made_by, &own)?,
            Then::Cut(share) => {
                ffmpeg(self.made_by, &own)?;
                let bytes = own.metadata()?.len() * share / 1000;
                fs::File::options().write(true).open(&own)?.set_len(bytes)?;
            }
            Then::Again(arguments) => {
                let first = folder.join(format!("{}-first-{}", std::process::id(), self.name));
                ffmpeg(self.made_by, &first)?;
                ffmpeg(&arguments.replace("INPUT", &first.to_string_lossy()), &own)?;
                fs::remove_file(first)?;
            }
        }
        fs::rename(own, &film)?;
        Ok(film)
    }
}

fn ffmpeg(arguments: &str, to: &Path) -> io::Result<()> {
    let made = Command::new("ffmpeg")
        .args(["-v", "error", "-nostdin", "-y"])
        .args(arguments.split_whitespace())
        .arg(to)
        .stdin(Stdio::null())
        .output()?;
    match made.status.success() {
        true => Ok(()),
        false => Err(io::Error::other(format!(
            "{}: {}",
            to.display(),
            String::from_utf8_lossy(&made.stderr)
        ))),
    }
}
