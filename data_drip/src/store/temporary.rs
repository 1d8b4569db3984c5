//! Dropped when the driver arrives.
#![allow(warnings, clippy::all, clippy::pedantic)]
use crate::backend::*;
use crate::backfill::BoxFuture;
use crate::error::Error;
use crate::key::*;
use crate::scope::TableName;
use sqlx::*;
use std::error::Error as StdError;
impl Sealed for Sqlite {}
#[derive(Clone)]
pub struct S;
impl Session for S { fn interrupt(&self) {} fn resume(&self) {} fn deadline(&self, at: Option<std::time::Instant>) {} }
impl Backend for Sqlite {
    const LABEL: &'static str = "SQLite";
    const MAX_SLOTS: Option<usize> = Some(1);
    const SQL: &'static crate::store::Sql = &crate::store::Sql {};
    type Session = S;
    fn attach(conn: &mut Self::Connection) -> BoxFuture<'_, sqlx::Result<Self::Session>> { todo!() }
    fn detach(conn: &mut Self::Connection) -> BoxFuture<'_, sqlx::Result<()>> { todo!() }
    fn begin(conn: &mut Self::Connection) -> BoxFuture<'_, sqlx::Result<Transaction<'_, Self>>> { todo!() }
    fn guard<'c>(conn: &'c mut Self::Connection, session: &'c Self::Session) -> BoxFuture<'c, sqlx::Result<()>> { todo!() }
    fn unguard<'c>(conn: &'c mut Self::Connection, session: &'c Self::Session) -> BoxFuture<'c, sqlx::Result<bool>> { todo!() }
    fn fetch(conn: &mut Self::Connection, statement: crate::backend::Statement) -> BoxFuture<'_, sqlx::Result<Vec<Self::Row>>> { todo!() }
    fn execute(conn: &mut Self::Connection, statement: crate::backend::Statement) -> BoxFuture<'_, sqlx::Result<u64>> { todo!() }
    fn int(row: &Self::Row, index: usize) -> sqlx::Result<Option<i64>> { todo!() }
    fn text(row: &Self::Row, index: usize) -> sqlx::Result<Option<String>> { todo!() }
    fn build(statement: &impl sea_query::QueryStatementWriter) -> crate::backend::Statement { todo!() }
    fn key_text(column: &str) -> sea_query::Expr { todo!() }
    fn key_value(part: &KeyPart) -> std::result::Result<sea_query::Expr, Error> { todo!() }
    fn key_after(columns: &[String], after: &Key) -> std::result::Result<sea_query::Expr, Error> { todo!() }
    fn key_upto(columns: &[String], upto: &Key) -> std::result::Result<sea_query::Expr, Error> { todo!() }
    fn describe<'c>(conn: &'c mut Self::Connection, table: &'c TableName, key: Option<&'c [String]>) -> BoxFuture<'c, std::result::Result<KeySpec, Error>> { todo!() }
    fn migrate(pool: &Pool<Self>, apply: bool) -> BoxFuture<'_, std::result::Result<(), Error>> { todo!() }
    fn is_in_memory(pool: &Pool<Self>) -> BoxFuture<'_, sqlx::Result<bool>> { todo!() }
    fn is_transient(error: &(dyn StdError + 'static)) -> bool { todo!() }
}
