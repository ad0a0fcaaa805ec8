//! Films that are awkward: made here by `ffmpeg` from its own pictures and tones, small and short,
//! each for one thing that goes wrong in the world. Nothing is downloaded.
//!
//! A film is made once into a folder of the caller's and found there the next time. For tests, with
//! the host that they need ([`Bed`]); refuses to know what a worker makes of a film, but for
//! whether it should.

mod bed;
mod films;
mod make;

pub use bed::{Bed, Stash};
pub use films::{FILMS, film};

/// A film and what it is for.
#[derive(Debug, Clone, Copy)]
pub struct Film {
    /// The file's name.
    pub name: &'static str,
    /// ffmpeg's arguments, separated by spaces, without the output.
    pub(crate) made_by: &'static str,
    pub(crate) then: Then,
    pub fate: Fate,
}

/// What is done to the file that ffmpeg has made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Then {
    Nothing,
    /// So many of a thousand bytes are kept.
    Cut(u64),
    /// These bytes take the place of the file; ffmpeg is not asked.
    Bytes(&'static [u8]),
    /// ffmpeg makes another of it: the arguments behind its input.
    Again(&'static str),
}

/// What a worker makes of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Fate {
    /// Playable, with this many pictures of the first rate (None: not exactly known) and so many
    /// tracks of sound.
    Plays { frames: Option<u64>, sounds: usize },
    /// Refused with this code.
    Refused(&'static str),
}
