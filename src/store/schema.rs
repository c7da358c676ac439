//! Looking at the database from outside: its schema as text, and how it would answer a statement.

use crate::sqlite::Sqlite;
use crate::{Sql, SqlExt, StoreError, WriteSql};

const SCHEMA: &str = "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%' \
                      ORDER BY tbl_name, type DESC, name";

/// Every table and index in a stable order, for the golden file.
pub(crate) fn dump(sql: &mut dyn Sql) -> Result<String, StoreError> {
    let parts = sql.list(SCHEMA, &[], |row| row.text(0).map(|text| format!("{text};\n")))?;
    Ok(parts.join("\n"))
}

/// The lines of `EXPLAIN QUERY PLAN`.
pub(crate) fn query_plan(sqlite: &Sqlite, statement: &str) -> Result<Vec<String>, StoreError> {
    let mut prepared = sqlite.connection.prepare(&format!("EXPLAIN QUERY PLAN {statement}"))?;
    let mut rows = prepared.raw_query();
    let mut lines = Vec::new();
    while let Some(row) = rows.next()? {
        lines.push(row.get::<_, String>(3)?);
    }
    Ok(lines)
}

/// Gives up to `pages_max` free pages back to the disk; says how many were free before.
pub(crate) fn shrink(sql: &mut dyn WriteSql, pages_max: u32) -> Result<i64, StoreError> {
    let free = sql.one("PRAGMA freelist_count", &[], |row| row.int(0))?;
    let mut left = free.min(i64::from(pages_max));
    // The pragma takes no argument by binding, so it goes in steps of a fixed size.
    while left > 0 {
        sql.each("PRAGMA incremental_vacuum(64)", &[], &mut |_| Ok(()))?;
        left -= 64;
    }
    Ok(free)
}
