//! A component's memory: small pieces from lists, one for each size, before the system's allocator.
//!
//! Most of what a request takes is small and given back by its end, and an instance lives for many
//! requests: after the first few, taking and giving is a look into a list. What a list holds is
//! never given back to the system; it is what the busiest moment took of that size. Refuses to know
//! what stands in a piece.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::UnsafeCell;
use std::ptr::{self, NonNull};

/// Sizes differ by this, and every piece stands at a multiple of it.
const GRAIN: usize = 16;

/// Larger ones are the system's.
const SMALL_MAX: usize = 1024;

/// What is asked of the system at once, to be cut into pieces.
const SLAB_BYTES: usize = 16 << 10;

/// Small pieces from lists, large ones from the system.
pub(crate) struct Lists(UnsafeCell<State>);

struct State {
    /// A piece holds the next one of its list in its first bytes.
    free: [Option<NonNull<Free>>; SMALL_MAX / GRAIN],
    /// Where the rest of the slab begins, and how much it is.
    rest: *mut u8,
    left: usize,
}

struct Free {
    next: Option<NonNull<Free>>,
}

// SAFETY: a component has one thread, and nothing here calls out to where it could be entered.
#[cfg(all(target_arch = "wasm32", not(target_feature = "atomics")))]
unsafe impl Sync for Lists {}

#[cfg(all(target_arch = "wasm32", not(target_feature = "atomics")))]
#[global_allocator]
static MEMORY: Lists = Lists::new();

/// The list of pieces with room for `layout`; None for what is the system's.
fn list(layout: Layout) -> Option<usize> {
    // Nothing at all is more than the largest, too.
    let last = layout.size().wrapping_sub(1);
    (last < SMALL_MAX && layout.align() <= GRAIN).then_some(last / GRAIN)
}

/// Apart, because what it takes room for on the stack would be taken for each small piece too.
///
/// # Safety
/// As [`GlobalAlloc::alloc`].
#[inline(never)]
unsafe fn large(layout: Layout) -> *mut u8 {
    // SAFETY: as asked of us.
    unsafe { System.alloc(layout) }
}

impl Lists {
    pub(crate) const fn new() -> Self {
        let free = [const { None }; SMALL_MAX / GRAIN];
        Self(UnsafeCell::new(State { free, rest: ptr::null_mut(), left: 0 }))
    }
}

impl State {
    /// A piece that no list has.
    #[cold]
    fn cut(&mut self, list: usize) -> *mut u8 {
        let bytes = (list + 1) * GRAIN;
        if self.left < bytes {
            let slab = Layout::from_size_align(SLAB_BYTES, GRAIN).expect("a slab is a layout");
            // SAFETY: its size is not zero.
            let rest = unsafe { System.alloc(slab) };
            if rest.is_null() {
                return rest;
            }
            self.put_rest_away();
            (self.rest, self.left) = (rest, SLAB_BYTES);
        }
        let piece = self.rest;
        // SAFETY: the slab has `left` bytes from `rest` on, and so many of them are wanted.
        self.rest = unsafe { piece.add(bytes) };
        self.left -= bytes;
        piece
    }

    /// What is too little for who asked serves others.
    fn put_rest_away(&mut self) {
        if let (Some(rest), Some(list)) =
            (NonNull::new(self.rest), (self.left / GRAIN).checked_sub(1))
        {
            // SAFETY: it is below the largest piece, which it was too little for.
            unsafe { self.give(rest, list) };
        }
    }

    /// # Safety
    /// `piece` has the room that its list says, at a multiple of [`GRAIN`], and nobody uses it.
    unsafe fn give(&mut self, piece: NonNull<u8>, list: usize) {
        let piece = piece.cast::<Free>();
        // SAFETY: a grain has room for a pointer.
        unsafe { piece.write(Free { next: self.free[list] }) };
        self.free[list] = Some(piece);
    }
}

