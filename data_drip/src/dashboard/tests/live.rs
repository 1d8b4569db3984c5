//! Streams: who is told what, how often the database is asked, and when they end.
