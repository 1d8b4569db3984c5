//! What SQLite's catalogue says about a table and its keys, and which of them can be walked safely.

use sea_query::{Alias, Expr, Query};
use sqlx::Row;
use sqlx::sqlite::{Sqlite, SqliteConnection};

use crate::backend::{Backend, Described, KeySpec, Statement};
use crate::error::{Error, ErrorKind};
use crate::key::{Key, KeyPart};
use crate::scope::{Scope, TableName};
use crate::suggest::did_you_mean;
use crate::walk::null_key;

struct Table {
    schema: String,
    name: String,
    kind: String,
    without_rowid: bool,
}

struct Column {
    name: String,
    declared: String,
    not_null: bool,
    /// Place in the primary key from 1; 0 outside of it.
    primary: i64,
    generated: bool,
}

struct Index {
    name: String,
    unique: bool,
    partial: bool,
    of_primary_key: bool,
    /// `None` for an expression.
    columns: Vec<Option<String>>,
}

pub(super) async fn describe(
    conn: &mut SqliteConnection,
    name: &TableName,
    wanted: Option<&[String]>,
) -> Result<Described, Error> {
    let table = find(conn, name).await?;
    let columns = columns(conn, &table).await?;
    let key = match wanted {
        Some(wanted) => wanted.iter().map(|w| known(name, &columns, w)).collect::<Result<Vec<_>, _>>()?,
        None => primary_key(&columns),
    };
    if key.is_empty() {
        return Err(refused(format!(
            "the table `{name}` has no primary key, and its rowid is no substitute: `VACUUM` may renumber it. Declare a \
             primary key, or name the columns of a unique index with `.key(..)`"
        )));
    }
    for column in &key {
        if affinity_is_real(&column.declared) {
            return Err(refused(format!(
                "the key column `{}` of `{name}` holds floating-point numbers, which cannot be named exactly: name \
                 another unique key with `.key(..)`",
                column.name
            )));
        }
        if column.generated {
            return Err(refused(format!(
                "the key column `{}` of `{name}` is computed from other columns, so that an update can move a row out \
                 of its batch: name another unique key with `.key(..)`",
                column.name
            )));
        }
    }
    let is_primary = key.iter().map(|c| &c.name).eq(primary_key(&columns).iter().map(|c| &c.name));
    check_index(conn, name, &table, &key, is_primary).await?;
    let nullable = check_nulls(conn, name, &table, &key, is_primary).await?;
    let key = KeySpec {
        schema: name.schema.clone(),
        table: table.name,
        columns: key.iter().map(|column| column.name.clone()).collect(),
        nullable,
        types: Vec::new(),
        index: None,
        by_key_only: false,
    };
    Ok(Described { key, columns: columns.into_iter().map(|column| column.name).collect() })
}

fn refused(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Unsupported, message)
}

async fn find(conn: &mut SqliteConnection, name: &TableName) -> Result<Table, Error> {
    // An unqualified name means the temporary table first, then main's, then those of attached databases.
    let statement = Statement::of(
        "SELECT t.schema, t.name, t.type, t.wr FROM pragma_table_list AS t JOIN pragma_database_list AS d ON d.name = t.schema \
         WHERE t.name = ?1 COLLATE NOCASE AND (?2 IS NULL OR t.schema = ?2 COLLATE NOCASE) \
         ORDER BY t.schema <> 'temp', d.seq LIMIT 1",
    );
    let found = Sqlite::fetch(conn, statement.bind(name.name.as_str()).bind(name.schema.clone())).await?;
    let Some(row) = found.first() else {
        let tables = Statement::of(
            "SELECT name FROM pragma_table_list WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'",
        );
        let mut tables: Vec<String> =
            Sqlite::fetch(conn, tables).await?.iter().map(|row| row.try_get(0)).collect::<sqlx::Result<_>>()?;
        tables.sort_unstable();
        let hint = if name.name.contains('.') {
            "a schema goes before it as `Scope::table((\"schema\", \"table\"))`".to_owned()
        } else {
            match did_you_mean(&name.name, &tables.iter().map(String::as_str).collect::<Vec<_>>()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "is this the right database, and is it migrated?".to_owned(),
            }
        };
        return Err(Error::new(ErrorKind::Configuration, format!("there is no table `{name}`: {hint}")));
    };
    let table =
        Table { schema: row.try_get(0)?, name: row.try_get(1)?, kind: row.try_get(2)?, without_rowid: row.try_get(3)? };
    let why = match table.kind.as_str() {
        "view" => "is a view: name the table behind it, and put the view's conditions into filters",
        "virtual" | "shadow" => "is a virtual table or a part of one, which has no key to walk: name an ordinary table",
        _ if table.schema == "temp" => "is a temporary table, which other connections do not see: name an ordinary one",
        _ if table.schema != "main" => {
            "is in an attached database, and SQLite does not commit to two files at once for certain: open that file as \
             the pool's own database"
        }
        _ if table.name.to_ascii_lowercase().starts_with("sqlite_") => "belongs to SQLite itself",
        _ => return Ok(table),
    };
    Err(refused(format!("`{name}` {why}")))
}

