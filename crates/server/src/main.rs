//! The binary `ringpost`: everything is in the library, so that tests reach it.

use std::process::ExitCode;

fn main() -> ExitCode {
    ringpost::cli::main()
}
