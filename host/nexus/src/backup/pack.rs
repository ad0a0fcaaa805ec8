//! Writing a backup: packs of sealed entries, then the contents, then the rename that makes it one.
//! Refuses to know what the entries are.

use super::contents::{Contents, Entry, FORMAT, Header, PackRecord, What};
use super::key::{Derivation, Given, Master};
use super::seal::Sealer;
use super::{NotEmpty, hex};
use anyhow::{Context as _, Result};
use sha2::{Digest as _, Sha256};
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

pub(super) const HEADER: &str = "header.json";
pub(super) const CONTENTS: &str = "contents.nxb";
pub(super) const BEGIN: &[u8; 8] = b"NXBACKUP";
pub(super) const END: &[u8; 8] = b"NXBKPEND";

/// A pack is closed at the first entry that ends beyond this: small enough to be sent again.
const PACK_BYTES: u64 = 1 << 30;

/// Where a backup goes: one file if its name says so, otherwise a folder.
#[derive(Debug, Clone)]
pub(super) enum Place {
    Folder(PathBuf),
    File(PathBuf),
}

impl Place {
    pub(super) fn of(path: &Path) -> Self {
        match path.extension().is_some_and(|extension| extension == "nxb") && !path.is_dir() {
            true => Self::File(path.to_owned()),
            false => Self::Folder(path.to_owned()),
        }
    }

    fn path(&self) -> &Path {
        match self {
            Self::Folder(path) | Self::File(path) => path,
        }
    }
}

/// A file that counts and hashes what is written to it.
struct Pack {
    name: String,
    file: BufWriter<File>,
    hash: Sha256,
    bytes: u64,
}

impl Write for Pack {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.hash.update(&bytes[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()
    }
}

/// An entry being written.
pub(super) struct Writing {
    what: What,
    sealer: Sealer,
    offset: u64,
    bytes: u64,
    hash: Sha256,
}

/// A backup being written.
pub(super) struct Packs {
    place: Place,
    header: Vec<u8>,
    master: Master,
    made_at: String,
    current: Option<Pack>,
    records: Vec<PackRecord>,
    entries: Vec<Entry>,
}

impl Packs {
    /// Begins one where nothing is.
    ///
    /// Fails with [`NotEmpty::Target`] where something is.
    pub(super) fn begin(to: &Path, given: &Given, version: u32) -> Result<Self> {
        let place = Place::of(to);
        let made_at = jiff::Timestamp::now().to_string();
        let (id, key) = (hex(&rand::random::<[u8; 16]>()), Derivation::of(given));
        let master = Master::derive(given, &key, &id)?;
        let check = master.check();
        let format = FORMAT.into();
        let header = Header { format, version, id, made_at: made_at.clone(), key, check };
        let header = serde_json::to_vec(&header).context("write the header")?;
        let (records, entries) = (Vec::new(), Vec::new());
        let mut packs = Self { place, header, master, made_at, current: None, records, entries };
        packs.make_place()?;
        Ok(packs)
    }

    fn make_place(&mut self) -> Result<()> {
        let path = self.place.path().to_owned();
        match &self.place {
            Place::File(file) => {
                if file.exists() {
                    return Err(NotEmpty::Target(path).into());
                }
                let mut pack = self.create(&file.with_extension("nxb.part"), true)?;
                let length = u32::try_from(self.header.len()).context("write the header")?;
                pack.write_all(BEGIN)?;
                pack.write_all(&length.to_be_bytes())?;
                pack.write_all(&self.header)?;
                self.current = Some(pack);
            }
            Place::Folder(folder) => {
                let full = fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some());
                if full {
                    return Err(NotEmpty::Target(path).into());
                }
                let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
                made.with_context(|| format!("make {}", folder.display()))?;
                let mut file = self.create(&folder.join(HEADER), false)?;
                file.write_all(&self.header).context("write the header")?;
                synced(&mut file)?;
            }
        }
        Ok(())
    }

    /// Only its owner reads it. What is left of an attempt that was cut off may be written over.
    fn create(&self, path: &Path, over: bool) -> Result<Pack> {
        let mut options = File::options();
        let options = options.write(true).mode(0o600);
        let options = if over { options.create(true) } else { options.create_new(true) };
        let file = options.open(path).with_context(|| format!("create {}", path.display()))?;
        if over {
            file.try_lock().with_context(|| format!("take {}", path.display()))?;
            file.set_len(0).with_context(|| format!("empty {}", path.display()))?;
        }
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
        let (name, hash) = (name.unwrap_or_default(), Sha256::new());
        Ok(Pack { name, file: BufWriter::with_capacity(1 << 20, file), hash, bytes: 0 })
    }

