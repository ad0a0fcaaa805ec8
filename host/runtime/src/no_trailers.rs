//! The end of a body that has no trailers, told to a guest without waking it twice.

use std::mem::MaybeUninit;
use wasmtime::component::__internal::{
    CanonicalAbiInfo, InstanceType, InterfaceType, LiftContext, LowerContext,
};
use wasmtime::component::{ComponentType, Lift, Lower, Resource};
use wasmtime_wasi_http::p3::bindings::http::types::{ErrorCode, Trailers};

/// `Ok(None)` as a guest's trailers future says it. The type that it stands for may hold texts, so
/// wasmtime would write it from a task of its own and the guest would sleep twice; this value holds
/// none, and is written on the spot.
pub(crate) struct NoTrailers;

/// What a guest's trailers future says.
pub(crate) type SaidTrailers = Result<Option<Resource<Trailers>>, ErrorCode>;

const NO_TRAILERS: SaidTrailers = Ok(None);

// SAFETY: all but the last constant is that of the type it stands for, and `Ok(None)` of that type
// is lowered without memory of the guest's allocator.
unsafe impl ComponentType for NoTrailers {
    type Lower = <SaidTrailers as ComponentType>::Lower;
    const ABI: CanonicalAbiInfo = <SaidTrailers as ComponentType>::ABI;
    const MAY_REQUIRE_REALLOC: bool = false;

    fn typecheck(ty: &InterfaceType, types: &InstanceType<'_>) -> wasmtime::Result<()> {
        SaidTrailers::typecheck(ty, types)
    }
}

// SAFETY: forwards to the type it stands for, whose shape it has.
unsafe impl Lower for NoTrailers {
    fn linear_lower_to_flat<T>(
        &self,
        cx: &mut LowerContext<'_, T>,
        ty: InterfaceType,
        dst: &mut MaybeUninit<Self::Lower>,
    ) -> wasmtime::Result<()> {
        NO_TRAILERS.linear_lower_to_flat(cx, ty, dst)
    }

    fn linear_lower_to_memory<T>(
        &self,
        cx: &mut LowerContext<'_, T>,
        ty: InterfaceType,
        offset: usize,
    ) -> wasmtime::Result<()> {
        NO_TRAILERS.linear_lower_to_memory(cx, ty, offset)
    }
}

// SAFETY: forwards to the type it stands for, whose shape it has.
unsafe impl Lift for NoTrailers {
    fn linear_lift_from_flat(
        cx: &mut LiftContext<'_>,
        ty: InterfaceType,
        src: &Self::Lower,
    ) -> wasmtime::Result<Self> {
        only_nothing(SaidTrailers::linear_lift_from_flat(cx, ty, src)?)
    }

    fn linear_lift_from_memory(
        cx: &mut LiftContext<'_>,
        ty: InterfaceType,
        bytes: &[u8],
    ) -> wasmtime::Result<Self> {
        only_nothing(SaidTrailers::linear_lift_from_memory(cx, ty, bytes)?)
    }
}

fn only_nothing(said: SaidTrailers) -> wasmtime::Result<NoTrailers> {
    match said {
        Ok(None) => Ok(NoTrailers),
        _ => wasmtime::bail!("trailers of a request that has none"),
    }
}
