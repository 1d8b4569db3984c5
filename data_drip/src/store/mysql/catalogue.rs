//! What the catalogue says about a table and its keys, and which of them can be walked safely.

mod indexes;

use sqlx::mysql::{MySql, MySqlConnection, MySqlRow};

use self::indexes::Index;
use crate::backend::{Backend, Described, KeyForm, KeySpec, KeyType, Statement};
use crate::error::{Error, ErrorKind};
use crate::scope::TableName;
use crate::suggest::did_you_mean;

struct Table {
    schema: String,
    name: String,
}

struct Column {
    name: String,
    nullable: bool,
    generated: bool,
    /// `varchar`, `bigint`, …
    data_type: String,
    /// `varchar(20)`, `bigint(20) unsigned`, …
    full_type: String,
    charset: Option<String>,
    collation: Option<String>,
    precision: i64,
    scale: i64,
}

pub(super) async fn describe(
    conn: &mut MySqlConnection,
    name: &TableName,
    wanted: Option<&[String]>,
) -> Result<Described, Error> {
    let table = find(conn, name).await?;
    let columns = columns(conn, &table).await?;
    let indexes = indexes::of(conn, &table).await?;
    let key = match wanted {
        Some(wanted) => wanted.iter().map(|w| known(name, &columns, w)).collect::<Result<Vec<_>, _>>()?,
        None => primary_key(&columns, &indexes),
    };
    if key.is_empty() {
        return Err(refused(format!(
            "the table `{name}` has no primary key: declare one, or name the columns of a unique index with `.key(..)`"
        )));
    }
    let types = key.iter().map(|column| walkable(name, column)).collect::<Result<Vec<_>, _>>()?;
    if types.iter().any(|of| of.form == KeyForm::Instant) {
        check_time_zone(conn, name).await?;
    }
    let index = indexes::choose(name, &spelt(&table), &indexes, &key)?;
    let key = KeySpec {
        // As it was found: another connection may be in another database.
        schema: Some(table.schema),
        table: table.name,
        columns: key.iter().map(|column| column.name.clone()).collect(),
        nullable: Vec::new(),
        types,
        index: Some(index),
        by_key_only: false,
    };
    Ok(Described { key, columns: columns.into_iter().map(|column| column.name).collect() })
}

fn refused(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Unsupported, message)
}

async fn rows(conn: &mut MySqlConnection, statement: Statement) -> Result<Vec<MySqlRow>, Error> {
    Ok(MySql::fetch(conn, statement).await?)
}

/// The catalogue's text is `varchar` on one server and `longtext` or `varbinary` on another.
fn text(row: &MySqlRow, index: usize) -> sqlx::Result<String> {
    Ok(MySql::text(row, index)?.unwrap_or_default())
}

async fn find(conn: &mut MySqlConnection, name: &TableName) -> Result<Table, Error> {
    let statement = Statement::of(
        "SELECT table_schema, table_name, table_type, engine, @@lower_case_table_names \
         FROM information_schema.tables WHERE table_schema = COALESCE(?1, DATABASE()) AND table_name = ?2",
    );
    let found = rows(conn, statement.bind(name.schema.clone()).bind(name.name.as_str())).await?;
    let mut same = None;
    for row in &found {
        // The catalogue's own comparison folds case, which the server's tables may not.
        let folds = MySql::int(row, 4)?.is_some_and(|setting| setting != 0);
        let called = text(row, 1)?;
        if called == name.name || (folds && called.to_lowercase() == name.name.to_lowercase()) {
            same = Some(row);
        }
    }
    let Some(row) = same else { return Err(missing(conn, name).await?) };
    let (kind, engine) = (text(row, 2)?, text(row, 3)?);
    let table = Table { schema: text(row, 0)?, name: text(row, 1)? };
    let why = match kind.as_str() {
        "VIEW" => "is a view: name the table behind it, and put the view's conditions into filters".to_owned(),
        "BASE TABLE" | "SYSTEM VERSIONED" if engine == "InnoDB" => return Ok(table),
        "BASE TABLE" | "SYSTEM VERSIONED" => format!(
            "is kept by the engine {engine}, which cannot take part in a batch's transaction: `ALTER TABLE {} ENGINE = \
             InnoDB`",
            spelt(&table)
        ),
        _ => "is not a table of yours: name one".to_owned(),
    };
    Err(refused(format!("`{name}` {why}")))
}

