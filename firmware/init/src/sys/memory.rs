//! `madvise(2)` for whole pages inside a slice.

use std::ptr::NonNull;

use nix::errno::Errno;
use nix::sys::mman::{MmapAdvise, madvise};

/// The page size of x86-64, the one architecture there are boards for.
const PAGE: usize = 4096;

/// Asks for huge pages on the pages that lie wholly inside `table`.
pub(crate) fn advise_huge_pages<T>(table: &mut [T]) -> Result<(), Errno> {
    let length = size_of_val(table);
    let start = table.as_mut_ptr().cast::<u8>();
    let skipped = start.align_offset(PAGE);
    let whole = length.saturating_sub(skipped) / PAGE * PAGE;
    let Some(first_page) = NonNull::new(start.wrapping_add(skipped)) else { return Ok(()) };
    if whole == 0 {
        return Ok(());
    }
    // SAFETY: the range lies inside `table`, and MADV_HUGEPAGE does not change contents.
    unsafe { madvise(first_page.cast(), whole, MmapAdvise::MADV_HUGEPAGE) }
}
