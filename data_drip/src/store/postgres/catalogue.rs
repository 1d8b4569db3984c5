//! What PostgreSQL's catalogue says about a table and its keys, and which of them can be walked safely.

mod indexes;

use sqlx::Row;
use sqlx::postgres::{PgConnection, PgRow, Postgres};

use self::indexes::Index;
use crate::backend::{Backend, Described, KeyForm, KeySpec, KeyType, Statement};
use crate::error::{Error, ErrorKind};
use crate::scope::TableName;
use crate::suggest::did_you_mean;

struct Table {
    oid: i64,
    schema: String,
    name: String,
    kind: String,
    persistence: String,
}

struct Column {
    number: i64,
    name: String,
    not_null: bool,
    generated: bool,
    collation: i64,
    /// The same by its name, as SQL spells it.
    collation_name: Option<String>,
    /// The type below all domains, as SQL spells it.
    sql: String,
    /// Its name without a schema.
    bare: String,
    builtin: bool,
    /// `pg_type.typtype` and `pg_type.typcategory`.
    kind: String,
    category: String,
}

pub(super) async fn describe(
    conn: &mut PgConnection,
    name: &TableName,
    wanted: Option<&[String]>,
) -> Result<Described, Error> {
    let table = find(conn, name).await?;
    check_relatives(conn, name, &table).await?;
    let columns = columns(conn, &table).await?;
    let indexes = indexes::of(conn, table.oid).await?;
    let key = match wanted {
        Some(wanted) => wanted.iter().map(|w| known(name, &columns, w)).collect::<Result<Vec<_>, _>>()?,
        None => primary_key(&columns, &indexes),
    };
    if key.is_empty() {
        return Err(refused(format!(
            "the table `{name}` has no primary key: declare one, or name the columns of a unique index with `.key(..)`"
        )));
    }
    let types = key.iter().map(|column| walkable(name, column)).collect::<Result<_, _>>()?;
    indexes::check(name, &quoted(&table), &indexes, &key)?;
    let key = KeySpec {
        // As it was found: another connection's search path may lead elsewhere.
        schema: Some(table.schema),
        table: table.name,
        columns: key.iter().map(|column| column.name.clone()).collect(),
        nullable: Vec::new(),
        types,
        index: None,
        by_key_only: false,
    };
    Ok(Described { key, columns: columns.into_iter().map(|column| column.name).collect() })
}

fn refused(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Unsupported, message)
}

async fn rows(conn: &mut PgConnection, statement: Statement) -> Result<Vec<PgRow>, Error> {
    Ok(Postgres::fetch(conn, statement).await?)
}

async fn find(conn: &mut PgConnection, name: &TableName) -> Result<Table, Error> {
    let statement = Statement::of(
        "SELECT c.oid::bigint, n.nspname::text, c.relname::text, c.relkind::text, c.relpersistence::text \
         FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         WHERE c.oid = to_regclass($1) AND c.relname = $2",
    );
    let found = rows(conn, statement.bind(spelt(name)).bind(name.name.as_str())).await?;
    let Some(row) = found.first() else { return Err(missing(conn, name).await?) };
    let table = Table {
        oid: row.try_get(0)?,
        schema: row.try_get(1)?,
        name: row.try_get(2)?,
        kind: row.try_get(3)?,
        persistence: row.try_get(4)?,
    };
    let why = match table.kind.as_str() {
        "v" | "m" => "is a view: name the table behind it, and put the view's conditions into filters",
        "f" => {
            "is a foreign table, which cannot take part in a batch's transaction: run the backfill on the database that \
             it lies in"
        }
        _ if table.persistence == "t" => {
            "is a temporary table, which other connections do not see: name an ordinary one"
        }
        _ if table.schema == "information_schema" || table.schema.starts_with("pg_") => "belongs to PostgreSQL itself",
        "r" | "p" => return Ok(table),
        _ => "is not a table: name one",
    };
    Err(refused(format!("`{name}` {why}")))
}

async fn missing(conn: &mut PgConnection, name: &TableName) -> Result<Error, Error> {
    let tables = Statement::of(
        "SELECT c.relname::text FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         WHERE c.relkind IN ('r', 'p') \
             AND CASE WHEN $1 IS NULL THEN n.nspname = ANY (current_schemas(false)) ELSE n.nspname = $1 END \
         ORDER BY 1",
    );
    let tables = rows(conn, tables.bind(name.schema.clone())).await?;
    let tables = tables.iter().map(|row| row.try_get(0)).collect::<sqlx::Result<Vec<String>>>()?;
    let hint = if name.schema.is_none() && name.name.contains('.') {
        "a schema goes before it as `Scope::table((\"schema\", \"table\"))`".to_owned()
    } else {
        match did_you_mean(&name.name, &tables.iter().map(String::as_str).collect::<Vec<_>>()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "is this the right database and search path, and is it migrated?".to_owned(),
        }
    };
    Ok(Error::new(ErrorKind::Configuration, format!("there is no table `{name}`: {hint}")))
}