async fn missing(conn: &mut MySqlConnection, name: &TableName) -> Result<Error, Error> {
    let tables = Statement::of(
        "SELECT table_name FROM information_schema.tables WHERE table_schema = COALESCE(?1, DATABASE()) ORDER BY 1",
    );
    let tables = rows(conn, tables.bind(name.schema.clone())).await?;
    let tables = tables.iter().map(|row| text(row, 0)).collect::<sqlx::Result<Vec<String>>>()?;
    let hint = if name.schema.is_none() && name.name.contains('.') {
        "a database goes before it as `Scope::table((\"database\", \"table\"))`".to_owned()
    } else {
        match did_you_mean(&name.name, &tables.iter().map(String::as_str).collect::<Vec<_>>()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "is this the right database, is it migrated, and is the table an ordinary one?".to_owned(),
        }
    };
    Ok(Error::new(ErrorKind::Configuration, format!("there is no table `{name}`: {hint}")))
}

async fn columns(conn: &mut MySqlConnection, table: &Table) -> Result<Vec<Column>, Error> {
    let statement = Statement::of(
        "SELECT column_name, is_nullable, COALESCE(generation_expression, '') <> '', data_type, column_type, \
             character_set_name, collation_name, COALESCE(numeric_precision, 0), COALESCE(numeric_scale, 0) \
         FROM information_schema.columns WHERE table_schema = ?1 AND table_name = ?2 ORDER BY ordinal_position",
    );
    let columns = rows(conn, statement.bind(table.schema.as_str()).bind(table.name.as_str())).await?;
    let columns = columns.iter().map(|row| {
        Ok(Column {
            name: text(row, 0)?,
            nullable: text(row, 1)? != "NO",
            generated: MySql::int(row, 2)?.is_some_and(|generated| generated != 0),
            data_type: text(row, 3)?.to_lowercase(),
            full_type: text(row, 4)?.to_lowercase(),
            charset: MySql::text(row, 5)?,
            collation: MySql::text(row, 6)?,
            precision: MySql::int(row, 7)?.unwrap_or(0),
            scale: MySql::int(row, 8)?.unwrap_or(0),
        })
    });
    Ok(columns.collect::<sqlx::Result<_>>()?)
}

fn primary_key<'c>(columns: &'c [Column], indexes: &[Index]) -> Vec<&'c Column> {
    let Some(primary) = indexes.iter().find(|index| index.name == "PRIMARY") else { return Vec::new() };
    let column = |name: &String| columns.iter().find(|column| column.name.eq_ignore_ascii_case(name));
    primary.parts.iter().filter_map(|part| column(part.column.as_ref()?)).collect()
}

fn known<'c>(table: &TableName, columns: &'c [Column], wanted: &str) -> Result<&'c Column, Error> {
    columns.iter().find(|column| column.name.to_lowercase() == wanted.to_lowercase()).ok_or_else(|| {
        let names: Vec<_> = columns.iter().map(|column| column.name.clone()).collect();
        crate::scope::unknown_column(table, wanted, &names)
    })
}

/// How to name the values of a key column, unless they cannot be named.
fn walkable(table: &TableName, column: &Column) -> Result<KeyType, Error> {
    let Column { name, full_type, .. } = column;
    if column.generated {
        return Err(refused(format!(
            "the key column `{name}` of `{table}` is computed from other columns, so that an update can move a row out of \
             its batch: name another unique key with `.key(..)`"
        )));
    }
    if column.nullable {
        return Err(refused(format!(
            "the key column `{name}` of `{table}` may be NULL, and rows without a key would be passed over: `ALTER TABLE … \
             MODIFY {name} {full_type} NOT NULL`, or name another key with `.key(..)`"
        )));
    }
    type_of(column).map_err(|why| {
        refused(format!(
            "the key column `{name}` of `{table}` ({full_type}) {why}: name another unique key with `.key(..)`"
        ))
    })
}

