//! Passwords, costs and PHC strings. Pure computation on borrowed memory: knows no thread, no
//! queue and no guest.
//! Sources: RFC 9106 (argon2), the PHC string format, OWASP's password storage advice.

use crate::pool::Memory;
use argon2::password_hash::{Ident, Output, PasswordHash, Salt, SaltString};
use argon2::{Algorithm, Argon2, Block, Params, Version};

/// Longer input is an attack on our CPU, not a password.
const PASSWORD_BYTES_MAX: usize = 1024;

/// The longest PHC string that can be within the limits: names, three numbers, a salt of 64 and a
/// tag of 86 characters.
const PHC_BYTES_MAX: usize = 256;

/// A stored hash is input too: one that asked for 4 GiB would take the host down.
const MEMORY_KIB_MAX: u32 = 256 * 1024;

/// Memory times passes in KiB: bounds the time of one hash to about a second.
const WORK_KIB_MAX: u64 = 1024 * 1024;

/// Lanes run one after the other here; more would only be someone else's mistake.
const LANES_MAX: u32 = 16;

/// Bytes of a new salt and of a new tag (RFC 9106 section 4).
const SALT_BYTES: usize = 16;
const TAG_BYTES: usize = 32;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    #[error("the password has more than {PASSWORD_BYTES_MAX} bytes")]
    TooLong,
    #[error("the stored hash is no argon2 PHC string: {0}")]
    Malformed(String),
    #[error("the cost is beyond the limits: {0}")]
    TooCostly(String),
    #[error("all hashing threads are taken and the queue is full")]
    Busy,
    #[error("a hashing thread did not start: {0}")]
    NoThread(String),
}

/// What one hash costs; the parameters m, t and p of RFC 9106 section 3.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    pub memory_kib: u32,
    pub passes: u32,
    pub lanes: u32,
}

impl Default for Cost {
    /// OWASP's first choice for argon2id.
    fn default() -> Self {
        Self { memory_kib: 19_456, passes: 2, lanes: 1 }
    }
}

impl Cost {
    /// Refuses what would hurt the host, or what argon2 does not define.
    pub fn checked(self) -> Result<Self, PasswordError> {
        let fail = |why: String| Err(PasswordError::TooCostly(why));
        if self.memory_kib > MEMORY_KIB_MAX {
            return fail(format!("{} KiB of memory, at most {MEMORY_KIB_MAX}", self.memory_kib));
        }
        if u64::from(self.memory_kib) * u64::from(self.passes) > WORK_KIB_MAX {
            return fail(format!("memory times passes is more than {WORK_KIB_MAX} KiB"));
        }
        if self.lanes > LANES_MAX {
            return fail(format!("{} lanes, at most {LANES_MAX}", self.lanes));
        }
        match self.params(TAG_BYTES) {
            Ok(_) => Ok(self),
            Err(e) => fail(format!("argon2 does not allow it: {e}")),
        }
    }

    fn params(self, tag_bytes: usize) -> argon2::Result<Params> {
        Params::new(self.memory_kib, self.passes, self.lanes, Some(tag_bytes))
    }
}

/// The answer to "is this the password of that hash?".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verification {
    Match,
    /// The hash was made by another algorithm, version or cost than a new one would be.
    MatchNeedsRehash,
    Mismatch,
}

/// Refuses a password that no person types.
pub(crate) fn accepts(password: &str) -> Result<(), PasswordError> {
    if password.len() > PASSWORD_BYTES_MAX { Err(PasswordError::TooLong) } else { Ok(()) }
}

/// A new PHC string with a fresh salt.
///
/// # Errors
///
/// [`PasswordError::TooLong`] and [`PasswordError::TooCostly`].
pub fn hash(password: &str, cost: Cost, memory: &mut Memory) -> Result<String, PasswordError> {
    accepts(password)?;
    cost.checked()?;
    let salt: [u8; SALT_BYTES] = rand::random();
    let mut tag = [0; TAG_BYTES];
    let params = cost.params(TAG_BYTES).expect("the cost was checked");
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    fill(&argon2, password, &salt, &mut tag, memory)?;
    let salt = SaltString::encode_b64(&salt).expect("16 bytes are a valid salt");
    let hash = PasswordHash {
        algorithm: Algorithm::Argon2id.ident(),
        version: Some(Version::V0x13.into()),
        params: argon2.params().try_into().expect("m, t and p fit a PHC string"),
        salt: Some(salt.as_salt()),
        hash: Some(Output::new(&tag).expect("32 bytes are a valid tag")),
    };
    Ok(hash.to_string())
}

