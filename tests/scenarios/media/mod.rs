//! Stories of the media context.

mod pipeline;
mod pipeline_pictures;
mod pipeline_profiles;
mod stage;
mod uploads;
