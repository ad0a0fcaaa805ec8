//! Pictures of films and of pictures. The kind `thumbnail`: posters to choose from, and sprites of
//! small pictures at even distances for whoever searches in a film; from keyframes alone where
//! those are near enough to one another, which is some nine times as fast. The kind `image`: one
//! picture in another size.
//!
//! Objects of `thumbnail`, below the prefix of the job: `images/poster-<k>.jpg`,
//! `images/sprite-<k>.jpg`, and `images/sprite.json` last.
//!
//! Refuses to know where pictures are shown.

mod image;
mod posters;
mod score;
mod sprites;
mod thumbnail;

pub use image::{Fit, Format, Image, ImageArgs, ImageOutput};
pub use thumbnail::{Output, Poster, Sheet, Sprites, Thumbnail, ThumbnailArgs, Tile};
