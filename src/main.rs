//! The program: everything it does is in the library.

fn main() -> std::process::ExitCode {
    bound_the_allocator();
    aftk::cli::run(std::env::args_os())
}

/// Lets all threads share a few heaps. By itself the GNU allocator gives each thread one, up to eight times the number of
/// processors, and what has been freed in one is not given to another: twice the memory, for work that waits for disks
/// and networks and does not profit from it.
#[cfg(target_env = "gnu")]
fn bound_the_allocator() {
    const HEAPS: libc::c_int = 2;
    #[expect(
        unsafe_code,
        reason = "the C library has no other way; the call only sets a number, before any thread"
    )]
    // SAFETY: mallopt takes two integers, and no other thread exists yet.
    let _ = unsafe { libc::mallopt(libc::M_ARENA_MAX, HEAPS) };
}

#[cfg(not(target_env = "gnu"))]
fn bound_the_allocator() {}