/// Tables below this one: partitions may be foreign tables, and the index of a parent does not span what inherits from it.
async fn check_relatives(conn: &mut PgConnection, name: &TableName, table: &Table) -> Result<(), Error> {
    let statement = Statement::of(
        "WITH RECURSIVE below (oid) AS ( \
             SELECT inhrelid FROM pg_catalog.pg_inherits WHERE inhparent = $1::oid \
             UNION SELECT i.inhrelid FROM below JOIN pg_catalog.pg_inherits i ON i.inhparent = below.oid) \
         SELECT c.oid::regclass::text, c.relkind::text FROM below JOIN pg_catalog.pg_class c ON c.oid = below.oid \
         ORDER BY 1",
    );
    for row in rows(conn, statement.bind(table.oid)).await? {
        let (child, kind): (String, String) = (row.try_get(0)?, row.try_get(1)?);
        if kind == "f" {
            return Err(refused(format!(
                "`{name}` has the foreign table `{child}` below it, which cannot take part in a batch's transaction: name \
                 the tables beside it one by one"
            )));
        }
        if table.kind == "p" {
            continue;
        }
        // As the catalogue spells it, quoted where need be.
        let sql = format!("SELECT EXISTS (SELECT 1 FROM {child})");
        let found = rows(conn, Statement { sql: sql.into(), values: Vec::new() }).await?;
        if found.first().is_some_and(|row| row.try_get(0).unwrap_or(true)) {
            return Err(refused(format!(
                "the table `{child}` inherits from `{name}` and has rows, over which no unique index of `{name}` spans: walk \
                 `{child}` by itself, and take it out from under `{name}` for the time (`ALTER TABLE {child} NO INHERIT …`)"
            )));
        }
    }
    Ok(())
}

async fn columns(conn: &mut PgConnection, table: &Table) -> Result<Vec<Column>, Error> {
    // A domain is compared as the type below it. Types of extensions and of the host are spelt with their schema: whoever
    // casts to them may have another search path.
    let statement = Statement::of(
        "SELECT a.attnum::bigint, a.attname::text, a.attnotnull, a.attgenerated <> '', a.attcollation::bigint, \
             CASE WHEN n.nspname = 'pg_catalog' THEN format_type(base.oid, base.typmod) \
                 ELSE quote_ident(n.nspname) || '.' || quote_ident(t.typname) END, \
             t.typname::text, n.nspname = 'pg_catalog', t.typtype::text, t.typcategory::text, \
             (SELECT quote_ident(s.nspname) || '.' || quote_ident(c.collname) FROM pg_catalog.pg_collation c \
              JOIN pg_catalog.pg_namespace s ON s.oid = c.collnamespace WHERE c.oid = a.attcollation) \
         FROM pg_catalog.pg_attribute a \
         CROSS JOIN LATERAL ( \
             WITH RECURSIVE chain (oid, typmod) AS ( \
                 SELECT a.atttypid, a.atttypmod \
                 UNION ALL SELECT d.typbasetype, d.typtypmod FROM chain JOIN pg_catalog.pg_type d ON d.oid = chain.oid \
                 WHERE d.typtype = 'd') \
             SELECT chain.oid, chain.typmod FROM chain JOIN pg_catalog.pg_type d ON d.oid = chain.oid \
             WHERE d.typtype <> 'd') AS base \
         JOIN pg_catalog.pg_type t ON t.oid = base.oid \
         JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace \
         WHERE a.attrelid = $1::oid AND a.attnum > 0 AND NOT a.attisdropped \
         ORDER BY a.attnum",
    );
    let columns = rows(conn, statement.bind(table.oid)).await?;
    let columns = columns.iter().map(|row| {
        Ok(Column {
            number: row.try_get(0)?,
            name: row.try_get(1)?,
            not_null: row.try_get(2)?,
            generated: row.try_get(3)?,
            collation: row.try_get(4)?,
            sql: row.try_get(5)?,
            bare: row.try_get(6)?,
            builtin: row.try_get(7)?,
            kind: row.try_get(8)?,
            category: row.try_get(9)?,
            collation_name: row.try_get(10)?,
        })
    });
    Ok(columns.collect::<sqlx::Result<_>>()?)
}

