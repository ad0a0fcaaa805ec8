//! The migrations that travel with a component: `NNNN_name.sql`, in a tar that is the same for the
//! same files. Refuses to read the SQL: whoever runs it judges it.

use crate::error::Error;
use crate::tarball::{self, Bounds};
use std::collections::BTreeSet;
use std::path::Path;

/// One step of a service's schema.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Migration {
    /// `0001_product.sql`.
    pub name: String,
    pub sql: String,
}

/// A service of the suite has a dozen; numbers have four digits.
const BOUNDS: Bounds = Bounds { files: 2_000, bytes: MIGRATIONS_BYTES_MAX };
/// All of them together.
pub(crate) const MIGRATIONS_BYTES_MAX: u64 = 8 << 20;

impl Migration {
    /// Reads a folder of them, in the order of their numbers; other files are none.
    ///
    /// # Errors
    ///
    /// When a file cannot be read or is not named `NNNN_name.sql`; `schema.sql`, the sum of them,
    /// is left out.
    pub fn read_folder(folder: &Path) -> Result<Vec<Self>, Error> {
        let unreadable = |path: &Path, error: std::io::Error| Error::Unreadable {
            path: path.into(),
            reason: error.to_string(),
        };
        let mut found = Vec::new();
        for entry in std::fs::read_dir(folder).map_err(|e| unreadable(folder, e))? {
            let entry = entry.map_err(|e| unreadable(folder, e))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if !name.ends_with(".sql") || name == "schema.sql" {
                continue;
            }
            let path = entry.path();
            let sql = std::fs::read_to_string(&path).map_err(|e| unreadable(&path, e))?;
            found.push(Self { name, sql });
        }
        sorted(found)
    }

    /// The number of its name.
    pub fn number(&self) -> u32 {
        number(&self.name).unwrap_or_default()
    }
}

/// Checks the names, and puts them in their order.
pub(crate) fn sorted(mut migrations: Vec<Migration>) -> Result<Vec<Migration>, Error> {
    let mut numbers = BTreeSet::new();
    for migration in &migrations {
        let name = &migration.name;
        let Some(number) = number(name) else {
            let name: String = name.chars().take(80).collect();
            return Err(Error::Migrations(format!("{name:?} is not named like 0001_product.sql")));
        };
        if !numbers.insert(number) {
            return Err(Error::Migrations(format!("two of them have the number {number:04}")));
        }
    }
    migrations.sort();
    Ok(migrations)
}

pub(crate) fn pack(migrations: &[Migration]) -> Vec<u8> {
    tarball::write(migrations.iter().map(|it| (it.name.as_str(), it.sql.as_bytes())))
}

pub(crate) fn unpack(tar: &[u8]) -> Result<Vec<Migration>, Error> {
    let files = tarball::read(tar, BOUNDS).map_err(Error::Migrations)?;
    let text = |(name, bytes): (String, bytes::Bytes)| match String::from_utf8(bytes.into()) {
        Ok(sql) => Ok(Migration { name, sql }),
        Err(_) => Err(Error::Migrations(format!("{name} is not UTF-8"))),
    };
    sorted(files.into_iter().map(text).collect::<Result<_, _>>()?)
}

/// Of `0001_product.sql`, as `nexus-storage` reads it.
fn number(name: &str) -> Option<u32> {
    let (digits, word) = name.strip_suffix(".sql")?.split_once('_')?;
    let word_is_plain = !word.is_empty()
        && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    let numbered = digits.len() == 4 && digits.bytes().all(|b| b.is_ascii_digit());
    (numbered && word_is_plain).then(|| digits.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn migration(name: &str) -> Migration {
        Migration { name: name.into(), sql: format!("-- {name}") }
    }

    #[test]
    fn migrations_are_unpacked_as_they_were_packed() {
        let all = [migration("0001_product.sql"), migration("0002_price_list.sql")];
        assert_eq!(unpack(&pack(&all)).unwrap(), all);
        assert_eq!(all[1].number(), 2);
    }

    #[test]
    fn names_and_numbers_are_checked() {
        for wrong in
            ["1_a.sql", "0001.sql", "0001_A.sql", "0001_a.txt", "x/0001_a.sql", "0001_.sql"]
        {
            let told = sorted(vec![migration(wrong)]).unwrap_err().to_string();
            assert!(told.contains("is not named like"), "{wrong}: {told}");
        }
        let two = vec![migration("0001_a.sql"), migration("0001_b.sql")];
        assert!(sorted(two).unwrap_err().to_string().contains("number 0001"));
        assert!(unpack(&tarball::write([("0001_a.sql", &[0xff_u8][..])])).is_err());
    }

    #[test]
    fn a_folder_gives_its_migrations_in_order_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["0002_b.sql", "0001_a.sql", "schema.sql", "README.md"] {
            std::fs::write(folder.path().join(name), "select 1").unwrap();
        }
        let names: Vec<_> =
            Migration::read_folder(folder.path()).unwrap().into_iter().map(|it| it.name).collect();
        assert_eq!(names, ["0001_a.sql", "0002_b.sql"]);
        assert!(Migration::read_folder(&folder.path().join("nowhere")).is_err());
    }
}