// SAFETY: a piece is in a list or with who asked for it, and its place is a multiple of 16.
unsafe impl GlobalAlloc for Lists {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let Some(list) = list(layout) else {
            // SAFETY: as asked of us.
            return unsafe { large(layout) };
        };
        // SAFETY: nobody else is in here.
        let state = unsafe { &mut *self.0.get() };
        match state.free[list] {
            Some(piece) => {
                // SAFETY: what is in a list was written by `give`.
                state.free[list] = unsafe { piece.read() }.next;
                piece.cast().as_ptr()
            }
            None => state.cut(list),
        }
    }

    unsafe fn dealloc(&self, piece: *mut u8, layout: Layout) {
        match (list(layout), NonNull::new(piece)) {
            // SAFETY: nobody else is in here, and who gives it back has no use for it.
            (Some(list), Some(piece)) => unsafe { (*self.0.get()).give(piece, list) },
            // SAFETY: as asked of us.
            _ => unsafe { System.dealloc(piece, layout) },
        }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if list(layout).is_none() {
            // SAFETY: as asked of us; the system may know that it is zero already.
            return unsafe { System.alloc_zeroed(layout) };
        }
        // SAFETY: as asked of us, and what is there has room for the layout.
        unsafe {
            let piece = self.alloc(layout);
            if !piece.is_null() {
                piece.write_bytes(0, layout.size());
            }
            piece
        }
    }

    unsafe fn realloc(&self, piece: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: whoever asks has made sure that it is a layout.
        let wanted = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        match (list(layout), list(wanted)) {
            // SAFETY: as asked of us.
            (None, None) => unsafe { System.realloc(piece, layout, size) },
            (from, to) if from == to => piece,
            // SAFETY: two pieces, each with room for what is copied.
            _ => unsafe {
                let other = self.alloc(wanted);
                if !other.is_null() {
                    piece.copy_to_nonoverlapping(other, layout.size().min(size));
                    self.dealloc(piece, layout);
                }
                other
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn layout(size: usize, align: usize) -> Layout {
        Layout::from_size_align(size, align).unwrap()
    }

    /// A piece with who uses it, and what it has written.
    struct Used {
        piece: *mut u8,
        layout: Layout,
        mark: u8,
    }

    impl Used {
        fn fill(piece: *mut u8, layout: Layout, mark: u8) -> Self {
            assert!(!piece.is_null() && piece.addr() % layout.align() == 0, "{layout:?}");
            unsafe { piece.write_bytes(mark, layout.size()) };
            Self { piece, layout, mark }
        }

        fn has(&self, bytes: usize) -> bool {
            let all = unsafe { std::slice::from_raw_parts(self.piece, bytes) };
            all.iter().all(|byte| *byte == self.mark)
        }
    }

    proptest! {
        /// Whatever is taken, made larger or smaller and given back, nobody's bytes change but by
        /// their owner.
        #[test]
        fn nobody_has_what_another_one_has(
            steps in prop::collection::vec(
                (0..4_u8, 1..3000_usize, 0..7_u32, any::<usize>()), 1..300,
            )
        ) {
            let memory = Lists::new();
            let mut used: Vec<Used> = Vec::new();
            for (number, (step, size, align, which)) in steps.into_iter().enumerate() {
                let (new, mark) = (layout(size, 1 << align), number as u8);
                let which = which.checked_rem(used.len());
                match (step, which) {
                    (0, Some(which)) => {
                        let gone = used.swap_remove(which);
                        prop_assert!(gone.has(gone.layout.size()));
                        unsafe { memory.dealloc(gone.piece, gone.layout) };
                    }
                    (1, Some(which)) => {
                        let before = used.swap_remove(which);
                        let piece = unsafe { memory.realloc(before.piece, before.layout, size) };
                        let after = layout(size, before.layout.align());
                        let kept = Used { piece, layout: after, mark: before.mark };
                        prop_assert!(kept.has(size.min(before.layout.size())));
                        used.push(Used::fill(piece, after, mark));
                    }
                    (2, _) => {
                        let piece = unsafe { memory.alloc_zeroed(new) };
                        let zeroed = Used { piece, layout: new, mark: 0 };
                        prop_assert!(zeroed.has(size));
                        used.push(Used::fill(piece, new, mark));
                    }
                    _ => used.push(Used::fill(unsafe { memory.alloc(new) }, new, mark)),
                }
            }
            for one in used {
                prop_assert!(one.has(one.layout.size()));
                unsafe { memory.dealloc(one.piece, one.layout) };
            }
        }
    }

    #[test]
    fn small_is_what_has_bytes_and_not_more_than_a_list_has_room_for() {
        assert_eq!(
            [1, 16, 17, SMALL_MAX].map(|size| list(layout(size, 1))),
            [0, 0, 1, 63].map(Some)
        );
        let large = [(0, 1), (SMALL_MAX + 1, 1), (1, 2 * GRAIN), (isize::MAX as usize, 1)];
        assert!(large.iter().all(|(size, align)| list(layout(*size, *align)).is_none()));
    }

    #[test]
    fn what_was_given_back_is_taken_again() {
        let memory = Lists::new();
        let taken = |size| unsafe { memory.alloc(layout(size, 8)) };
        let first = taken(40);
        unsafe { memory.dealloc(first, layout(40, 8)) };
        assert_eq!(taken(48), first, "there is room for 48 bytes where 40 were");
        assert_ne!(taken(48), first);
    }

    #[test]
    fn what_grows_within_its_room_stays_where_it_is() {
        let memory = Lists::new();
        let first = unsafe { memory.alloc(layout(33, 1)) };
        assert_eq!(unsafe { memory.realloc(first, layout(33, 1), 48) }, first);
        assert_ne!(unsafe { memory.realloc(first, layout(48, 1), 49) }, first);
    }

    #[test]
    fn the_end_of_a_slab_serves_who_has_room_in_it() {
        let memory = Lists::new();
        let large = layout(SMALL_MAX - GRAIN, GRAIN);
        let slab = SLAB_BYTES / large.size();
        let last = (0..slab).map(|_| unsafe { memory.alloc(large) }).last().unwrap();
        let end = last.wrapping_add(large.size());
        unsafe { memory.alloc(large) };
        let rest = SLAB_BYTES - slab * large.size();
        assert_eq!(unsafe { memory.alloc(layout(rest, 1)) }, end);
    }
}
