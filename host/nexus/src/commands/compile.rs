//! `nexus compile`: fills the home's cache of compiled code, so that a start only maps it.

use super::Failure;
use crate::assembly;
use crate::config::CompileOptions;
use crate::manifest;
use anyhow::Context as _;
use std::time::Instant;

pub(super) fn run(options: CompileOptions) -> Result<(), Failure> {
    let began = Instant::now();
    let file = manifest::file(&options.application).map_err(Failure::Setting)?;
    let manifest = manifest::read(&file, &options.application.component_ids)
        .map_err(Failure::Setting)?;
    let runtime = tokio::runtime::Runtime::new().context("start threads")?;
    let engine = assembly::engine(&options.home.home, 2_000);
    let compiled = runtime.block_on(nexus_runtime::precompile(&engine, &manifest))?;
    for (component, outcome) in &compiled.components {
        match outcome {
            Ok(words) => println!("{component}: {words}"),
            Err(error) => eprintln!("{component}: {error:#}"),
        }
    }
    let failed = compiled.components.iter().filter(|(_, outcome)| outcome.is_err()).count();
    println!("{} components in {:.1} s", manifest.components.len(), began.elapsed().as_secs_f64());
    if failed > 0 {
        return Err(anyhow::anyhow!("{failed} components could not be compiled").into());
    }
    Ok(())
}
