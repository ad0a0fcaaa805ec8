//! Titles: how they come to viewers, what viewers see, and how they go again.

mod editing;
mod ground;
mod played;
mod rows;
mod series;
mod shown;
mod time;
