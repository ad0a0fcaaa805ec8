//! The wasmtime engine: pools, epochs, and compiled code kept on disk.

use anyhow::Context as _;
use rayon::{ThreadPool, ThreadPoolBuilder};
use sha2::{Digest as _, Sha256};
use std::hash::{Hash as _, Hasher as _};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;
use wasmtime::component::Component;
use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};

/// How often running guests are looked at. Each look is a yield, so this bounds how long one guest
/// can hold its shard; shorter ticks cost throughput.
pub(crate) const TICK: Duration = Duration::from_millis(10);

/// Of a file that is only looked through.
const READ_BYTES: usize = 64 << 10;

/// Sizes of the instance pools of one process.
#[derive(Debug, Clone)]
pub struct Pools {
    /// Component instances alive at once: 80 components × 2 shards × a dozen each.
    pub instances: u32,
    /// Bytes of a memory kept mapped between instances; at least a guest's initial memory,
    /// otherwise each recycling pays for page faults.
    pub memory_keep_resident_bytes: usize,
}

impl Default for Pools {
    fn default() -> Self {
        Self { instances: 2_000, memory_keep_resident_bytes: 2 << 20 }
    }
}

/// What the engine is made from.
#[derive(Debug, Clone)]
pub struct EngineSettings {
    pub pools: Pools,
    /// Folder of compiled components; made with mode 0700.
    pub cache: PathBuf,
    /// Guests are looked at while they compute: without it, one that never waits keeps its thread,
    /// and no limit ends it. Looking is part of the compiled code.
    pub cpu_limits: bool,
}

/// An engine with its ticker and its cache of compiled code.
pub(crate) struct Machine {
    pub(crate) engine: Engine,
    cache: PathBuf,
    /// Changes with anything that makes compiled code incompatible.
    compatibility: String,
    compilers: Mutex<Weak<ThreadPool>>,
    pub(crate) cache_hits: AtomicU64,
    pub(crate) cache_misses: AtomicU64,
}

impl Machine {
    pub(crate) fn new(settings: &EngineSettings) -> anyhow::Result<Self> {
        let engine = Engine::new(&config(settings))?;
        if settings.cpu_limits {
            start_ticker(&engine)?;
        }
        let mut hasher = Fnv(0xcbf2_9ce4_8422_2325);
        engine.precompile_compatibility_hash().hash(&mut hasher);
        let compatibility = format!("{:016x}", hasher.finish());
        prepare_cache(&settings.cache)?;
        Ok(Self {
            engine,
            cache: settings.cache.clone(),
            compatibility,
            compilers: Mutex::default(),
            cache_hits: AtomicU64::new(0),
            cache_misses: AtomicU64::new(0),
        })
    }

    pub(crate) fn compatibility(&self) -> &str {
        &self.compatibility
    }

    /// Loads a component and its digest (SHA-256, hex), compiling it only if no host with this
    /// engine has done so before.
    pub(crate) fn load(&self, source: &Path) -> anyhow::Result<(Component, String)> {
        let digest = digest_of(source)?;
        let compiled = self.compiled(&digest);
        if compiled.exists() {
            // SAFETY: the folder is ours alone (checked at start) and files appear in it only by
            // rename of what this engine serialised.
            match unsafe { Component::deserialize_file(&self.engine, &compiled) } {
                Ok(component) => {
                    self.cache_hits.fetch_add(1, Ordering::Relaxed);
                    return Ok((component, digest));
                }
                Err(error) => tracing::warn!(%error, "a compiled component is compiled anew"),
            }
        }
        self.cache_misses.fetch_add(1, Ordering::Relaxed);
        // Read once and named by what was read: the file may be another by now.
        let bytes = std::fs::read(source)?;
        let digest = hex(&Sha256::digest(&bytes));
        let compiled = self.compiled(&digest);
        let code = self.compilers()?.install(|| self.engine.precompile_component(&bytes))?;
        let mut file = tempfile_in(&self.cache)?;
        file.1.write_all(&code)?;
        file.1.sync_all()?;
        std::fs::rename(&file.0, &compiled)?;
        // SAFETY: as above; mapping the file shares its pages between processes.
        let component = unsafe { Component::deserialize_file(&self.engine, &compiled)? };
        Ok((component, digest))
    }

