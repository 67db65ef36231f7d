//! `ringpost completions`: so that a shell knows commands, flags and their values.

use clap::{Args, ValueEnum};
use clap_complete::Shell;

use crate::cli::{self, Failure, Io, Outcome};

/// Arguments of `completions`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ringpost completions bash > /etc/bash_completion.d/ringpost
  ringpost completions zsh > ~/.zfunc/_ringpost
  ringpost completions fish > ~/.config/fish/completions/ringpost.fish")]
pub struct Completions {
    /// Which shell
    #[arg(value_enum)]
    pub shell: KnownShell,
}

/// Shells that we try out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum KnownShell {
    /// Bash 4 and up.
    Bash,
    /// Zsh.
    Zsh,
    /// Fish.
    Fish,
}

/// Prints the script.
///
/// # Errors
/// Output that cannot be written.
pub fn run(args: &Completions, io: &mut Io<'_>) -> Result<Outcome, Failure> {
    let shell = match args.shell {
        KnownShell::Bash => Shell::Bash,
        KnownShell::Zsh => Shell::Zsh,
        KnownShell::Fish => Shell::Fish,
    };
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut cli::command(), "ringpost", &mut script);
    io.stdout.write_all(&script)?;
    Ok(Outcome::Fine)
}