async fn columns(conn: &mut SqliteConnection, table: &Table) -> Result<Vec<Column>, Error> {
    let statement =
        Statement::of("SELECT name, type, \"notnull\", pk, hidden FROM pragma_table_xinfo(?1, ?2) ORDER BY cid");
    let rows = Sqlite::fetch(conn, statement.bind(table.name.as_str()).bind(table.schema.as_str())).await?;
    let columns = rows.iter().map(|row| {
        Ok(Column {
            name: row.try_get(0)?,
            declared: row.try_get(1)?,
            not_null: row.try_get(2)?,
            primary: row.try_get(3)?,
            generated: row.try_get::<i64, _>(4)? != 0,
        })
    });
    Ok(columns.collect::<sqlx::Result<_>>()?)
}

fn primary_key(columns: &[Column]) -> Vec<&Column> {
    let mut key: Vec<_> = columns.iter().filter(|column| column.primary > 0).collect();
    key.sort_unstable_by_key(|column| column.primary);
    key
}

fn known<'c>(table: &TableName, columns: &'c [Column], wanted: &str) -> Result<&'c Column, Error> {
    columns.iter().find(|column| column.name.eq_ignore_ascii_case(wanted)).ok_or_else(|| {
        let names: Vec<_> = columns.iter().map(|column| column.name.clone()).collect();
        crate::scope::unknown_column(table, wanted, &names)
    })
}

/// <https://sqlite.org/datatype3.html#determination_of_column_affinity>
fn affinity_is_real(declared: &str) -> bool {
    let declared = declared.to_ascii_uppercase();
    let has = |words: &[&str]| words.iter().any(|word| declared.contains(word));
    has(&["REAL", "FLOA", "DOUB"]) && !has(&["INT", "CHAR", "CLOB", "TEXT", "BLOB"])
}

/// The key needs an index that is unique and complete, and that SQLite can read in the order of the bare columns.
async fn check_index(
    conn: &mut SqliteConnection,
    name: &TableName,
    table: &Table,
    key: &[&Column],
    is_primary: bool,
) -> Result<(), Error> {
    let listed = list(key.iter().map(|column| column.name.as_str()));
    let indexes: Vec<_> = indexes(conn, table)
        .await?
        .into_iter()
        .filter(|index| index.columns.iter().map(Option::as_deref).eq(key.iter().map(|c| Some(c.name.as_str()))))
        .collect();
    let mut usable = indexes.iter().filter(|index| index.unique && !index.partial);
    // The primary key without an index of its own is the table's own tree.
    let own_tree = is_primary && (table.without_rowid || !indexes.iter().any(|index| index.of_primary_key));
    if own_tree && reads_in_order(conn, table, &listed, "NOT INDEXED").await? {
        return Ok(());
    }
    let Some(first) = usable.next() else {
        let create = format!("`CREATE UNIQUE INDEX … ON {} ({listed})`", quoted(&table.name));
        return Err(refused(match indexes.first() {
            _ if own_tree => mismatch(name, "primary key", &listed),
            Some(index) if index.partial => format!(
                "the index `{}` over the key ({listed}) of `{name}` is partial, so that some rows are not in it: {create} \
                 without a condition, or name another key",
                index.name
            ),
            Some(index) => format!(
                "the index `{}` over the key ({listed}) of `{name}` is not unique: {create}, or name another key",
                index.name
            ),
            None => format!(
                "the key ({listed}) of `{name}` has no unique index over exactly these columns in this order: {create}, \
                 or name another key"
            ),
        }));
    };
    for index in std::iter::once(first).chain(usable) {
        if reads_in_order(conn, table, &listed, &format!("INDEXED BY {}", quoted(&index.name))).await? {
            return Ok(());
        }
    }
    Err(refused(mismatch(name, &format!("index `{}`", first.name), &listed)))
}

