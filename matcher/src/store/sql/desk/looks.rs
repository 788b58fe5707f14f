//! Who looked at a face, from the audit log.

use super::super::{
    Connection,
    columns::{Columns, query},
    params,
};
use crate::store::{
    StoreError,
    desk::{Look, LookFilter},
};

/// Looks, newest first.
pub(super) fn list(connection: &Connection, filter: &LookFilter, limit: u32) -> Result<Vec<Look>, StoreError> {
    let within = filter.about.as_ref().map(|about| format!("%\"{about}\"%"));
    let sql = "SELECT at, actor, object, detail, epoch, link FROM audit_entry WHERE action = 'face_viewed'
         AND (?1 IS NULL OR actor = ?1) AND (?2 IS NULL OR object = ?2 OR detail LIKE ?3) AND (?4 IS NULL OR at < ?4)
         ORDER BY at DESC, epoch, link DESC, place DESC LIMIT ?5";
    let decode = |columns: &Columns<'_>| {
        let text = |field| Ok::<_, StoreError>(columns.get::<Option<String>>(field)?.unwrap_or_default());
        Ok(Look {
            at: columns.get("at")?,
            by: text("actor")?,
            object: text("object")?,
            detail: text("detail")?,
            epoch: columns.get("epoch")?,
            link: columns.unsigned("link")?,
        })
    };
    query(connection, sql, params![filter.by, filter.about, within, filter.before, limit], "audit_entry", decode)
}
