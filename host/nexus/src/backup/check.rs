//! Reading a backup: its header, its contents, and whether every byte is the one that was written.
//! Nothing is believed that the key does not vouch for. Refuses to know where it is restored.

use super::contents::{Contents, Entry, FORMAT, Header, Versioned};
use super::key::{Given, Master};
use super::pack::{BEGIN, CONTENTS, END, HEADER, Place};
use super::seal::{Broken, Opener};
use super::{Refusal, VERSION, hex};
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use std::fs::File;
use std::io::{BufReader, ErrorKind, Read, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

/// A header is a few hundred bytes; what says more is none.
const HEADER_BYTES_MAX: u64 = 64 << 10;

/// What `nexus backup verify` and `nexus restore` say of one thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    pub kind: &'static str,
    pub name: String,
    pub expected: String,
    pub found: String,
    pub verdict: Verdict,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Same,
    Differs,
    Missing,
}

/// A backup of which every byte was read and is right.
#[derive(Debug, Clone, Serialize)]
pub struct Checked {
    pub made_at: String,
    pub made_by: String,
    pub packs: usize,
    pub bytes: u64,
    pub tables: usize,
    pub rows: i64,
    pub objects: usize,
    pub object_bytes: u64,
    pub root_key: Option<String>,
    pub root_key_included: bool,
}

/// A backup whose header and contents were read.
pub(super) struct Backup {
    place: Place,
    master: Master,
    pub(super) id: String,
    pub(super) contents: Contents,
}

impl Backup {
    /// Reads header and contents.
    pub(super) fn open(from: &Path, given: &Given) -> Result<Self, Refusal> {
        let place = match from.is_dir() {
            true => Place::Folder(from.to_owned()),
            false => Place::File(from.to_owned()),
        };
        let text = match &place {
            Place::Folder(folder) => folder_header(folder)?,
            Place::File(file) => file_header(file)?.1,
        };
        let nothing = || Refusal::NoBackup(from.to_owned());
        let versioned: Versioned = serde_json::from_slice(&text).map_err(|_| nothing())?;
        if versioned.format != FORMAT {
            return Err(nothing());
        }
        if versioned.version > VERSION {
            return Err(Refusal::Newer(versioned.version));
        }
        let changed = || Refusal::Changed("the header".into());
        let header: Header = serde_json::from_slice(&text).map_err(|_| changed())?;
        let master = Master::derive(given, &header.key, &header.id)?;
        if !master.is_of(&header.check) {
            return Err(Refusal::WrongKey);
        }
        let sealed = match &place {
            Place::Folder(folder) => folder_contents(folder)?,
            Place::File(file) => file_contents(file)?,
        };
        let stored = sealed.len() as u64;
        let mut opener = Opener::new(&master.of_contents(), &text, stored, sealed.as_slice());
        let mut list = Vec::new();
        let broken = |_| Refusal::Changed("the list of contents, or the header".into());
        while let Some(piece) = opener.next().map_err(broken)? {
            list.extend(piece);
        }
        let contents = serde_json::from_slice(&list);
        let contents: Contents =
            contents.map_err(|_| Refusal::Changed("the list of contents".into()))?;
        Ok(Self { place, master, id: header.id, contents })
    }

    fn pack(&self, number: usize) -> Result<(PathBuf, String), Refusal> {
        let record = self.contents.packs.get(number);
        let record = record.ok_or_else(|| Refusal::Missing(format!("pack {}", number + 1)))?;
        Ok(match &self.place {
            Place::Folder(folder) => (folder.join(&record.name), record.name.clone()),
            Place::File(file) => (file.clone(), file.display().to_string()),
        })
    }

    /// Reads every pack and compares its length and its hash.
    pub(super) fn check_packs(&self) -> Result<u64, Refusal> {
        let mut total = 0;
        for (number, record) in self.contents.packs.iter().enumerate() {
            let (path, part) = self.pack(number)?;
            let file = match File::open(&path) {
                Ok(file) => file,
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    return Err(Refusal::Missing(part));
                }
                Err(error) => return Err(Refusal::io(&path)(error)),
            };
            let found = file.metadata().map_err(Refusal::io(&path))?.len();
            if found < record.bytes {
                return Err(Refusal::Cut { part, found, expected: record.bytes });
            }
            if matches!(self.place, Place::Folder(_)) && found != record.bytes {
                return Err(Refusal::Changed(part));
            }
            let mut hash = Sha256::new();
            let mut bytes = BufReader::with_capacity(1 << 20, file).take(record.bytes);
            let mut buffer = vec![0; 1 << 20];
            loop {
                match bytes.read(&mut buffer).map_err(Refusal::io(&path))? {
                    0 => break,
                    read => hash.update(&buffer[..read]),
                }
            }
            if hex(&hash.finalize()) != record.sha256 {
                return Err(Refusal::Changed(part));
            }
            total += record.bytes;
        }
        Ok(total)
    }

    /// Begins to read an entry, by its number in the contents.
    pub(super) fn entry(&self, number: usize) -> Result<Reading, Refusal> {
        let entry = self.contents.entries.get(number);
        let entry = entry.ok_or_else(|| Refusal::Missing(format!("entry {number}")))?.clone();
        let (path, part) = self.pack(entry.pack)?;
        let opened = File::open(&path).and_then(|mut file| {
            file.seek(SeekFrom::Start(entry.offset))?;
            Ok(BufReader::with_capacity(128 << 10, file))
        });
        let file = opened.map_err(Refusal::io(&path))?;
        let key = self.master.of_entry(number as u64);
        let opener = Opener::new(&key, &[], entry.stored, file);
        Ok(Reading { opener, entry, part, path, bytes: 0, hash: Sha256::new() })
    }

    /// Opens every entry and compares its bytes with what was put in.
    fn check_entries(&self) -> Result<(), Refusal> {
        for number in 0..self.contents.entries.len() {
            let mut reading = self.entry(number)?;
            while reading.next()?.is_some() {}
        }
        Ok(())
    }

    /// Reads all of it.
    pub(super) fn checked(&self) -> Result<Checked, Refusal> {
        let bytes = self.check_packs()?;
        self.check_entries()?;
        Ok(self.described(bytes))
    }

    pub(super) fn described(&self, bytes: u64) -> Checked {
        use super::contents::What;
        let contents = &self.contents;
        let tables = contents.database.as_ref().map_or(&[][..], |database| &database.tables);
        let grants = |table: &&super::contents::Table| table.table != nexus_storage::backup::GRANTS;
        let objects = contents.entries.iter().filter(|e| matches!(e.what, What::Object { .. }));
        Checked {
            made_at: contents.made_at.clone(),
            made_by: contents.host.clone(),
            packs: contents.packs.len(),
            bytes,
            tables: tables.iter().filter(grants).count(),
            rows: tables.iter().filter(grants).map(|table| table.rows).sum(),
            objects: objects.clone().count(),
            object_bytes: objects.map(|entry| entry.bytes).sum(),
            root_key: contents.configuration.root_key.clone(),
            root_key_included: contents.entries.iter().any(|e| e.what == What::RootKey),
        }
    }
}