fn primary_key<'c>(columns: &'c [Column], indexes: &[Index]) -> Vec<&'c Column> {
    let Some(primary) = indexes.iter().find(|index| index.primary) else { return Vec::new() };
    let column = |number| columns.iter().find(|column| column.number == number);
    primary.columns.iter().filter_map(|part| column(part.number)).collect()
}

fn known<'c>(table: &TableName, columns: &'c [Column], wanted: &str) -> Result<&'c Column, Error> {
    columns.iter().find(|column| column.name == wanted).ok_or_else(|| {
        let names: Vec<_> = columns.iter().map(|column| column.name.clone()).collect();
        crate::scope::unknown_column(table, wanted, &names)
    })
}

/// How to name the values of a key column, unless they cannot be named.
fn walkable(table: &TableName, column: &Column) -> Result<KeyType, Error> {
    let Column { name, sql, .. } = column;
    let why = if column.generated {
        "is computed from other columns, so that an update can move a row out of its batch"
    } else if column.builtin && matches!(column.bare.as_str(), "float4" | "float8") || column.bare == "cube" {
        "holds floating-point numbers, which cannot be named exactly"
    } else if column.builtin && matches!(column.bare.as_str(), "money" | "interval") {
        "is of a type whose text depends on the session's settings"
    } else if !matches!(column.kind.as_str(), "b" | "e") || column.category == "A" {
        "is an array, a range or a row, whose parts may be of any type"
    } else if !column.not_null {
        return Err(refused(format!(
            "the key column `{name}` of `{table}` may be NULL, and rows without a key would be passed over: `ALTER TABLE … \
             ALTER COLUMN {name} SET NOT NULL`, or name another key with `.key(..)`"
        )));
    } else {
        let (form, collation) = (form(column), column.collation_name.clone());
        let order = match (form, &collation) {
            (KeyForm::Integer, _) => "integer".to_owned(),
            // To those two an order is the same.
            (_, Some(collation)) if matches!(column.bare.as_str(), "text" | "varchar") => {
                format!("text COLLATE {collation}")
            }
            (_, Some(collation)) => format!("{} COLLATE {collation}", column.bare),
            (_, None) if column.builtin => column.bare.clone(),
            (_, None) => sql.clone(),
        };
        return Ok(KeyType { sql: sql.clone(), form, order, collation });
    };
    Err(refused(format!("the key column `{name}` of `{table}` ({sql}) {why}: name another unique key with `.key(..)`")))
}

fn form(column: &Column) -> KeyForm {
    match column.bare.as_str() {
        _ if !column.builtin => KeyForm::Text,
        "int2" | "int4" | "int8" => KeyForm::Integer,
        "bytea" => KeyForm::Bytes,
        "date" | "timestamp" => KeyForm::Iso,
        "timestamptz" => KeyForm::Instant,
        _ => KeyForm::Text,
    }
}

pub(super) async fn rows_about(conn: &mut PgConnection, spec: &KeySpec) -> Result<Option<u64>, Error> {
    // Partitions are counted each, a parent knows of none. -1 stands for never analysed.
    let statement = Statement::of(
        "WITH RECURSIVE below (oid) AS ( \
             SELECT to_regclass($1)::oid UNION \
             SELECT i.inhrelid FROM below JOIN pg_catalog.pg_inherits i ON i.inhparent = below.oid) \
         SELECT CASE WHEN bool_or(c.reltuples < 0) THEN NULL ELSE sum(c.reltuples)::bigint END \
         FROM below JOIN pg_catalog.pg_class c ON c.oid = below.oid AND c.relkind = 'r'",
    );
    let name = TableName { schema: spec.schema.clone(), name: spec.table.clone() };
    let found = rows(conn, statement.bind(spelt(&name))).await?;
    let about = found.first().map_or(Ok(None), |row| Postgres::int(row, 0))?;
    Ok(about.and_then(|about| u64::try_from(about).ok()).filter(|&about| about > 0))
}

fn quoted(table: &Table) -> String {
    spelt(&TableName { schema: Some(table.schema.clone()), name: table.name.clone() })
}

/// A name as SQL spells it, whatever is in it.
fn spelt(name: &TableName) -> String {
    let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
    match &name.schema {
        Some(schema) => format!("{}.{}", quoted(schema), quoted(&name.name)),
        None => quoted(&name.name),
    }
}
