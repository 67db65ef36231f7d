//! Limits of a trigger, each with its reason. They bound what one tenant can make a process hold and do.

/// Filters of one trigger: more than any page shows, and each is evaluated for every candidate.
pub const FILTERS: usize = 50;

/// Values of one `in`: a site's whole block of numbers fits.
pub const LIST_ENTRIES: usize = 1_000;

/// Longest text value, in bytes: longer than any name a switch sends.
pub const TEXT_BYTES: usize = 1_024;

/// Longest regular expression, in bytes.
pub const EXPRESSION_BYTES: usize = 1_024;

/// Mistakes told at once: who has more is sending something else than a trigger.
pub const ERRORS: usize = 100;

/// Compiled size of one expression, in bytes: `\w` repeated a dozen times fits, a bomb like `\w{1000}` does not.
pub(crate) const EXPRESSION_SIZE: usize = 256 * 1024;

/// Cache of the lazy automaton of one expression, in bytes. Kept small: a tenant may have thousands, and texts of
/// calls are short.
pub(crate) const EXPRESSION_CACHE: usize = 64 * 1024;

/// Nesting of an expression.
pub(crate) const EXPRESSION_NESTING: u32 = 50;

/// Retries after the first try.
pub(crate) const RETRIES: u8 = 10;
/// Keys of `customData`.
pub(crate) const CUSTOM_KEYS: usize = 50;
/// Configured headers.
pub(crate) const HEADERS: usize = 20;
/// Longest name of a trigger, a header or a key of `customData`, in bytes.
pub(crate) const NAME_BYTES: usize = 256;
/// Longest value of a header or of `customData`, in bytes: eight of them still fit a usual receiver's 32 KiB.
pub(crate) const VALUE_BYTES: usize = 4_096;
/// Longest URL, in bytes; the same as for what a GET may grow to (triggers-and-delivery.md 3).
pub(crate) const URL_BYTES: usize = 8_000;
/// Parameters of a token request beside ours.
pub(crate) const PARAMETERS: usize = 20;
/// Longest certificate chain, and longest key, in bytes: ten certificates of RSA 4,096 fit.
pub(crate) const PEM_BYTES: usize = 64 * 1024;
