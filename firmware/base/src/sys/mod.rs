//! The one place in this crate where `unsafe` is allowed.
#![expect(unsafe_code, reason = "the prefetch intrinsic is an unsafe function")]

/// Asks the processor to bring the cache line of `value` near, without waiting for it.
///
/// Used between the passes of a burst, so that the memory latency of many look-ups overlaps.
#[inline(always)]
pub fn prefetch<T>(value: &T) {
    #[cfg(target_arch = "x86_64")]
    {
        let address = core::ptr::from_ref(value).cast::<i8>();
        // SAFETY: a prefetch of any address is without architectural effect and never faults.
        unsafe { core::arch::x86_64::_mm_prefetch::<{ core::arch::x86_64::_MM_HINT_T0 }>(address) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = value;
}
