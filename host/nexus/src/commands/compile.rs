//! `nexus compile`: loads every component once, which fills the cache of compiled code, and says
//! which the host would refuse. Needs no store: nothing is called.

use super::Failure;
use crate::assembly::{self, Parts};
use crate::config::CompileOptions;
use crate::home::Home;
use crate::manifest;
use crate::settings::{Database, Settings};
use anyhow::{Context as _, Result, bail};
use nexus_runtime::Manifest;
use std::sync::Arc;
use std::time::Instant;

pub(super) fn run(options: CompileOptions) -> Result<(), Failure> {
    let file = manifest::file(&options.application).map_err(Failure::Setting)?;
    let manifest =
        manifest::read(&file, &options.application.component_ids).map_err(Failure::Setting)?;
    let mut settings = Settings::new(options.home.home, manifest);
    options.compiled.apply(&mut settings);
    settings.database = Database::None;
    let runtime = tokio::runtime::Runtime::new().context("start threads")?;
    runtime.block_on(compile(settings))?;
    Ok(())
}

/// A host without a database refuses components that want it; here nothing is called, so each is
/// granted another one.
fn without_database(manifest: &Manifest) -> Manifest {
    let mut manifest = manifest.clone();
    for component in &mut manifest.components {
        let hosts = &mut Arc::make_mut(component).allowed_outbound_hosts;
        hosts.push("postgres://database.invalid:5432".into());
    }
    manifest
}

async fn compile(settings: Settings) -> Result<()> {
    let began = Instant::now();
    let home = Home::take(&settings.home)?;
    let public_url = settings.public_url.clone();
    let public_url = public_url.unwrap_or(http::Uri::from_static("http://localhost"));
    let parts = Parts {
        settings: &settings,
        home: home.folder(),
        public_url: &public_url,
        database: None,
        configuration: None,
        front_door: None,
        clock: Arc::default(),
    };
    let manifest = without_database(&settings.manifest);
    let runtime = assembly::assemble(&parts)?.runtime.start(&manifest).await?;
    let mut refused = 0;
    for component in runtime.snapshot() {
        match &component.inactive_reason {
            None => println!("{}: {}", component.component, component.revision),
            Some(reason) => {
                refused += 1;
                println!("{}: refused: {reason}", component.component);
            }
        }
    }
    let engine = runtime.engine_snapshot();
    let seconds = began.elapsed().as_secs_f64();
    println!("{} compiled, {} known, {seconds:.1} s", engine.cache_misses, engine.cache_hits);
    if refused > 0 {
        bail!("{refused} components would not run");
    }
    Ok(())
}