fn type_of(column: &Column) -> Result<KeyType, &'static str> {
    let of = |sql: String, form| {
        let order = match form {
            KeyForm::Integer => "integer",
            KeyForm::Text | KeyForm::Ascii | KeyForm::Encoded => &sql,
            KeyForm::Bytes | KeyForm::Iso | KeyForm::Instant => &column.data_type,
        };
        Ok(KeyType { order: order.to_owned(), sql, form, collation: None })
    };
    match column.data_type.as_str() {
        "tinyint" | "smallint" | "mediumint" | "int" | "bigint" => {
            let unsigned = column.full_type.contains("unsigned");
            of(if unsigned { "UNSIGNED" } else { "SIGNED" }.to_owned(), KeyForm::Integer)
        }
        "decimal" => of(format!("DECIMAL({}, {})", column.precision, column.scale), KeyForm::Iso),
        "char" | "varchar" | "tinytext" | "text" | "mediumtext" | "longtext" => {
            match (&column.charset, &column.collation) {
                (Some(charset), Some(collation)) => {
                    let (bytes, form) = text_form(charset);
                    of(format!("CONVERT({bytes} USING {charset}) COLLATE {collation}"), form)
                }
                _ => Err("has no collation"),
            }
        }
        "binary" | "varbinary" | "tinyblob" | "blob" | "mediumblob" | "longblob" => {
            of(column.data_type.clone(), KeyForm::Bytes)
        }
        // To the microsecond, whatever the column keeps.
        "date" => of("DATE".to_owned(), KeyForm::Iso),
        "time" => of("TIME(6)".to_owned(), KeyForm::Iso),
        "datetime" => of("DATETIME(6)".to_owned(), KeyForm::Iso),
        "timestamp" => of("DATETIME(6)".to_owned(), KeyForm::Instant),
        "uuid" | "inet4" | "inet6" => of(column.data_type.to_uppercase(), KeyForm::Iso),
        "float" | "double" => Err("holds floating-point numbers, which cannot be named exactly"),
        "enum" | "set" => Err("sorts by the place in its declaration, which a migration can change"),
        _ => Err("is of a type that keys cannot be named in"),
    }
}

/// How text is named, and what of that is converted back. A key that Unicode gives back as another one would be looked for
/// where it is not: rows would be passed over, or walked again and again (seen with cp932, big5 and gbk). A test goes
/// through the bytes of every character set.
fn text_form(charset: &str) -> (&'static str, KeyForm) {
    match charset {
        "utf8mb4" | "utf8mb3" | "utf8" | "ucs2" | "utf16" | "utf16le" | "utf32" | "latin1" => ("?", KeyForm::Text),
        "ascii" => ("CAST(CONVERT(? USING latin1) AS BINARY)", KeyForm::Ascii),
        _ => ("UNHEX(?)", KeyForm::Encoded),
    }
}

/// An hour that a clock goes through twice has two instants with one name.
async fn check_time_zone(conn: &mut MySqlConnection, name: &TableName) -> Result<(), Error> {
    let found = rows(conn, Statement::of("SELECT @@session.time_zone")).await?;
    let zone = found.first().map(|row| text(row, 0)).transpose()?.unwrap_or_default();
    if zone == "+00:00" || zone.eq_ignore_ascii_case("utc") {
        return Ok(());
    }
    Err(refused(format!(
        "the key of `{name}` is a `timestamp`, and the pool's time zone is `{zone}`, where an hour of each autumn has its name \
         twice: leave the pool's connections in UTC, as sqlx opens them"
    )))
}

pub(super) async fn rows_about(conn: &mut MySqlConnection, spec: &KeySpec) -> Result<Option<u64>, Error> {
    let statement = Statement::of(
        "SELECT table_rows FROM information_schema.tables \
         WHERE table_schema = COALESCE(?1, DATABASE()) AND table_name = ?2",
    );
    let found = rows(conn, statement.bind(spec.schema.clone()).bind(spec.table.as_str())).await?;
    let about = found.first().map_or(Ok(None), |row| MySql::int(row, 0))?;
    Ok(about.and_then(|about| u64::try_from(about).ok()).filter(|&about| about > 0))
}

/// A name as SQL spells it, whatever is in it.
fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

fn spelt(table: &Table) -> String {
    format!("{}.{}", quoted(&table.schema), quoted(&table.name))
}
