//! Queries that are asked together before anybody makes them, so that a server is waited for once and not for each.

use super::{
    super::value::{AsValue, Held, Params, Value},
    Session, parameters, prepare,
};
use crate::store::StoreError;

/// What came of a query that nobody has made yet.
pub(super) struct Came {
    sql: String,
    values: Vec<Held>,
    rows: Vec<tokio_postgres::Row>,
}

impl Session {
    /// Asks queries at once and keeps what comes for whoever makes them.
    pub(in super::super) fn ahead(&self, queries: &[(&str, &[&dyn AsValue])]) -> Result<(), StoreError> {
        let queries: Vec<(&str, Vec<Value<'_>>)> = queries.iter().map(|(sql, values)| (*sql, values.values())).collect();
        let (all, _) = self.ask(None, async |client| {
            let mut ready = Vec::new();
            for (sql, values) in &queries {
                ready.push((prepare(client, sql, values).await?, parameters(values)));
            }
            futures_util::future::try_join_all(ready.iter().map(|(statement, values)| client.query(statement, values))).await
        })?;
        let came = |((sql, values), rows): (&(&str, Vec<Value<'_>>), _)| Came {
            sql: (*sql).to_owned(),
            values: values.iter().map(Held::from).collect(),
            rows,
        };
        self.came.borrow_mut().extend(queries.iter().zip(all).map(came));
        Ok(())
    }

    /// What came of a query that was asked ahead, once.
    pub(super) fn taken(&self, sql: &str, values: &[Value<'_>]) -> Option<Vec<tokio_postgres::Row>> {
        let mut came = self.came.borrow_mut();
        let is_it = |of: &Came| {
            of.sql == sql && of.values.len() == values.len() && of.values.iter().zip(values).all(|(of, value)| *of == Held::from(value))
        };
        let place = came.iter().position(is_it)?;
        Some(came.swap_remove(place).rows)
    }
}
