//! What generated code may touch. Not part of the public interface.

pub use linkme;
