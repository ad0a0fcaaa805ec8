//! Where a key lies: a tree of file names that is safe on any file system, case-blind ones too,
//! and whose order can be brought back to the order of the keys. Knows no file's content.
//!
//! A segment is cut into pieces of 64 bytes; each byte but `a-z 0-9 . _ -` becomes `%xx`. A last
//! character says what a name is: `=` an object, `@` a folder (the segment ends here, with a
//! slash), `+` a folder in which the same segment goes on. So `Media/a.mp4` is `%4dedia@/a.mp4=`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// 64 bytes become at most 193 characters; file systems take 255.
const PIECE_BYTES: usize = 64;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Object,
    Folder,
    More,
}

impl Kind {
    fn mark(self) -> char {
        match self {
            Self::Object => '=',
            Self::Folder => '@',
            Self::More => '+',
        }
    }
}

/// The path of an object below its bucket's folder.
pub(super) fn of_key(key: &str) -> PathBuf {
    let mut path = PathBuf::new();
    let mut segments = key.split('/').peekable();
    while let Some(segment) = segments.next() {
        let mut rest = segment.as_bytes();
        while let Some((piece, more)) = rest.split_at_checked(PIECE_BYTES) {
            path.push(encode(piece, Kind::More));
            rest = more;
        }
        let last = if segments.peek().is_some() { Kind::Folder } else { Kind::Object };
        path.push(encode(rest, last));
    }
    path
}

fn encode(piece: &[u8], kind: Kind) -> String {
    use std::fmt::Write as _;
    let mut name = String::with_capacity(piece.len() + 1);
    for byte in piece {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-' => name.push(char::from(*byte)),
            _ => write!(name, "%{byte:02x}").expect("a string takes everything"),
        }
    }
    name.push(kind.mark());
    name
}

/// What a file name stands for; none when it is not one of ours.
fn decode(name: &str) -> Option<(Vec<u8>, Kind)> {
    let kinds = [Kind::Object, Kind::Folder, Kind::More];
    let kind = kinds.into_iter().find(|kind| name.ends_with(kind.mark()))?;
    let mut rest = name.strip_suffix(kind.mark())?.as_bytes();
    let mut piece = Vec::with_capacity(rest.len());
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        if *first != b'%' {
            piece.push(*first);
            continue;
        }
        let (digits, tail) = rest.split_at_checked(2)?;
        piece.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?);
        rest = tail;
    }
    Some((piece, kind))
}

/// One name of the tree: the bytes that every key below it starts with.
pub(super) struct Node {
    pub(super) bytes: Vec<u8>,
    pub(super) kind: Kind,
    pub(super) path: PathBuf,
}

/// The nodes of `folder`, whose keys all start with `start`, in the order of those keys: what is
/// below a node sorts as the node does, because its bytes end where it branches.
pub(super) fn nodes(folder: &Path, start: &[u8]) -> io::Result<Vec<Node>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        // Emptied and removed while we came here.
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(e),
    };
    let mut nodes = Vec::new();
    for entry in entries {
        let entry = entry?;
        let Some((piece, kind)) = entry.file_name().to_str().and_then(decode) else { continue };
        let mut bytes = [start, &piece].concat();
        if kind == Kind::Folder {
            bytes.push(b'/');
        }
        nodes.push(Node { bytes, kind, path: entry.path() });
    }
    nodes.sort_unstable_by(|a, b| a.bytes.cmp(&b.bytes));
    Ok(nodes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_show_what_they_hold() {
        assert_eq!(of_key("Media/a.mp4"), Path::new("%4dedia@/a.mp4="));
        assert_eq!(of_key("a"), Path::new("a="));
        assert_eq!(of_key("..a/b%=@+"), Path::new("..a@/b%25%3d%40%2b="));
        let long = "x".repeat(64);
        assert_eq!(of_key(&long), Path::new(&format!("{long}+/=")));
        assert_eq!(of_key(&format!("{long}y/z")), Path::new(&format!("{long}+/y@/z=")));
    }

    #[test]
    fn no_name_is_too_long_and_no_path_leaves_its_folder() {
        for key in ["\u{10fffd}".repeat(240), "A/".repeat(479) + "A", "É".repeat(480)] {
            let path = of_key(&key);
            assert!(path.as_os_str().len() < 3000, "{}", path.as_os_str().len());
            for component in path.components() {
                assert!(matches!(component, std::path::Component::Normal(_)));
                assert!(component.as_os_str().len() <= 200);
            }
        }
    }

    #[test]
    fn keys_that_differ_in_case_only_have_names_that_differ_in_more() {
        let names: BTreeSet<_> = ["a", "A", "ä", "Ä"]
            .map(|key| of_key(key).to_str().unwrap().to_ascii_lowercase())
            .into();
        assert_eq!(names.len(), 4);
    }

    #[test]
    fn a_name_decodes_to_what_was_encoded() {
        for piece in [&b""[..], b"plain.mp4", b"A b", &[0xff, 0x00, b'%', b'=']] {
            for kind in [Kind::Object, Kind::Folder, Kind::More] {
                assert_eq!(decode(&encode(piece, kind)), Some((piece.to_vec(), kind)));
            }
        }
        for foreign in ["", "lost+found", "a%4=", "a%zz=", "%é="] {
            let known = decode(foreign);
            assert!(known.is_none(), "{foreign}: {known:?}");
        }
    }
}
