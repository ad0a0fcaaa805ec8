//! Tar files in memory: written so that the same content gives the same bytes, read so that a
//! hostile one costs no more than its bounds. Refuses everything but plain files and folders, and
//! every name that could lead elsewhere.

use bytes::Bytes;
use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Component;

/// What a tar may hold.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) files: usize,
    /// All files together.
    pub(crate) bytes: u64,
}

/// Names are paths in an archive that somebody else made.
const NAME_BYTES_MAX: usize = 255;

/// The files of a tar by name, without a leading `./`.
pub(crate) fn read(tar: &[u8], bounds: Bounds) -> Result<BTreeMap<String, Bytes>, String> {
    let mut files = BTreeMap::new();
    let mut left = bounds.bytes;
    let mut entries = 0_usize;
    for entry in tar::Archive::new(tar).entries().map_err(|error| error.to_string())? {
        let mut entry = entry.map_err(|error| error.to_string())?;
        entries += 1;
        if entries > bounds.files.saturating_mul(2) || files.len() > bounds.files {
            return Err(format!("it holds more than {} files", bounds.files));
        }
        let name = name(&entry.path_bytes())?;
        let kind = entry.header().entry_type();
        if kind.is_dir() {
            continue;
        }
        if !kind.is_file() {
            return Err(format!("{name:?} is no plain file"));
        }
        let announced = entry.size();
        if announced > left {
            return Err(format!("its files have more than {} bytes", bounds.bytes));
        }
        left -= announced;
        let mut bytes = Vec::new();
        entry.by_ref().take(announced).read_to_end(&mut bytes).map_err(|e| e.to_string())?;
        if bytes.len() as u64 != announced {
            return Err(format!("{name:?} is cut off"));
        }
        if files.insert(name.clone(), bytes.into()).is_some() {
            return Err(format!("{name:?} is there twice"));
        }
    }
    Ok(files)
}

/// A name that stays inside the archive.
fn name(bytes: &[u8]) -> Result<String, String> {
    let shown = || String::from_utf8_lossy(&bytes[..bytes.len().min(80)]).into_owned();
    let text = std::str::from_utf8(bytes).map_err(|_| format!("{:?} is no name", shown()))?;
    let mut parts = Vec::new();
    for part in std::path::Path::new(text).components() {
        match part {
            Component::CurDir => {}
            Component::Normal(part) => parts.push(part.to_string_lossy()),
            _ => return Err(format!("{:?} leads out of the archive", shown())),
        }
    }
    if bytes.len() > NAME_BYTES_MAX || text.contains(['\\', '\0']) {
        return Err(format!("{:?} is no name", shown()));
    }
    Ok(parts.join("/"))
}

/// A tar of `files` in the order given, with nothing in it that depends on when, where or by whom
/// it is written.
pub(crate) fn write<'a>(files: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, bytes) in files {
        let mut header = tar::Header::new_ustar();
        let folder = name.ends_with('/');
        header.set_entry_type(if folder {
            tar::EntryType::Directory
        } else {
            tar::EntryType::Regular
        });
        header.set_mode(if folder { 0o755 } else { 0o644 });
        header.set_size(bytes.len() as u64);
        header.set_mtime(0);
        header.set_uid(0);
        header.set_gid(0);
        tar.append_data(&mut header, name, bytes).expect("short names and memory take everything");
    }
    tar.into_inner().expect("memory takes everything")
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds { files: 4, bytes: 1_000 };

    /// A tar as somebody would write it who means harm: the name goes in as it is.
    fn hostile(name: &str, kind: tar::EntryType, bytes: &[u8], announced: u64) -> Vec<u8> {
        let mut header = tar::Header::new_gnu();
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(kind);
        header.set_size(announced);
        header.set_mode(0o644);
        header.set_cksum();
        let mut tar = header.as_bytes().to_vec();
        tar.extend_from_slice(bytes);
        tar.resize(tar.len().next_multiple_of(512), 0);
        tar
    }

    #[test]
    fn files_are_read_as_they_were_written() {
        let tar = write([("a/", &b""[..]), ("a/b", b"one"), ("c", b"")]);
        let files = read(&tar, BOUNDS).unwrap();
        assert_eq!(files.keys().collect::<Vec<_>>(), ["a/b", "c"]);
        assert_eq!(&files["a/b"][..], b"one");
    }

    #[test]
    fn names_that_lead_out_are_refused() {
        for name in ["../up", "/etc/passwd", "a/../../b", "a/..", "a\\b"] {
            let told = read(&hostile(name, tar::EntryType::Regular, b"x", 1), BOUNDS).unwrap_err();
            assert!(told.contains("leads out") || told.contains("no name"), "{name}: {told}");
        }
        let dotted = read(&hostile("./a/./b", tar::EntryType::Regular, b"x", 1), BOUNDS).unwrap();
        assert!(dotted.contains_key("a/b"));
    }

    #[test]
    fn links_and_devices_are_refused() {
        for kind in [tar::EntryType::Symlink, tar::EntryType::Link, tar::EntryType::Char] {
            let told = read(&hostile("blobs", kind, b"", 0), BOUNDS).unwrap_err();
            assert!(told.contains("no plain file"), "{told}");
        }
    }

    #[test]
    fn a_tar_costs_no_more_than_its_bounds() {
        let large = hostile("large", tar::EntryType::Regular, b"", 1 << 40);
        assert!(read(&large, BOUNDS).unwrap_err().contains("more than 1000 bytes"));
        let cut = hostile("cut", tar::EntryType::Regular, b"x", 900);
        assert!(read(&cut, BOUNDS).is_err());
        let names: Vec<String> = (0..20).map(|n| n.to_string()).collect();
        let many = write(names.iter().map(|name| (name.as_str(), &b""[..])));
        assert!(read(&many, BOUNDS).unwrap_err().contains("more than 4 files"));
        let twice = write([("a", &b"1"[..]), ("a", b"2")]);
        assert!(read(&twice, BOUNDS).unwrap_err().contains("twice"));
    }
}
