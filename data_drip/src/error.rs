//! The two error types: [`Error`], which this crate returns, and [`Failure`], which user code returns.

use std::error::Error as StdError;
use std::fmt;

type Source = Box<dyn StdError + Send + Sync + 'static>;

/// What user code returns: `data_drip::Result` is `Result<(), Failure>`.
pub type Result<T = (), E = Failure> = std::result::Result<T, E>;

/// An error of the framework: a refused request, a wrong set-up, or a database that did not answer.
///
/// ```
/// use data_drip::{Error, ErrorKind};
/// fn explain(error: &Error) -> String {
///     match error.kind() {
///         ErrorKind::Invalid => error.fields().iter().map(|f| format!("{}: {}", f.field, f.message)).collect(),
///         _ => error.to_string(),
///     }
/// }
/// ```
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    message: String,
    fields: Vec<FieldError>,
    source: Option<Source>,
}

/// What went wrong, for code that has to decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The request was refused because of its values; [`Error::fields`] names them.
    Invalid,
    /// The run, batch or backfill does not exist.
    NotFound,
    /// The state does not allow it: a forbidden transition, an identical active run, or a lost race.
    Conflict,
    /// The application's set-up is wrong: registry, environment, builder, pool or server; a table or column that is not
    /// there; or a request from inside a batch that would wait for that batch.
    Configuration,
    /// The tables and this code do not go together: a newer version has migrated them and this one cannot work with them, or
    /// they are older and may not be migrated, with [`Migrate::Check`](crate::Migrate::Check).
    Version,
    /// The table or the key cannot be walked safely, or `scope` panicked.
    Unsupported,
    /// The database refused or did not answer; the source says why.
    Database,
}

/// One refused value: which field and why.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct FieldError {
    /// The option's name, or `batch_size`, `limit`, `start_at`, … or `base` for the request as a whole.
    pub field: String,
    /// A sentence for the person who typed it, without the field's name.
    pub message: String,
}