    fn compiled(&self, digest: &str) -> PathBuf {
        self.cache.join(format!("{digest}-{}.cwasm", self.compatibility))
    }

    /// Threads for compiling, a core each, shared by all who compile at the time. They end with the
    /// last of them: what a compiler has taken of the memory is kept by its thread, and is several
    /// times what the host itself needs.
    fn compilers(&self) -> anyhow::Result<Arc<ThreadPool>> {
        let mut kept = self.compilers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(there) = kept.upgrade() {
            return Ok(there);
        }
        let threads = ThreadPoolBuilder::new()
            .thread_name(|number| format!("compile-{number}"))
            .start_handler(|_| politely());
        let made = Arc::new(threads.build().context("start threads for compiling")?);
        *kept = Arc::downgrade(&made);
        Ok(made)
    }
}

/// Requests come before the next release: of a core that both want, this thread has a quarter.
fn politely() {
    // A thread may always take less. If it may not, it is only less polite.
    let _nicer = rustix::process::nice(5);
}

/// Compiles what no host with this engine has compiled before, so that the next start only maps it.
/// Returns how many were.
///
/// # Errors
///
/// Naming the file that is no component or cannot be read.
pub fn compile(settings: &EngineSettings, sources: &[PathBuf]) -> anyhow::Result<u64> {
    let machine = Machine::new(settings)?;
    for source in sources {
        machine.load(source).with_context(|| source.display().to_string())?;
    }
    Ok(machine.cache_misses.load(Ordering::Relaxed))
}

fn config(settings: &EngineSettings) -> Config {
    let pools = &settings.pools;
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(pools.instances)
        // A component is at least three core instances: the module, its shim and its fixups.
        .total_core_instances(pools.instances * 4)
        .total_memories(pools.instances)
        .total_tables(pools.instances * 2)
        .total_stacks(pools.instances * 2)
        .max_unused_warm_slots(512)
        .linear_memory_keep_resident(pools.memory_keep_resident_bytes)
        // Only what a guest has written is put back, where the kernel can say what that is.
        .pagemap_scan(Enabled::Auto)
        .table_keep_resident(64 << 10)
        .max_memories_per_component(4)
        .max_core_instances_per_component(32);
    let mut config = Config::new();
    config
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool))
        .epoch_interruption(settings.cpu_limits)
        // Nobody unwinds through guests, and registering it reads all of it for each component.
        .native_unwind_info(false)
        .wasm_component_model_async(true);
    config
}

/// A plain thread, never a task: a busy runtime must not stop the clock that bounds it.
fn start_ticker(engine: &Engine) -> anyhow::Result<()> {
    let engine = engine.weak();
    std::thread::Builder::new().name("epoch".into()).spawn(move || {
        while let Some(engine) = engine.upgrade() {
            engine.increment_epoch();
            drop(engine);
            std::thread::sleep(TICK);
        }
    })?;
    Ok(())
}

/// Compiled code is executed as it is: nobody else may write there.
fn prepare_cache(folder: &Path) -> anyhow::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let found = std::fs::metadata(folder)?;
    let ours = found.uid() == rustix::process::geteuid().as_raw();
    anyhow::ensure!(ours, "{} belongs to another user", folder.display());
    if found.permissions().mode() & 0o022 != 0 {
        std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700))?;
    }
    Ok(())
}

fn tempfile_in(folder: &Path) -> std::io::Result<(PathBuf, std::fs::File)> {
    let path = folder.join(format!("{}.part", uuid::Uuid::now_v7()));
    let file = std::fs::OpenOptions::new().write(true).create_new(true).open(&path)?;
    Ok((path, file))
}

/// A file's SHA-256, in hex, without having all of it in memory: a host starts with dozens at once.
///
/// # Errors
/// Those of reading it.
pub fn digest_of(file: &Path) -> std::io::Result<String> {
    let mut file = std::fs::File::open(file)?;
    let (mut hasher, mut part) = (Sha256::new(), vec![0; READ_BYTES]);
    loop {
        match file.read(&mut part)? {
            0 => return Ok(hex(&hasher.finalize())),
            length => hasher.update(&part[..length]),
        }
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a string cannot fail");
        text
    })
}

/// FNV-1a, because the name of a file must not depend on the standard library's hasher.
struct Fnv(u64);

impl std::hash::Hasher for Fnv {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