/// Compares in constant time. `stored: None` takes as long as a hash at `cost`, and mismatches.
///
/// # Errors
///
/// [`PasswordError::TooLong`]; [`PasswordError::Malformed`] and [`PasswordError::TooCostly`] for
/// what `stored` says, before any memory is touched.
pub fn verify(
    password: &str,
    stored: Option<&str>,
    cost: Cost,
    memory: &mut Memory,
) -> Result<Verification, PasswordError> {
    let Some(stored) = stored else {
        hash(password, cost, memory)?;
        return Ok(Verification::Mismatch);
    };
    accepts(password)?;
    let stored = Stored::parse(stored)?;
    let mut tag = vec![0; stored.tag.len()];
    fill(&stored.argon2, password, &stored.salt, &mut tag, memory)?;
    // `Output` compares in constant time.
    if Output::new(&tag).ok() != Some(stored.tag) {
        return Ok(Verification::Mismatch);
    }
    if stored.is_as_new(cost) {
        Ok(Verification::Match)
    } else {
        Ok(Verification::MatchNeedsRehash)
    }
}

/// A parsed PHC string whose cost is within the limits.
struct Stored {
    argon2: Argon2<'static>,
    algorithm: Algorithm,
    version: Version,
    salt: Vec<u8>,
    tag: Output,
}

impl Stored {
    fn parse(text: &str) -> Result<Self, PasswordError> {
        let malformed = |why: String| PasswordError::Malformed(why);
        if text.len() > PHC_BYTES_MAX {
            return Err(malformed(format!("it has more than {PHC_BYTES_MAX} bytes")));
        }
        let hash = PasswordHash::new(text).map_err(|e| malformed(e.to_string()))?;
        let algorithm =
            Algorithm::try_from(hash.algorithm).map_err(|e| malformed(e.to_string()))?;
        // A string without `v=` is of the first version (PHC string format, section on argon2).
        let version = hash.version.unwrap_or(Version::V0x10.into());
        let version = Version::try_from(version).map_err(|e| malformed(e.to_string()))?;
        let tag = hash.hash.ok_or_else(|| malformed("it has no tag".into()))?;
        let salt = hash.salt.ok_or_else(|| malformed("it has no salt".into()))?;
        cost_of(&hash)?.checked()?;
        let params = Params::try_from(&hash).map_err(|e| malformed(e.to_string()))?;
        let mut buffer = [0; Salt::MAX_LENGTH];
        let salt = salt.decode_b64(&mut buffer).map_err(|e| malformed(e.to_string()))?.to_vec();
        let argon2 = Argon2::new(algorithm, version, params);
        Ok(Self { argon2, algorithm, version, salt, tag })
    }

    fn is_as_new(&self, cost: Cost) -> bool {
        let params = self.argon2.params();
        self.algorithm == Algorithm::Argon2id
            && self.version == Version::V0x13
            && (params.m_cost(), params.t_cost(), params.p_cost())
                == (cost.memory_kib, cost.passes, cost.lanes)
            && self.tag.len() == TAG_BYTES
            && self.salt.len() >= SALT_BYTES
    }
}

/// Read before argon2's own parser, which would call a cost too high merely malformed.
fn cost_of(hash: &PasswordHash<'_>) -> Result<Cost, PasswordError> {
    let read = |name: &str| {
        let value = hash.params.get_decimal(Ident::new(name).expect("m, t and p are identifiers"));
        value.ok_or_else(|| PasswordError::Malformed(format!("it has no parameter {name}")))
    };
    Ok(Cost { memory_kib: read("m")?, passes: read("t")?, lanes: read("p")? })
}

fn fill(
    argon2: &Argon2<'_>,
    password: &str,
    salt: &[u8],
    tag: &mut [u8],
    memory: &mut Memory,
) -> Result<(), PasswordError> {
    let blocks = memory.blocks(argon2.params().block_count());
    argon2
        .hash_password_into_with_memory(password.as_bytes(), salt, tag, blocks)
        .map_err(|e| PasswordError::Malformed(e.to_string()))
}