impl FieldError {
    /// A refusal of `field`.
    pub fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: field.into(), message: message.into() }
    }
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner { kind, message: message.into(), fields: Vec::new(), source: None }))
    }

    pub(crate) fn invalid(fields: Vec<FieldError>) -> Self {
        let listed: Vec<_> = fields.iter().map(|f| format!("{}: {}", f.field, f.message)).collect();
        let mut error = Self::new(ErrorKind::Invalid, listed.join("; "));
        error.0.fields = fields;
        error
    }

    pub(crate) fn caused_by(mut self, source: impl Into<Source>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// What went wrong, for code that has to decide.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The refused values, in the order of the form; empty unless [`ErrorKind::Invalid`] or a duplicate.
    pub fn fields(&self) -> &[FieldError] {
        &self.0.fields
    }

    pub(crate) fn with_fields(mut self, fields: Vec<FieldError>) -> Self {
        self.0.fields = fields;
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("message", &self.0.message)
            .field("source", &self.0.source)
            .finish_non_exhaustive()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}

impl From<sqlx::Error> for Error {
    fn from(source: sqlx::Error) -> Self {
        Self::new(ErrorKind::Database, format!("the database did not do what was asked: {source}")).caused_by(source)
    }
}

/// An error of user code, with its chain of causes.
///
/// Made by `?` from any error type, from `anyhow::Error` or `eyre::Report`, and from text:
///
/// ```
/// # use data_drip::Failure;
/// fn parse(text: &str) -> data_drip::Result<i64> {
///     if text.is_empty() {
///         return Err("the text is empty".into());
///     }
///     Ok(text.parse()?)
/// }
/// assert_eq!(parse("").unwrap_err().to_string(), "the text is empty");
/// ```
///
/// It does not implement `std::error::Error` itself: one type cannot be made from every error and be one.
pub struct Failure {
    source: Source,
    transient: bool,
    context: Option<String>,
    /// Where user code panicked.
    place: Option<String>,
}

impl Failure {
    /// A failure that will go away by itself: the batch is tried again without counting an attempt, up to 15 times, after
    /// pauses that grow from 50 ms to 10 s. Then it fails.
    ///
    /// Database errors of that kind (busy, deadlock, serialization failure, lost connection) are recognised by
    /// the `sqlx::Error` in the chain and need no marking. An error that hides its cause, as thiserror's
    /// `#[error(transparent)]` over a type of your own can, has to be marked.
    pub fn transient(error: impl Into<Self>) -> Self {
        Self { transient: true, ..error.into() }
    }

    /// Whether it was made by [`Failure::transient`].
    pub fn is_transient(&self) -> bool {
        self.transient
    }

    /// The error and its causes, outermost first.
    pub fn chain(&self) -> impl Iterator<Item = &(dyn StdError + 'static)> {
        let mut next: Option<&(dyn StdError + 'static)> = Some(&*self.source);
        std::iter::from_fn(move || {
            let current = next?;
            next = current.source();
            Some(current)
        })
    }

    /// Puts `context` in front of the message: which row, which file.
    #[must_use]
    pub fn context(mut self, context: impl fmt::Display) -> Self {
        self.context = Some(match self.context {
            Some(inner) => format!("{context}: {inner}"),
            None => context.to_string(),
        });
        self
    }

    /// The message with the whole chain, each cause once, joined by `: `.
    pub fn full_message(&self) -> String {
        self.parts().join(": ")
    }

    /// The message, each cause on a line of its own after `caused by: `, and for a panic the place, after `at `: what a
    /// batch and a run keep. [`Report`] reads it.
    pub fn report(&self) -> String {
        let mut report = self.parts().join(CAUSED_BY);
        if let Some(place) = &self.place {
            report.push_str(AT);
            report.push_str(place);
        }
        // Not every database can keep one.
        report.replace('\0', "\u{2400}")
    }

    pub(crate) fn at(self, place: Option<String>) -> Self {
        Self { place, ..self }
    }

    fn parts(&self) -> Vec<String> {
        let mut parts: Vec<String> = Vec::new();
        for error in self.chain() {
            let text = error.to_string();
            // Many errors repeat their cause in their own text.
            if parts.last().is_none_or(|last| !last.ends_with(&text)) {
                parts.push(text);
            }
        }
        if let (Some(context), Some(first)) = (&self.context, parts.first_mut()) {
            *first = format!("{context}: {first}");
        }
        parts
    }
}

/// How much of an error is kept: less than any database takes as it is set up, and more than anybody reads.
const MOST_KEPT: usize = 1 << 20;

/// What is kept of an error. To be cut after masking: a part of a masked value is not known for one.
pub(crate) fn bounded(error: String) -> String {
    if error.len() <= MOST_KEPT {
        return error;
    }
    let end = error.floor_char_boundary(MOST_KEPT);
    format!("{}\nand {} bytes more, which are not kept", &error[..end], error.len() - end)
}

/// What is kept instead of an error that the database refuses: plain ASCII, which any keeps.
pub(crate) fn stand_in(error: &str, refusal: &sqlx::Error) -> String {
    let plain = |c: char| if c.is_ascii_graphic() { c } else { ' ' };
    let refusal: String = refusal.to_string().chars().map(plain).take(300).collect();
    format!("an error of {} bytes, which the database did not keep: {refusal}", error.len())
}

const CAUSED_BY: &str = "\ncaused by: ";
const AT: &str = "\nat ";

/// A kept error, taken apart for a list: the message, its causes, and where a panic happened.
///
/// ```
/// use data_drip::error::Report;
/// let report = Report::read("row 7: no such zone\ncaused by: `Mars` is no planet of ours\nat src/zones.rs:12:5");
/// assert_eq!(report.message, "row 7: no such zone");
/// assert_eq!(report.causes, ["`Mars` is no planet of ours"]);
/// assert_eq!(report.place.as_deref(), Some("src/zones.rs:12:5"));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct Report {
    /// What went wrong, on the outside.
    pub message: String,
    /// Why, and why that, and so on.
    pub causes: Vec<String>,
    /// File, line and column of a panic.
    pub place: Option<String>,
}

impl Report {
    /// Takes the text of [`Failure::report`] apart; any other text is a message.
    pub fn read(text: &str) -> Self {
        let (text, place) = match text.rsplit_once(AT) {
            Some((text, place)) if is_place(place) => (text, Some(place.to_owned())),
            _ => (text, None),
        };
        let mut parts = text.split(CAUSED_BY).map(str::to_owned);
        Self { message: parts.next().unwrap_or_default(), causes: parts.collect(), place }
    }
}

/// `src/backfills.rs:12:5`
fn is_place(text: &str) -> bool {
    let mut parts = text.rsplitn(3, ':');
    let number = |part: Option<&str>| part.is_some_and(|part| part.parse::<u32>().is_ok());
    number(parts.next()) && number(parts.next()) && parts.next().is_some_and(|file| !file.contains('\n'))
}

impl<E: Into<Source>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self { source: error.into(), transient: false, context: None, place: None }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(context) = &self.context {
            write!(f, "{context}: ")?;
        }
        self.source.fmt(f)
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.full_message())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("could not convert the row")]
    struct Conversion(#[source] std::num::ParseIntError);

    #[test]
    fn a_failure_keeps_the_whole_chain() {
        let failure = Failure::from(Conversion("x".parse::<i64>().unwrap_err())).context("row 7");
        assert_eq!(failure.full_message(), "row 7: could not convert the row: invalid digit found in string");
        assert_eq!(failure.chain().count(), 2);
        let report = Report::read(&failure.report());
        assert_eq!(report.message, "row 7: could not convert the row");
        assert_eq!(report.causes, ["invalid digit found in string"]);
        assert_eq!(report.place, None);
    }

    #[test]
    fn only_a_place_is_taken_for_one() {
        for text in ["it broke\nat noon", "it broke\nat src/x.rs:12", "at src/x.rs:1:2", "x\nat a:1:2\nmore"] {
            assert_eq!(Report::read(text), Report { message: text.to_owned(), ..Report::default() });
        }
        assert_eq!(Failure::from("a\0b").report(), "a\u{2400}b");
    }

    #[test]
    fn an_error_without_bound_is_cut_between_two_characters_and_says_so() {
        assert_eq!(bounded("x".repeat(MOST_KEPT)).len(), MOST_KEPT);
        let long = format!("x{}", "\u{20ac}".repeat(MOST_KEPT));
        let kept = bounded(long.clone());
        let (head, said) = kept.split_once('\n').unwrap();
        assert!(long.starts_with(head) && (MOST_KEPT - 3..=MOST_KEPT).contains(&head.len()), "{}", head.len());
        assert_eq!(said, format!("and {} bytes more, which are not kept", long.len() - head.len()));
    }

    #[test]
    fn a_failure_comes_from_text_and_from_our_own_error() {
        assert_eq!(Failure::from("plain").to_string(), "plain");
        let ours = Failure::from(Error::new(ErrorKind::NotFound, "no run 7"));
        assert!(ours.chain().next().unwrap().downcast_ref::<Error>().is_some());
    }

    #[test]
    fn an_invalid_request_lists_every_field() {
        let error = Error::invalid(vec![FieldError::new("age", "is required"), FieldError::new("limit", "too small")]);
        assert_eq!(error.to_string(), "age: is required; limit: too small");
        assert_eq!(error.fields().len(), 2);
    }
}
