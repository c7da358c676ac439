//! The narrow door to a database: run a statement, or visit its rows.
//!
//! Functions over `&mut dyn Sql` hold all SQL of the program; they are plain and synchronous, so they are tested
//! without a runtime. Statements are `'static`: they are written in the source, never assembled from input.

use crate::StoreError;

/// A connection that answers statements. Arguments are bound to `?1`, `?2`, … in order.
pub trait Sql {
    /// Runs a statement that yields no rows, and says how many rows it changed.
    ///
    /// # Errors
    /// See [`StoreError`]; a count of arguments that does not fit the statement is [`StoreError::Query`].
    fn run(&mut self, sql: &'static str, args: &[Value<'_>]) -> Result<u64, StoreError>;

    /// Runs a statement and visits each of its rows. An error of the visitor ends the visit and is returned.
    ///
    /// # Errors
    /// As [`Sql::run`].
    fn each(
        &mut self,
        sql: &'static str,
        args: &[Value<'_>],
        row: &mut dyn FnMut(&Row<'_>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError>;
}

/// The writer's connection, which also numbers rows.
pub trait WriteSql: Sql {
    /// The next row number: greater than every number given before, by this process or an earlier one, whether it
    /// was committed, rolled back or cut off by a crash. Never 0. Numbers have gaps.
    ///
    /// `account` is whose row it will be. One writer numbers everything here; an engine with several writers
    /// locks the account's row first, so that numbers rise in commit order within an account.
    ///
    /// # Errors
    /// [`StoreError::Full`] or [`StoreError::Unavailable`] when new numbers could not be set aside on the disk.
    fn next_row(&mut self, account: i64) -> Result<i64, StoreError>;
}

/// The shapes in which rows are usually wanted.
pub trait SqlExt: Sql {
    /// The only row.
    ///
    /// # Errors
    /// [`StoreError::NoRow`] without one, [`StoreError::Query`] with several.
    fn one<T>(
        &mut self,
        sql: &'static str,
        args: &[Value<'_>],
        read: impl FnMut(&Row<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.optional(sql, args, read)?.ok_or(StoreError::NoRow)
    }

    /// The only row, if there is one.
    ///
    /// # Errors
    /// [`StoreError::Query`] with several.
    fn optional<T>(
        &mut self,
        sql: &'static str,
        args: &[Value<'_>],
        mut read: impl FnMut(&Row<'_>) -> Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        let mut found = None;
        self.each(sql, args, &mut |row| {
            if found.is_some() {
                return Err(StoreError::Query(format!("more than one row: {sql}")));
            }
            found = Some(read(row)?);
            Ok(())
        })?;
        Ok(found)
    }

    /// All rows. The statement carries its own LIMIT unless a constraint bounds it.
    ///
    /// # Errors
    /// As [`Sql::each`].
    fn list<T>(
        &mut self,
        sql: &'static str,
        args: &[Value<'_>],
        mut read: impl FnMut(&Row<'_>) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        let mut all = Vec::new();
        self.each(sql, args, &mut |row| {
            all.push(read(row)?);
            Ok(())
        })?;
        Ok(all)
    }
}

impl<S: Sql + ?Sized> SqlExt for S {}

/// An argument of a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// SQL's NULL.
    Null,
    /// BIGINT and everything that fits into it.
    Int(i64),
    /// TEXT.
    Text(&'a str),
    /// BLOB.
    Blob(&'a [u8]),
}

macro_rules! value_from_int {
    ($($int:ty),*) => { $(
        impl From<$int> for Value<'_> {
            fn from(value: $int) -> Self {
                Self::Int(i64::from(value))
            }
        }
    )* };
}

value_from_int!(i64, i32, i16, i8, u32, u16, u8, bool);

impl<'a> From<&'a str> for Value<'a> {
    fn from(value: &'a str) -> Self {
        Self::Text(value)
    }
}

impl<'a> From<&'a String> for Value<'a> {
    fn from(value: &'a String) -> Self {
        Self::Text(value)
    }
}

impl<'a> From<&'a [u8]> for Value<'a> {
    fn from(value: &'a [u8]) -> Self {
        Self::Blob(value)
    }
}

impl<'a> From<&'a Vec<u8>> for Value<'a> {
    fn from(value: &'a Vec<u8>) -> Self {
        Self::Blob(value)
    }
}

impl<'a, T: Into<Value<'a>>> From<Option<T>> for Value<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// One row of an answer. Columns are counted from 0, in the order of the statement.
pub struct Row<'a>(pub(crate) &'a rusqlite::Row<'a>);

impl Row<'_> {
    /// A number.
    ///
    /// # Errors
    /// [`StoreError::Query`] when the column is none, as in all accessors: the statement and its reader disagree.
    pub fn int(&self, column: usize) -> Result<i64, StoreError> {
        self.optional_int(column)?.ok_or_else(|| wrong(column, "a number"))
    }

    /// A truth value, kept as 0 or 1.
    ///
    /// # Errors
    /// As [`Row::int`].
    pub fn flag(&self, column: usize) -> Result<bool, StoreError> {
        Ok(self.int(column)? != 0)
    }

    /// A text.
    ///
    /// # Errors
    /// As [`Row::int`].
    pub fn text(&self, column: usize) -> Result<&str, StoreError> {
        self.optional_text(column)?.ok_or_else(|| wrong(column, "a text"))
    }

    /// Bytes.
    ///
    /// # Errors
    /// As [`Row::int`].
    pub fn blob(&self, column: usize) -> Result<&[u8], StoreError> {
        self.optional_blob(column)?.ok_or_else(|| wrong(column, "bytes"))
    }

    /// A number or NULL.
    ///
    /// # Errors
    /// As [`Row::int`].
    pub fn optional_int(&self, column: usize) -> Result<Option<i64>, StoreError> {
        match self.raw(column)? {
            Value::Null => Ok(None),
            Value::Int(number) => Ok(Some(number)),
            Value::Text(_) | Value::Blob(_) => Err(wrong(column, "a number")),
        }
    }

    /// A text or NULL.
    ///
    /// # Errors
    /// As [`Row::int`].
    pub fn optional_text(&self, column: usize) -> Result<Option<&str>, StoreError> {
        match self.raw(column)? {
            Value::Null => Ok(None),
            Value::Text(text) => Ok(Some(text)),
            Value::Int(_) | Value::Blob(_) => Err(wrong(column, "a text")),
        }
    }

    /// Bytes or NULL.
    ///
    /// # Errors
    /// As [`Row::int`].
    pub fn optional_blob(&self, column: usize) -> Result<Option<&[u8]>, StoreError> {
        match self.raw(column)? {
            Value::Null => Ok(None),
            Value::Blob(bytes) => Ok(Some(bytes)),
            Value::Int(_) | Value::Text(_) => Err(wrong(column, "bytes")),
        }
    }

    fn raw(&self, column: usize) -> Result<Value<'_>, StoreError> {
        use rusqlite::types::ValueRef;
        match self.0.get_ref(column)? {
            ValueRef::Null => Ok(Value::Null),
            ValueRef::Integer(number) => Ok(Value::Int(number)),
            ValueRef::Blob(bytes) => Ok(Value::Blob(bytes)),
            ValueRef::Text(bytes) => {
                std::str::from_utf8(bytes).map(Value::Text).map_err(|_| wrong(column, "UTF-8"))
            }
            ValueRef::Real(_) => Err(wrong(column, "a number, a text or bytes")),
        }
    }
}

fn wrong(column: usize, expected: &str) -> StoreError {
    StoreError::Query(format!("column {column} is not {expected}"))
}