fn mismatch(name: &TableName, index: &str, listed: &str) -> String {
    format!(
        "the {index} over the key ({listed}) of `{name}` is in another order than its columns are compared in: it mixes \
         ASC and DESC, or has another COLLATE than they have. `CREATE UNIQUE INDEX` one without either, or name another \
         key with `.key(..)`"
    )
}

async fn indexes(conn: &mut SqliteConnection, table: &Table) -> Result<Vec<Index>, Error> {
    let statement = Statement::of("SELECT name, \"unique\", partial, origin FROM pragma_index_list(?1, ?2)");
    let rows = Sqlite::fetch(conn, statement.bind(table.name.as_str()).bind(table.schema.as_str())).await?;
    let mut indexes = Vec::with_capacity(rows.len());
    for row in rows {
        let name: String = row.try_get(0)?;
        let statement = Statement::of("SELECT name FROM pragma_index_xinfo(?1, ?2) WHERE key ORDER BY seqno");
        let columns = Sqlite::fetch(conn, statement.bind(name.as_str()).bind(table.schema.as_str())).await?;
        indexes.push(Index {
            unique: row.try_get(1)?,
            partial: row.try_get(2)?,
            of_primary_key: row.try_get::<String, _>(3)? == "pk",
            columns: columns.iter().map(|row| row.try_get(0)).collect::<sqlx::Result<_>>()?,
            name,
        });
    }
    Ok(indexes)
}

/// Whether SQLite needs no sorting: the index then has one direction and the columns' own collations, which no pragma
/// tells.
async fn reads_in_order(conn: &mut SqliteConnection, table: &Table, listed: &str, by: &str) -> Result<bool, Error> {
    let from = format!("{}.{}", quoted(&table.schema), quoted(&table.name));
    let sql = format!("EXPLAIN QUERY PLAN SELECT {listed} FROM {from} {by} ORDER BY {listed}");
    let plan = plan(conn, Statement { sql: sql.into(), values: Vec::new() }).await?;
    Ok(!plan.iter().any(|line| line.contains("TEMP B-TREE")))
}

pub(super) async fn plan(conn: &mut SqliteConnection, explain: Statement) -> Result<Vec<String>, Error> {
    let rows = Sqlite::fetch(conn, explain).await?;
    Ok(rows.iter().map(|row| row.try_get("detail")).collect::<sqlx::Result<_>>()?)
}

/// SQLite lets NULL into the primary key of an ordinary table. A comparison would pass such rows over in silence.
///
/// Returns the columns after the first that may hold one: the walk looks for them beside each of its boundaries,
/// which is where they would be passed over. In the first column they stand in front, so that one look is enough.
async fn check_nulls(
    conn: &mut SqliteConnection,
    name: &TableName,
    table: &Table,
    key: &[&Column],
    is_primary: bool,
) -> Result<Vec<String>, Error> {
    let is_rowid =
        is_primary && key.len() == 1 && !indexes(conn, table).await?.iter().any(|index| index.of_primary_key);
    if is_rowid || (is_primary && table.without_rowid) {
        return Ok(Vec::new());
    }
    let mut nullable = key.iter().filter(|column| !column.not_null);
    if let Some(column) = nullable.clone().next()
        && !is_primary
    {
        return Err(refused(format!(
            "the key column `{}` of `{name}` may be NULL, and rows without a key would be passed over: declare it NOT \
             NULL, or name another key with `.key(..)`",
            column.name
        )));
    }
    if !key[0].not_null {
        nullable.next();
        let column = Expr::col(Alias::new(&key[0].name));
        let mut probe = Query::select();
        probe.expr(Expr::cust("1")).from(name.to_ref()).and_where(sea_query::ExprTrait::is_null(column)).limit(1);
        if !Sqlite::fetch(conn, Sqlite::build(&probe)).await?.is_empty() {
            return Err(null_key(&table.name, &key[0].name));
        }
    }
    Ok(nullable.map(|column| column.name.clone()).collect())
}