    /// Begins an entry; one at a time.
    pub(super) fn entry(&mut self, what: What) -> Result<Writing> {
        let number = self.entries.len() as u64;
        let sealer = Sealer::new(&self.master.of_entry(number), &[]);
        let offset = self.pack()?.bytes;
        Ok(Writing { what, sealer, offset, bytes: 0, hash: Sha256::new() })
    }

    pub(super) fn write(&mut self, writing: &mut Writing, bytes: &[u8]) -> Result<()> {
        writing.hash.update(bytes);
        writing.bytes += bytes.len() as u64;
        let pack = self.current.as_mut().context("an entry is written into a pack")?;
        writing.sealer.write(bytes, pack).with_context(|| format!("write {}", pack.name))
    }

    pub(super) fn end(&mut self, writing: Writing) -> Result<()> {
        let Writing { what, sealer, offset, bytes, hash } = writing;
        let pack = self.current.as_mut().context("an entry is written into a pack")?;
        let stored = sealer.finish(pack).with_context(|| format!("write {}", pack.name))?;
        let sha256 = hex(&hash.finalize());
        let full = matches!(self.place, Place::Folder(_)) && pack.bytes >= PACK_BYTES;
        let pack = self.records.len();
        self.entries.push(Entry { what, pack, offset, stored, bytes, sha256 });
        if full { self.close() } else { Ok(()) }
    }

    /// A whole entry that is in memory.
    pub(super) fn whole(&mut self, what: What, bytes: &[u8]) -> Result<()> {
        let mut writing = self.entry(what)?;
        self.write(&mut writing, bytes)?;
        self.end(writing)
    }

    fn pack(&mut self) -> Result<&mut Pack> {
        if self.current.is_none() {
            let name = format!("pack-{:05}.nxb", self.records.len() + 1);
            self.current = Some(self.create(&self.place.path().join(name), false)?);
        }
        self.current.as_mut().context("there is a pack now")
    }

    /// Brings the open pack to the disk and notes its hash.
    fn close(&mut self) -> Result<()> {
        let Some(mut pack) = self.current.take() else { return Ok(()) };
        synced(&mut pack)?;
        let Pack { name, bytes, hash, .. } = pack;
        self.records.push(PackRecord { name, bytes, sha256: hex(&hash.finalize()) });
        Ok(())
    }

    /// Writes the contents, and with the last step makes it a backup. Returns its bytes.
    pub(super) fn finish(mut self, rest: Contents) -> Result<(u64, Contents)> {
        let (file, record) = match &self.place {
            Place::Folder(folder) => {
                let folder = folder.clone();
                self.close()?;
                (self.create(&folder.join("contents.nxb.part"), true)?, None)
            }
            Place::File(_) => {
                let pack = self.current.take().context("the file is open")?;
                let (name, sha256) = ("the file".into(), hex(&pack.hash.clone().finalize()));
                let record = PackRecord { name, bytes: pack.bytes, sha256 };
                (pack, Some(record))
            }
        };
        self.records.extend(record);
        let made_at = self.made_at.clone();
        let contents =
            Contents { packs: self.records.clone(), entries: self.entries, made_at, ..rest };
        let bytes = seal_contents(&self.place, &self.master, &self.header, file, &contents)?;
        let packs: u64 = contents.packs.iter().map(|pack| pack.bytes).sum();
        let path = self.place.path();
        let (part, whole, beside) = match &self.place {
            Place::Folder(folder) => {
                (folder.join("contents.nxb.part"), folder.join(CONTENTS), folder.as_path())
            }
            Place::File(file) => {
                let parent = file.parent().filter(|parent| !parent.as_os_str().is_empty());
                let parent = parent.unwrap_or(Path::new("."));
                (file.with_extension("nxb.part"), file.clone(), parent)
            }
        };
        fs::rename(&part, &whole).with_context(|| format!("name it {}", path.display()))?;
        let folder = File::open(beside).and_then(|folder| folder.sync_all());
        folder.with_context(|| format!("bring {} to the disk", beside.display()))?;
        Ok((packs + bytes, contents))
    }
}

fn seal_contents(
    place: &Place,
    master: &Master,
    header: &[u8],
    mut file: Pack,
    contents: &Contents,
) -> Result<u64> {
    let (before, text) = (file.bytes, serde_json::to_vec(contents).context("list the contents")?);
    let mut sealer = Sealer::new(&master.of_contents(), header);
    sealer.write(&text, &mut file).context("write the contents")?;
    sealer.finish(&mut file).context("write the contents")?;
    if matches!(place, Place::File(_)) {
        file.write_all(&before.to_be_bytes()).context("write the contents")?;
        file.write_all(END).context("write the contents")?;
    }
    let bytes = file.bytes - before;
    synced(&mut file)?;
    Ok(bytes)
}

fn synced(pack: &mut Pack) -> Result<()> {
    let written = pack.file.flush().and_then(|()| pack.file.get_ref().sync_all());
    written.with_context(|| format!("write {}", pack.name))
}
