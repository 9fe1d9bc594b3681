//! A slice whose parts several threads write at once.
use std::marker::PhantomData;
use std::ops::Range;

/// Hands out parts of a slice to threads that have agreed who writes where.
pub(crate) struct Scatter<'a, T> {
    start: *mut T,
    len: usize,
    slice: PhantomData<&'a mut [T]>,
}

#[expect(unsafe_code, reason = "a pointer that several threads write through")]
// SAFETY: parts go to other threads as `&mut [T]`, which `T: Send` allows; `slice` makes its caller keep them disjoint.
unsafe impl<T: Send> Sync for Scatter<'_, T> {}
#[expect(unsafe_code, reason = "a pointer that several threads write through")]
// SAFETY: as for `Sync`.
unsafe impl<T: Send> Send for Scatter<'_, T> {}

impl<'a, T> Scatter<'a, T> {
    pub(crate) fn new(slice: &'a mut [T]) -> Self {
        Self { start: slice.as_mut_ptr(), len: slice.len(), slice: PhantomData }
    }

    /// Where the slice starts.
    #[cfg(target_arch = "x86_64")]
    pub(crate) fn start(&self) -> *const T {
        self.start
    }

    /// One part, checked to lie within the slice.
    ///
    /// # Safety
    /// As long as the part lives, no other part that overlaps it may.
    #[expect(unsafe_code, reason = "whether parts overlap only the caller knows")]
    #[expect(clippy::mut_from_ref, reason = "that is what it is for")]
    pub(crate) unsafe fn slice(&self, range: Range<usize>) -> &mut [T] {
        assert!(range.start <= range.end && range.end <= self.len, "part outside the slice");
        // SAFETY: within the slice that `self` borrows mutably for its lifetime; no overlap, as the caller promises.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(range.start), range.len()) }
    }
}