pub(super) async fn needs_key_order(
    conn: &mut SqliteConnection,
    scope: &Scope<Sqlite>,
    spec: &KeySpec,
) -> Result<bool, Error> {
    let Some(condition) = scope.condition(spec)? else { return Ok(false) };
    let any = KeyPart { tag: "integer".into(), text: "0".into() };
    let any = Key(vec![any; spec.columns.len()]);
    let first = &spec.columns[0];
    let all = spec.columns.join(",");
    // The first batch has no lower bound: the optimizer may go another way for it.
    for bounds in [[true, true], [false, true]] {
        let mut select = Query::select();
        select.expr(Expr::cust("1")).from(scope.table.to_ref()).and_where(condition.clone());
        if bounds[0] {
            select.and_where(Sqlite::key_after(spec, &any)?);
        }
        select.and_where(Sqlite::key_upto(spec, &any)?);
        let Statement { sql, values } = Sqlite::build(&select);
        let plan = plan(conn, Statement { sql: format!("EXPLAIN QUERY PLAN {sql}").into(), values }).await?;
        // `(id>? AND id<?)`, `(role=? AND rowid>? AND rowid<?)`, `((a,b)>(?,?) AND (a,b)<(?,?))`: with what stands before
        // the name, or a column `user_id` would pass for `id`.
        let bounded: Vec<String> = ["(", " "]
            .iter()
            .flat_map(|before| [first.as_str(), "rowid"].map(|name| format!("{before}{name}<?")))
            .chain([format!("({all})<("), format!("({all})<=(")])
            .collect();
        if !plan.iter().any(|line| bounded.iter().any(|form| line.contains(form.as_str()))) {
            return Ok(true);
        }
    }
    Ok(false)
}

pub(super) async fn rows_about(conn: &mut SqliteConnection, spec: &KeySpec) -> Result<Option<u64>, Error> {
    let name = TableName { schema: spec.schema.clone(), name: spec.table.clone() };
    let table = find(conn, &name).await?;
    if table.without_rowid {
        return analyzed(conn, &table).await;
    }
    let from = format!("{}.{}", quoted(&table.schema), quoted(&table.name));
    // Each end from the tree; both in one aggregate would read all of it.
    let sql = format!("SELECT (SELECT max(rowid) FROM {from}) - (SELECT min(rowid) FROM {from}) + 1");
    let rows = Sqlite::fetch(conn, Statement { sql: sql.into(), values: Vec::new() }).await?;
    let about = rows.first().map_or(Ok(None), |row| Sqlite::int(row, 0))?;
    let about = about.and_then(|about| u64::try_from(about).ok());
    // Numbers far apart, such as those made of a time: more of them than the file has room for.
    let most = most_rows(conn).await?;
    match about {
        Some(about) if about <= most => Ok(Some(about)),
        about => Ok(analyzed(conn, &table).await?.or(about.map(|_| most))),
    }
}

/// More rows than the file has room for: none takes less than eight bytes.
async fn most_rows(conn: &mut SqliteConnection) -> Result<u64, Error> {
    let size = Statement::of("SELECT page_count * page_size / 8 FROM pragma_page_count, pragma_page_size");
    let rows = Sqlite::fetch(conn, size).await?;
    let most = rows.first().map_or(Ok(None), |row| Sqlite::int(row, 0))?;
    Ok(most.and_then(|most| u64::try_from(most).ok()).unwrap_or(u64::MAX))
}

/// How many rows the last `ANALYZE` saw.
async fn analyzed(conn: &mut SqliteConnection, table: &Table) -> Result<Option<u64>, Error> {
    let there = Statement::of("SELECT 1 FROM sqlite_schema WHERE name = 'sqlite_stat1'");
    if Sqlite::fetch(conn, there).await?.is_empty() {
        return Ok(None);
    }
    // Before the first space stands the number of rows in the index; a partial one has fewer.
    let stat = Statement::of("SELECT max(CAST(stat AS INTEGER)) FROM sqlite_stat1 WHERE tbl = ?1");
    let rows = Sqlite::fetch(conn, stat.bind(table.name.as_str())).await?;
    let seen = rows.first().map_or(Ok(None), |row| Sqlite::int(row, 0))?;
    Ok(seen.and_then(|seen| u64::try_from(seen).ok()))
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn list<'n>(names: impl Iterator<Item = &'n str>) -> String {
    names.map(quoted).collect::<Vec<_>>().join(", ")
}
