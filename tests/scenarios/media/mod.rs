//! Stories of the media context.

mod content;
mod pipeline;
mod pipeline_care;
mod pipeline_pictures;
mod pipeline_profiles;
mod playback;
mod player;
mod protection;
pub mod stage;
mod subtitles;
mod trace;
mod uploads;
