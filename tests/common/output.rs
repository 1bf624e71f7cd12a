//! What a function like C's `main` prints.

use std::ffi::{CString, c_char, c_int};
use std::fs::File;
use std::io::Read as _;
use std::os::fd::FromRawFd as _;

pub type Main = extern "C" fn(c_int, *mut *mut c_char) -> c_int;

/// What a call of `main` writes to standard output, as the C library's streams do, and its status.
pub fn output_of(main: Main, args: &[&str]) -> String {
    let args: Vec<CString> = args.iter().map(|arg| CString::new(*arg).unwrap()).collect();
    let mut argv: Vec<*mut c_char> = args.iter().map(|arg| arg.as_ptr().cast_mut()).collect();
    argv.push(std::ptr::null_mut());
    let mut pipe = [0; 2];
    // SAFETY: `pipe` has room for two descriptors.
    assert_eq!(unsafe { libc::pipe(pipe.as_mut_ptr()) }, 0);
    // SAFETY: the child calls `main`, C functions, and nothing of this process that another thread may hold.
    let child = unsafe { libc::fork() };
    assert!(child >= 0);
    if child == 0 {
        // SAFETY: the descriptors are open; `argv` ends with null; `_exit` runs nothing of the parent's.
        unsafe {
            libc::dup2(pipe[1], 1);
            let status = main(args.len() as c_int, argv.as_mut_ptr());
            libc::fflush(std::ptr::null_mut());
            libc::_exit(status);
        }
    }
    let mut text = String::new();
    let mut status = 0;
    // SAFETY: the parent has no use for the end that the child writes to, owns the other, and has one child to wait for.
    unsafe {
        libc::close(pipe[1]);
        File::from_raw_fd(pipe[0]).read_to_string(&mut text).unwrap();
        assert_eq!(libc::waitpid(child, &mut status, 0), child);
    }
    assert!(libc::WIFEXITED(status), "ended by {status:#x} after:\n{text}");
    text + &format!("status {}\n", libc::WEXITSTATUS(status))
}
