//! What all workers share that make something of a film with `ffmpeg`: how a hostile source is
//! fetched, looked at and refused before anything is decoded, how the program is called, and which
//! filters bring any picture upright, square, progressive and to standard dynamic range.
//!
//! Knows ffmpeg's command line. Refuses to know what is made of the film.

mod call;
mod picture;
mod sound;
mod source;

pub use call::{FFmpeg, Limits, failure, last_words};
pub use nexus_media_probe::Rate;
pub use picture::{Picture, Size};
pub use sound::Sound;
pub use source::Source;
