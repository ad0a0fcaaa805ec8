//! One chunk of a film, in every size at once: one program decodes it once and encodes it so often.
//!
//! A chunk is so many frames of the film at its constant rate, counted from its beginning. The
//! search goes to somewhere before the chunk, and the filter that makes the rate constant takes
//! what belongs to the chunk by the film's own clock; so a chunk has the same frames whether it was
//! searched for or reached.

use crate::args::{Args, Rung};
use crate::encoder::Encoder;
use crate::grid::{Grid, divider};
use nexus_media_ffmpeg::{FFmpeg, Limits, Picture, Size, Source};
use nexus_media_protocol::{Context, Ended, ProgramError};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What a file of a chunk may take beyond its rate.
const FILE_BYTES_SPARE: u64 = 256 << 20;

pub(crate) struct Chunk<'a> {
    pub(crate) source: &'a Source,
    pub(crate) picture: &'a Picture,
    pub(crate) args: &'a Args,
    pub(crate) grid: Grid,
    pub(crate) encoder: Encoder,
    /// From 0.
    pub(crate) number: u32,
}

impl Chunk<'_> {
    /// Where a size of the chunk is written.
    pub(crate) fn file(folder: &Path, rung: &Rung) -> PathBuf {
        folder.join(format!("{}.mp4", rung.track))
    }

    /// Encodes into `folder`; tells how far into the chunk it is.
    pub(crate) fn encode(
        &self,
        folder: &Path,
        cx: &Context,
        on_time: &mut (dyn FnMut(Duration) + Send),
    ) -> Result<Ended, ProgramError> {
        let begins = self.grid.time(self.first_frame());
        let search = self.source.search_margin();
        let search = search.and_then(|margin| begins.checked_sub(margin)).map(seconds);
        // All times count from the film's beginning, wherever the search ends.
        let mut options = self.source.clock();
        if let Some(search) = &search {
            options.extend(["-noaccurate_seek", "-ss", search].map(str::to_owned));
        }
        let mut call = FFmpeg::reading(&self.source.file, &options);
        call.push(self.encoder.device_arguments());
        call.push(["-filter_complex", &self.graph(begins)]);
        for (number, rung) in self.args.video.iter().enumerate() {
            self.rung(&mut call, number, rung);
            call.file(&Self::file(folder, rung));
        }
        let content = self.grid.time(self.grid.chunk_frames.into());
        let rates = self.args.video.iter().map(|rung| rung.maxrate_bps);
        let bytes = rates.max().unwrap_or(0) / 8 * (content.as_secs() + 1);
        // Where no search is possible, everything before is decoded as well.
        let decoded = if search.is_some() { content } else { content + begins };
        let limits = Limits::for_content(decoded, 3 * bytes + FILE_BYTES_SPARE);
        let limits = if self.encoder.is_cpu() { limits } else { limits.with_a_driver() };
        call.run(cx, limits, on_time)
    }

    fn first_frame(&self) -> u64 {
        u64::from(self.number) * u64::from(self.grid.chunk_frames)
    }

    /// From the source's pictures to one output for each size.
    fn graph(&self, begins: Duration) -> String {
        let (picture, grid) = (self.picture, self.grid);
        let (numerator, denominator) = (grid.rate.numerator, grid.rate.denominator);
        let sizes: Vec<_> =
            self.args.video.iter().map(|rung| picture.size_at(rung.height)).collect();
        let largest = sizes.iter().max_by_key(|size| size.height).copied();
        let mut filters: Vec<String> = Vec::new();
        filters.extend(picture.deinterlacing().map(str::to_owned));
        filters.push(format!("fps=fps={numerator}/{denominator}:start_time={}", seconds(begins)));
        filters.push(format!("trim=end_frame={},setpts=N", grid.chunk_frames));
        filters.extend(largest.and_then(|size| picture.tone_mapping(size)));
        let count = sizes.len();
        let splits: String = (0..count).map(|number| format!("[s{number}]")).collect();
        let mut graph =
            format!("[0:{}]{},split={count}{splits}", picture.stream, filters.join(","));
        for (number, (rung, size)) in self.args.video.iter().zip(sizes).enumerate() {
            graph.push_str(&format!(";[s{number}]{}[v{number}]", self.size(rung, size)));
        }
        graph
    }

    fn size(&self, rung: &Rung, size: Size) -> String {
        let step = divider(self.grid.rate, rung);
        let mut filters = Vec::new();
        if step > 1 {
            filters.push(format!("framestep={step}"));
        }
        filters.push(self.picture.scaling(size));
        filters.extend(self.encoder.upload.map(str::to_owned));
        filters.join(",")
    }

    fn rung(&self, call: &mut FFmpeg, number: usize, rung: &Rung) {
        let step = divider(self.grid.rate, rung);
        let gop = (self.grid.gop_frames / step).to_string();
        call.push(["-map", &format!("[v{number}]"), "-fps_mode", "passthrough"]);
        call.push(self.encoder.arguments(rung, self.args.lane));
        call.push(["-g", &gop, "-keyint_min", &gop, "-sc_threshold", "0", "-flags", "+cgop"]);
        call.push(["-force_key_frames", &format!("expr:gte(n,n_forced*{gop})")]);
        call.push(["-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709"]);
        call.push(["-color_range", "tv", "-map_metadata", "-1", "-map_chapters", "-1"]);
        call.push(["-fflags", "+bitexact", "-video_track_timescale"]);
        call.push([self.grid.timescale.to_string()]);
        call.push(["-movflags", "+empty_moov+default_base_moof+frag_keyframe", "-f", "mp4"]);
    }
}

/// As ffmpeg reads times.
pub(crate) fn seconds(time: Duration) -> String {
    format!("{}.{:09}", time.as_secs(), time.subsec_nanos())
}
