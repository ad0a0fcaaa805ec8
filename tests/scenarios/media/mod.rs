//! Stories of the media context.

mod content;
mod pipeline;
mod pipeline_care;
mod pipeline_pictures;
mod pipeline_profiles;
mod playback;
mod stage;
mod uploads;
