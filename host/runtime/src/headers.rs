//! A request's fields on their way into a guest, written from where they are. Upstream copies every
//! name and every value once more before it writes them, and a request has a dozen by the time a
//! component sees it. Refuses to know what the fields mean.

use crate::instance::Instance;
use http::{HeaderName, HeaderValue};
use std::mem::MaybeUninit;
use wasmtime::component::__internal::{
    CanonicalAbiInfo, InstanceType, InterfaceType, LowerContext,
};
use wasmtime::component::{ComponentType, Linker, Lower, Resource};
use wasmtime::{StoreContextMut, error::Context as _};
use wasmtime_wasi_http::{FieldMap, WasiHttpView as _};

/// Puts our function in the place of upstream's, which is linked already.
pub(crate) fn link(linker: &mut Linker<Instance>) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    let mut types = linker.instance(crate::whole::INTERFACE)?;
    types.func_wrap("[method]fields.copy-all", |store, (fields,)| {
        Ok((copy_all(store, &fields)?,))
    })?;
    linker.allow_shadowing(false);
    Ok(())
}

fn copy_all(
    mut store: StoreContextMut<'_, Instance>,
    fields: &Resource<FieldMap>,
) -> wasmtime::Result<Vec<(Name, Value)>> {
    let fields = store.data_mut().http().table.get(fields).context("find the fields")?;
    Ok(fields.iter().map(|(name, value)| (Name(name.clone()), Value(value.clone()))).collect())
}

/// Lowered as a text.
struct Name(HeaderName);

/// Lowered as bytes.
struct Value(HeaderValue);

macro_rules! lowered_as {
    ($own:ident: $other:ty, $get:ident) => {
        // SAFETY: every constant and the check are those of the type that it is lowered as.
        unsafe impl ComponentType for $own {
            type Lower = <$other as ComponentType>::Lower;
            const ABI: CanonicalAbiInfo = <$other as ComponentType>::ABI;

            fn typecheck(ty: &InterfaceType, types: &InstanceType<'_>) -> wasmtime::Result<()> {
                <$other as ComponentType>::typecheck(ty, types)
            }
        }

        // SAFETY: forwards to the type that it is lowered as.
        unsafe impl Lower for $own {
            fn linear_lower_to_flat<T>(
                &self,
                cx: &mut LowerContext<'_, T>,
                ty: InterfaceType,
                dst: &mut MaybeUninit<Self::Lower>,
            ) -> wasmtime::Result<()> {
                self.0.$get().linear_lower_to_flat(cx, ty, dst)
            }

            fn linear_lower_to_memory<T>(
                &self,
                cx: &mut LowerContext<'_, T>,
                ty: InterfaceType,
                offset: usize,
            ) -> wasmtime::Result<()> {
                self.0.$get().linear_lower_to_memory(cx, ty, offset)
            }
        }
    };
}

lowered_as!(Name: str, as_str);
lowered_as!(Value: [u8], as_bytes);
