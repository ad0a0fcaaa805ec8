//! Stories of the media context.

mod pipeline;
mod uploads;
