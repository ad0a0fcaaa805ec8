//! Pictures that may stand for a film: from each part of it the one that shows most, as large as a
//! page needs it.

use crate::score::Grey;
use crate::sprites::{GREY, Sheets};
use nexus_media_ffmpeg::{FFmpeg, Limits, Picture, Size, Source, failure};
use nexus_media_protocol::{Context, Failure};
use std::path::PathBuf;
use std::time::Duration;

/// The height of a poster, where the source has so much.
const HEIGHT: u32 = 720;
const FILE_BYTES_MAX: u64 = 64 << 20;
/// A part of a film that begins or ends it shows titles: so much of each end counts half.
const EDGE_SHARE: f64 = 0.03;

/// A poster in a file.
pub(crate) struct Made {
    pub(crate) file: PathBuf,
    pub(crate) size: Size,
    pub(crate) at_ms: u64,
    pub(crate) score: f64,
}

/// The best first.
pub(crate) fn make(
    source: &Source,
    picture: &Picture,
    sheets: &Sheets,
    count: usize,
    cx: &Context,
) -> Result<Vec<Made>, Failure> {
    let size = picture.size_at(HEIGHT);
    let mut made = Vec::new();
    for (number, (tile, score)) in best(&sheets.greys, count).into_iter().enumerate() {
        cx.progress(0.75 + 0.2 * number as f32 / count.max(1) as f32, "posters");
        let at_ms = tile as u64 * sheets.interval_ms;
        let file = cx.folder().join(format!("poster-{number}.jpg"));
        if draw(source, picture, size, at_ms, &file, cx)? {
            made.push(Made { file, size, at_ms, score });
        }
    }
    Ok(made)
}

/// The best tile of each of so many parts of the film, the best of all first.
fn best(greys: &[u8], count: usize) -> Vec<(usize, f64)> {
    let bytes = (GREY.width * GREY.height) as usize;
    let tiles: Vec<&[u8]> = greys.chunks_exact(bytes).collect();
    let score = |(number, pixels): (usize, &&[u8])| {
        let edge = tiles.len() as f64 * EDGE_SHARE;
        let is_edge = (number as f64) < edge || (number as f64) >= tiles.len() as f64 - edge;
        let score = Grey { width: GREY.width as usize, pixels }.score();
        (number, if is_edge && tiles.len() > 2 { score / 2.0 } else { score })
    };
    let scores: Vec<_> = tiles.iter().enumerate().map(score).collect();
    let part = scores.len().div_ceil(count.max(1)).max(1);
    let better = |a: &&(usize, f64), b: &&(usize, f64)| a.1.total_cmp(&b.1);
    let mut best: Vec<_> =
        scores.chunks(part).filter_map(|part| part.iter().max_by(better).copied()).collect();
    best.truncate(count);
    best.sort_by(|a, b| b.1.total_cmp(&a.1));
    best.iter_mut().for_each(|it| it.1 = (it.1 * 10.0).round() / 10.0);
    best
}

/// Whether there was a picture at that time.
fn draw(
    source: &Source,
    picture: &Picture,
    size: Size,
    at_ms: u64,
    file: &std::path::Path,
    cx: &Context,
) -> Result<bool, Failure> {
    let at = Duration::from_millis(at_ms);
    let mut options = source.clock();
    if let Some(search) = source.search_margin().and_then(|margin| at.checked_sub(margin)) {
        options.extend(["-noaccurate_seek".into(), "-ss".into(), search.as_secs_f64().to_string()]);
    }
    let mut filters: Vec<String> = Vec::new();
    filters.extend(picture.deinterlacing().map(str::to_owned));
    // The picture that is shown then, or the first one after.
    let half_ms = 500.0 * f64::from(picture.rate.denominator) / f64::from(picture.rate.numerator);
    let from = (at_ms as f64 - half_ms).max(0.0) / 1000.0;
    filters.push(format!("select=gte(t\\,{from:.3})"));
    filters.extend(picture.tone_mapping(size));
    filters.push(picture.scaling(size));
    filters.push("format=yuvj420p".into());
    let mut call = FFmpeg::reading(&source.file, &options);
    call.push(["-map", &format!("0:{}", picture.stream), "-vf", &filters.join(",")]);
    call.push(["-frames:v", "1", "-c:v", "mjpeg", "-q:v", "3", "-map_metadata", "-1"]);
    call.push(["-update", "1", "-f", "image2"]);
    call.file(file);
    let content = source.duration.unwrap_or_default();
    let ended = call.run(cx, Limits::for_content(content, FILE_BYTES_MAX), &mut |_| ());
    let ended = ended.map_err(failure)?;
    Ok(ended.status.success() && file.metadata().is_ok_and(|found| found.len() > 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_of_a_film_offers_its_best_picture() {
        let pixels = (GREY.width * GREY.height) as usize;
        let black = vec![0_u8; pixels];
        let board: Vec<u8> = (0..pixels).map(|at| if at % 2 == 0 { 40 } else { 210 }).collect();
        let film: Vec<u8> = [&black, &black, &board, &black, &black, &board, &black, &black]
            .map(|it| &it[..])
            .concat();
        let tiles: Vec<_> = best(&film, 2).into_iter().map(|(tile, _)| tile).collect();
        assert_eq!(tiles, [2, 5]);
        assert!(best(&[], 4).is_empty());
        assert_eq!(best(&black, 4).len(), 1);
    }
}
