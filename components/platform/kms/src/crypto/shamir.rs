//! Shamir's secret sharing over GF(2^8), byte by byte, with the polynomial of AES
//! (x^8+x^4+x^3+x+1). Fewer shares than the threshold say nothing about the secret; as many as
//! the threshold give it. Shares are not proof against whoever holds one and lies: whoever
//! recovers checks the result.
//! Source: A. Shamir, How to share a secret, CACM 22 (1979).

use zeroize::Zeroizing;

/// One of the points: `x`, never 0, and the values of all polynomials there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Share {
    pub x: u8,
    pub values: Vec<u8>,
}

/// Splits a secret; `random` holds `(threshold - 1)` bytes for each byte of it.
pub fn split(secret: &[u8], shares: u8, threshold: u8, random: &[u8]) -> Option<Vec<Share>> {
    let degree = usize::from(threshold.checked_sub(1)?);
    if threshold < 2 || threshold > shares || random.len() != degree * secret.len() {
        return None;
    }
    let share = |x| Share { x, values: values_at(x, secret, random, degree) };
    Some((1..=shares).map(share).collect())
}

fn values_at(x: u8, secret: &[u8], random: &[u8], degree: usize) -> Vec<u8> {
    let value = |(at, constant): (usize, &u8)| {
        // Horner, from the highest coefficient down to the secret's own byte.
        let coefficients = &random[at * degree..(at + 1) * degree];
        coefficients.iter().rev().fold(0, |sum, c| mul(sum ^ c, x)) ^ constant
    };
    secret.iter().enumerate().map(value).collect()
}

/// The secret behind as many shares as the threshold was; with fewer, or with shares of different
/// secrets, the result is nonsense. Nothing when two shares are the same point or lengths differ.
pub fn combine(shares: &[Share]) -> Option<Zeroizing<Vec<u8>>> {
    let len = shares.first()?.values.len();
    let mut secret = Zeroizing::new(vec![0; len]);
    for (at, share) in shares.iter().enumerate() {
        let others = shares.iter().enumerate().filter(|(other, _)| *other != at);
        let mut weight = 1;
        for (_, other) in others {
            if other.x == share.x {
                return None;
            }
            // Lagrange at 0: subtraction is addition here.
            weight = mul(weight, mul(other.x, inverse(other.x ^ share.x)));
        }
        if share.x == 0 || share.values.len() != len {
            return None;
        }
        for (sum, value) in secret.iter_mut().zip(&share.values) {
            *sum ^= mul(weight, *value);
        }
    }
    Some(secret)
}

/// In a time that depends on neither number: no table, no branch.
fn mul(a: u8, b: u8) -> u8 {
    let mut product = 0;
    let mut shifted = a;
    for bit in 0..8 {
        product ^= shifted & 0u8.wrapping_sub((b >> bit) & 1);
        shifted = (shifted << 1) ^ (0x1b & 0u8.wrapping_sub(shifted >> 7));
    }
    product
}

/// `a^254`, which is `1/a`.
fn inverse(a: u8) -> u8 {
    let mut power = a;
    let mut result = 1;
    for _ in 0..7 {
        power = mul(power, power);
        result = mul(result, power);
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_field_is_that_of_aes() {
        // FIPS 197 section 4.2.
        assert_eq!(mul(0x57, 0x83), 0xc1);
        assert_eq!(mul(0x57, 0x13), 0xfe);
        for a in 1..=255 {
            assert_eq!(mul(a, inverse(a)), 1, "{a}");
        }
    }

    #[test]
    fn any_threshold_of_shares_gives_the_secret() {
        let secret = b"thirty-two bytes of a signing key";
        let random: Vec<u8> = (0..2 * secret.len()).map(|at| (at * 97 + 13) as u8).collect();
        let shares = split(secret, 5, 3, &random).unwrap();
        for a in 0..5 {
            for b in 0..5 {
                for c in 0..5 {
                    let chosen = [shares[a].clone(), shares[b].clone(), shares[c].clone()];
                    let combined = combine(&chosen);
                    match a != b && b != c && a != c {
                        true => assert_eq!(&**combined.unwrap(), secret),
                        false => assert!(combined.is_none()),
                    }
                }
            }
        }
    }

    /// With one share less, every secret is as likely: for each there are coefficients that give
    /// the very same share.
    #[test]
    fn a_share_alone_fits_every_secret() {
        let share = &split(&[42], 2, 2, &[7]).unwrap()[1];
        for secret in 0..=255 {
            let coefficient = mul(secret ^ share.values[0], inverse(share.x));
            let other = &split(&[secret], 2, 2, &[coefficient]).unwrap()[1];
            assert_eq!(other, share);
        }
    }

    #[test]
    fn impossible_splits_are_refused() {
        for (shares, threshold) in [(3, 1), (3, 0), (3, 4), (0, 0)] {
            let random = vec![0; usize::from(threshold.max(1) - 1)];
            assert!(split(&[1], shares, threshold, &random).is_none(), "{shares} {threshold}");
        }
        assert!(split(&[1, 2], 3, 2, &[0]).is_none());
        assert!(combine(&[]).is_none());
    }
}