impl Memory {
    /// At least `count` blocks of 1 KiB, with whatever is in them: argon2's first pass writes each
    /// block before it reads it.
    fn blocks(&mut self, count: usize) -> &mut [Block] {
        if self.0.len() < count {
            self.0.resize(count, Block::new());
        }
        &mut self.0[..count]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHEAP: Cost = Cost { memory_kib: 64, passes: 1, lanes: 1 };

    fn check(password: &str, stored: Option<&str>) -> Result<Verification, PasswordError> {
        verify(password, stored, CHEAP, &mut Memory::default())
    }

    /// RFC 9106 sections 5.1 to 5.3: the same input for argon2d, argon2i and argon2id.
    #[test]
    fn tags_equal_the_test_vectors_of_rfc_9106() {
        let vectors = [
            (
                Algorithm::Argon2d,
                "512b391b6f1162975371d30919734294f868e3be3984f3c1a13a4db9fabe4acb",
            ),
            (
                Algorithm::Argon2i,
                "c814d9d1dc7f37aa13f0d77f2494bda1c8de6b016dd388d29952a4c4672b6ce8",
            ),
            (
                Algorithm::Argon2id,
                "0d640df58d78766c08c037a34a8b53c9d01ef0452d75b65eb52520e96b01e659",
            ),
        ];
        for (algorithm, expected) in vectors {
            let mut params = argon2::ParamsBuilder::new();
            params.m_cost(32).t_cost(3).p_cost(4).output_len(32);
            params.data(argon2::AssociatedData::new(&[4; 12]).unwrap());
            let params = params.build().unwrap();
            let argon2 =
                Argon2::new_with_secret(&[3; 8], algorithm, Version::V0x13, params).unwrap();
            let (mut tag, mut memory) = ([0; 32], Memory::default());
            let blocks = memory.blocks(argon2.params().block_count());
            argon2.hash_password_into_with_memory(&[1; 32], &[2; 16], &mut tag, blocks).unwrap();
            let hex: String = tag.iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(hex, expected, "{algorithm}");
        }
    }

    #[test]
    fn a_new_hash_is_a_phc_string_at_the_default_cost() {
        let phc = hash("correct horse", Cost::default(), &mut Memory::default()).unwrap();
        assert!(phc.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{phc}");
        let verified = verify("correct horse", Some(&phc), Cost::default(), &mut Memory::default());
        assert_eq!(verified, Ok(Verification::Match));
        assert_eq!(check("correct horse", Some(&phc)), Ok(Verification::MatchNeedsRehash));
        assert_eq!(check("wrong horse", Some(&phc)), Ok(Verification::Mismatch));
    }

    #[test]
    fn two_hashes_of_one_password_differ() {
        let mut memory = Memory::default();
        let (one, two) = (hash("same", CHEAP, &mut memory), hash("same", CHEAP, &mut memory));
        assert_ne!(one.unwrap(), two.unwrap());
    }

    /// Made with the reference implementation's command line (`argon2 somesalt ...`), from its
    /// own test file.
    #[test]
    fn hashes_of_the_reference_implementation_verify() {
        let v19 = "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ\
                   $nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";
        let i19 = "$argon2i$v=19$m=256,t=2,p=1$c29tZXNhbHQ\
                   $iekCn0Y3spW+sCcFanM2xBT63UP2sghkUoHLIUpWRS8";
        for stored in [v19, i19] {
            assert_eq!(check("password", Some(stored)), Ok(Verification::MatchNeedsRehash));
            assert_eq!(check("passwore", Some(stored)), Ok(Verification::Mismatch));
        }
    }

    #[test]
    fn memory_left_by_a_bigger_hash_does_not_change_a_smaller_one() {
        let mut memory = Memory::default();
        let small = hash("a", CHEAP, &mut memory).unwrap();
        hash("b", Cost { memory_kib: 1024, ..CHEAP }, &mut memory).unwrap();
        assert_eq!(verify("a", Some(&small), CHEAP, &mut memory), Ok(Verification::Match));
    }

    #[test]
    fn an_unknown_user_costs_as_much_as_a_known_one() {
        let (known, unknown) = (&mut Memory::default(), &mut Memory::default());
        let stored = hash("secret", CHEAP, known).unwrap();
        *known = Memory::default();
        assert_eq!(verify("secret", Some(&stored), CHEAP, known), Ok(Verification::Match));
        assert_eq!(verify("secret", None, CHEAP, unknown), Ok(Verification::Mismatch));
        // The same memory filled by the same passes is the same work.
        assert_eq!(known.bytes(), unknown.bytes());
        assert_eq!(unknown.bytes(), 64 * 1024);
    }

    #[test]
    fn a_hostile_hash_is_refused_before_it_takes_memory() {
        let tail = "$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";
        let mut memory = Memory::default();
        for cost in [
            "m=4194304,t=1,p=1",
            "m=262145,t=1,p=1",
            "m=262144,t=5,p=1",
            "m=4294967295,t=4294967295,p=1",
            "m=4096,t=1,p=17",
        ] {
            let stored = format!("$argon2id$v=19${cost}{tail}");
            let refused = verify("x", Some(&stored), CHEAP, &mut memory);
            assert!(matches!(refused, Err(PasswordError::TooCostly(_))), "{cost}: {refused:?}");
        }
        assert_eq!(memory.bytes(), 0);
    }

    #[test]
    fn what_is_no_argon2_hash_is_malformed() {
        let long = format!("$argon2id$v=19$m=256,t=2,p=1${}", "A".repeat(1 << 20));
        for stored in [
            "",
            "plain",
            "$2b$12$R9h/cIPz0gi.URNNX3kh2OPST9/PgBkqquzi.Ss7KIUgO2t0jWMUW",
            "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ",
            "$argon2id$v=18$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
            "$argon2id$v=19$m=256,t=2$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
            &long,
        ] {
            let refused = check("password", Some(stored));
            assert!(
                matches!(refused, Err(PasswordError::Malformed(_))),
                "{stored:.80}: {refused:?}"
            );
        }
    }

    #[test]
    fn a_password_of_more_than_1024_bytes_is_refused() {
        let mut memory = Memory::default();
        assert!(hash(&"x".repeat(1024), CHEAP, &mut memory).is_ok());
        assert_eq!(hash(&"x".repeat(1025), CHEAP, &mut memory), Err(PasswordError::TooLong));
        assert_eq!(check(&"x".repeat(1025), None), Err(PasswordError::TooLong));
    }
}
