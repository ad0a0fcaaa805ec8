//! What the host allocates with: many small short-lived things on several threads, which mimalloc
//! does best. Guests allocate in their own memories.
//!
//! Knows how mimalloc is asked. The crate of that name asks for an alignment each time; for a size
//! that is no power of two mimalloc then takes more than the size, unless the next free block is
//! aligned by chance.

use libmimalloc_sys::{
    mi_free, mi_malloc, mi_malloc_aligned, mi_realloc, mi_realloc_aligned, mi_zalloc,
    mi_zalloc_aligned,
};
use std::alloc::{GlobalAlloc, Layout};

pub(crate) struct Allocator;

/// Every block that is at least as large is aligned like this (`MI_MAX_ALIGN_SIZE`).
const ALIGNED: usize = 16;
/// Every block is aligned like this.
const ALIGNED_ALWAYS: usize = 8;

/// Whether a block of `size` bytes is aligned as it has to be without saying so.
const fn is_aligned_anyway(align: usize, size: usize) -> bool {
    align <= ALIGNED_ALWAYS || (align <= ALIGNED && size >= ALIGNED)
}

// SAFETY: mimalloc gives out blocks of at least the size that it is asked for, aligned as
// `is_aligned_anyway` says or as it is asked, and takes each of them back whatever was asked for.
unsafe impl GlobalAlloc for Allocator {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let (size, align) = (layout.size(), layout.align());
        let block = match is_aligned_anyway(align, size) {
            // SAFETY: it takes any size.
            true => unsafe { mi_malloc(size) },
            // SAFETY: a layout's alignment is a power of two.
            false => unsafe { mi_malloc_aligned(size, align) },
        };
        block.cast()
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        let (size, align) = (layout.size(), layout.align());
        let block = match is_aligned_anyway(align, size) {
            // SAFETY: it takes any size.
            true => unsafe { mi_zalloc(size) },
            // SAFETY: a layout's alignment is a power of two.
            false => unsafe { mi_zalloc_aligned(size, align) },
        };
        block.cast()
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, _layout: Layout) {
        // SAFETY: the block is one of ours, and nobody uses it any more.
        unsafe { mi_free(block.cast()) };
    }

    #[inline]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let align = layout.align();
        let block = match is_aligned_anyway(align, size) {
            // SAFETY: the block is one of ours.
            true => unsafe { mi_realloc(block.cast(), size) },
            // SAFETY: the block is one of ours, and a layout's alignment is a power of two.
            false => unsafe { mi_realloc_aligned(block.cast(), size, align) },
        };
        block.cast()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Blocks that are in use, of all sizes one beside the other: as many as a page has and more.
    #[test]
    fn every_block_is_aligned_and_keeps_what_is_in_it() {
        for align in (0..8).map(|power| 1 << power) {
            let mut blocks = Vec::new();
            for size in (1..600).chain([1_024, 1_025, 4_096, 65_537, 3 << 20]) {
                let layout = Layout::from_size_align(size, align).unwrap();
                // SAFETY: no size is zero; what is written lies within what was asked for.
                unsafe {
                    let block = Allocator.alloc_zeroed(layout);
                    assert_eq!(block.addr() % align, 0, "{layout:?}");
                    assert!((0..size).all(|at| *block.add(at) == 0), "{layout:?}");
                    block.write_bytes(size as u8, size);
                    blocks.push((block, layout));
                }
            }
            for (block, layout) in blocks {
                let (size, larger) = (layout.size(), layout.size() * 3);
                // SAFETY: each block is one of ours; it is read as far as it was written.
                unsafe {
                    let moved = Allocator.realloc(block, layout, larger);
                    assert_eq!(moved.addr() % align, 0, "{layout:?}, and then {larger}");
                    assert!((0..size).all(|at| *moved.add(at) == size as u8), "{layout:?}");
                    Allocator.dealloc(moved, Layout::from_size_align(larger, align).unwrap());
                }
            }
        }
    }
}
