//! How well a picture stands for a film: it shows something, and shows it sharply. Knows grey
//! pixels only.

/// A picture of grey pixels, one byte each, row by row.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Grey<'a> {
    pub(crate) width: usize,
    pub(crate) pixels: &'a [u8],
}

/// A picture whose pixels are all alike scores 0.
impl Grey<'_> {
    /// From 0: contrast times sharpness, less for what is nearly black or nearly white.
    pub(crate) fn score(&self) -> f64 {
        let count = self.pixels.len().max(1) as f64;
        let mean = self.pixels.iter().map(|it| f64::from(*it)).sum::<f64>() / count;
        let spread = self.pixels.iter().map(|it| (f64::from(*it) - mean).powi(2)).sum::<f64>();
        let contrast = (spread / count).sqrt();
        // In the middle of the range nothing is taken off, at its ends all.
        let exposure = 1.0 - ((mean - 128.0) / 128.0).powi(2);
        contrast * exposure * (1.0 + (1.0 + self.sharpness()).ln())
    }

    /// The mean of how much a pixel differs from the mean of its four neighbours.
    fn sharpness(&self) -> f64 {
        let rows: Vec<&[u8]> = self.pixels.chunks_exact(self.width.max(1)).collect();
        let (mut sum, mut count) = (0.0, 0_u32);
        for three in rows.windows(3) {
            for x in 1..self.width.saturating_sub(1) {
                let at = |row: usize, x: usize| f64::from(three[row][x]);
                let around = at(0, x) + at(2, x) + at(1, x - 1) + at(1, x + 1);
                sum += (4.0 * at(1, x) - around).abs();
                count += 1;
            }
        }
        sum / f64::from(count.max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn score(pixel: impl Fn(usize, usize) -> u8) -> f64 {
        let pixels: Vec<u8> =
            (0..36).flat_map(|y| (0..64).map(move |x| (x, y))).map(|(x, y)| pixel(x, y)).collect();
        Grey { width: 64, pixels: &pixels }.score()
    }

    #[test]
    fn what_shows_something_sharply_stands_above_the_rest() {
        let sharp = score(|x, y| if (x / 4 + y / 4) % 2 == 0 { 200 } else { 50 });
        let soft = score(|x, _| 50 + 2 * u8::try_from(x).unwrap_or(0));
        let dark = score(|x, y| if (x / 4 + y / 4) % 2 == 0 { 12 } else { 2 });
        assert_eq!(score(|_, _| 128), 0.0);
        assert!(sharp > soft && soft > dark, "{sharp} {soft} {dark}");
    }
}
