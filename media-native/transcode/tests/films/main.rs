//! Films that ffmpeg makes here, good and bad, as jobs of a real host; what comes of them is looked
//! at with programs that nobody here wrote.

mod awkward;
mod cinema;
mod exact;
mod lanes;
mod sync;