impl Checked {
    /// Reads all of a backup and says what is in it.
    ///
    /// # Errors
    ///
    /// [`Refusal`], in words.
    pub fn of(from: &Path, given: &Given) -> Result<Self, Refusal> {
        Backup::open(from, given)?.checked()
    }
}

/// An entry being read.
pub(super) struct Reading {
    opener: Opener<BufReader<File>>,
    pub(super) entry: Entry,
    part: String,
    path: PathBuf,
    bytes: u64,
    hash: Sha256,
}

impl Reading {
    /// The next piece; at the end the whole is compared.
    pub(super) fn next(&mut self) -> Result<Option<Vec<u8>>, Refusal> {
        match self.opener.next() {
            Ok(Some(piece)) => {
                self.bytes += piece.len() as u64;
                self.hash.update(&piece);
                Ok(Some(piece))
            }
            Ok(None) => {
                let found = hex(&std::mem::take(&mut self.hash).finalize());
                if self.bytes != self.entry.bytes || found != self.entry.sha256 {
                    return Err(Refusal::Changed(self.entry.what.to_string()));
                }
                Ok(None)
            }
            Err(Broken::Piece) => {
                Err(Refusal::Changed(format!("{} in {}", self.entry.what, self.part)))
            }
            Err(Broken::Io(error)) if error.kind() == ErrorKind::UnexpectedEof => {
                let found = self.path.metadata().map_or(0, |metadata| metadata.len());
                let expected = self.entry.offset + self.entry.stored;
                Err(Refusal::Cut { part: self.part.clone(), found, expected })
            }
            Err(Broken::Io(error)) => Err(Refusal::io(&self.path)(error)),
        }
    }
}

fn folder_header(folder: &Path) -> Result<Vec<u8>, Refusal> {
    let path = folder.join(HEADER);
    let mut text = Vec::new();
    match File::open(&path) {
        Ok(file) => {
            file.take(HEADER_BYTES_MAX).read_to_end(&mut text).map_err(Refusal::io(&path))?;
            Ok(text)
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            Err(Refusal::NoBackup(folder.to_owned()))
        }
        Err(error) => Err(Refusal::io(&path)(error)),
    }
}

fn folder_contents(folder: &Path) -> Result<Vec<u8>, Refusal> {
    let path = folder.join(CONTENTS);
    match std::fs::read(&path) {
        Ok(sealed) => Ok(sealed),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            Err(Refusal::Unfinished(folder.to_owned()))
        }
        Err(error) => Err(Refusal::io(&path)(error)),
    }
}

fn file_header(path: &Path) -> Result<(File, Vec<u8>), Refusal> {
    let nothing = || Refusal::NoBackup(path.to_owned());
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Err(nothing()),
        Err(error) => return Err(Refusal::io(path)(error)),
    };
    let mut head = [0; 12];
    file.read_exact(&mut head).map_err(|_| nothing())?;
    let (magic, length) = head.split_at(BEGIN.len());
    let length = u64::from(u32::from_be_bytes(length.try_into().expect("four bytes are left")));
    if magic != BEGIN || length > HEADER_BYTES_MAX {
        return Err(nothing());
    }
    let mut text = vec![0; usize::try_from(length).map_err(|_| nothing())?];
    file.read_exact(&mut text).map_err(|_| Refusal::Unfinished(path.to_owned()))?;
    Ok((file, text))
}

fn file_contents(path: &Path) -> Result<Vec<u8>, Refusal> {
    let unfinished = || Refusal::Unfinished(path.to_owned());
    let (mut file, _) = file_header(path)?;
    let length = file.metadata().map_err(Refusal::io(path))?.len();
    let mut tail = [0; 16];
    file.seek(SeekFrom::End(-16)).map_err(|_| unfinished())?;
    file.read_exact(&mut tail).map_err(|_| unfinished())?;
    let (begins, magic) = tail.split_at(8);
    let begins = u64::from_be_bytes(begins.try_into().expect("eight bytes are left"));
    let stored = (length - 16).checked_sub(begins).filter(|_| magic == END);
    let stored = stored.ok_or_else(unfinished)?;
    let mut sealed = vec![0; usize::try_from(stored).map_err(|_| unfinished())?];
    file.seek(SeekFrom::Start(begins)).map_err(Refusal::io(path))?;
    file.read_exact(&mut sealed).map_err(|_| unfinished())?;
    Ok(sealed)
}
