//! The rows of one transaction: many to a statement, since each statement is a way to another thread and back.

use bytes::Bytes;
use sqlx::AssertSqlSafe;
use sqlx::sqlite::SqliteConnection;

use super::plan::Plan;

/// Rows of one statement.
const ROWS: usize = 32;

pub(super) async fn write_chunks(to: &mut SqliteConnection, ids: &[i64], plan: &Plan) -> sqlx::Result<()> {
    for chunks in plan.chunks.chunks(ROWS) {
        let places = places("(?, ?, ?, ?, ?, ?)", chunks.len());
        let sql = format!("INSERT INTO chunks (topic, partition, base, count, newest, body) VALUES {places}");
        // Made of constants and a count only, here and below.
        let mut query = sqlx::query(AssertSqlSafe(sql));
        for chunk in chunks {
            query = query.bind(ids[chunk.topic]).bind(chunk.partition).bind(chunk.base as i64);
            query = query.bind(chunk.count as i64).bind(chunk.newest).bind(chunk.body.as_slice());
        }
        query.execute(&mut *to).await?;
    }
    Ok(())
}

pub(super) async fn write_positions(to: &mut SqliteConnection, ids: &[i64], plan: &Plan) -> sqlx::Result<()> {
    let positions: Vec<_> = plan.positions.iter().collect();
    for positions in positions.chunks(ROWS) {
        let places = places("(?, ?, ?, ?)", positions.len());
        let sql = format!(
            "INSERT INTO positions (consumer, topic, partition, next) VALUES {places}
            ON CONFLICT DO UPDATE SET next = excluded.next"
        );
        let mut query = sqlx::query(AssertSqlSafe(sql));
        for ((group, topic, partition), next) in positions {
            query = query.bind(group.as_ref()).bind(ids[*topic]).bind(partition).bind(**next as i64);
        }
        query.execute(&mut *to).await?;
    }
    Ok(())
}

pub(super) async fn write_state(to: &mut SqliteConnection, ids: &[i64], plan: &mut Plan) -> sqlx::Result<()> {
    let (mut kept, mut gone) = (Vec::new(), Vec::new());
    for ((topic, partition, key), value) in plan.state.drain() {
        match value {
            Some(value) => kept.push((ids[topic], partition, key, value)),
            None => gone.push((ids[topic], partition, key)),
        }
    }
    // Rows go in the order of the table: neighbours share a page.
    kept.sort_unstable();
    for rows in kept.chunks(ROWS) {
        let places = places("(?, ?, ?, ?)", rows.len());
        let sql = format!(
            "INSERT INTO state (topic, partition, key, value) VALUES {places}
            ON CONFLICT DO UPDATE SET value = excluded.value"
        );
        let mut query = sqlx::query(AssertSqlSafe(sql));
        for (topic, partition, key, value) in rows {
            query = query.bind(*topic).bind(*partition).bind(key.as_ref()).bind(value.as_ref());
        }
        query.execute(&mut *to).await?;
    }
    gone.sort_unstable();
    let is_same = |one: &(i64, u32, Bytes), next: &(i64, u32, Bytes)| (one.0, one.1) == (next.0, next.1);
    for rows in gone.chunk_by(is_same).flat_map(|rows| rows.chunks(ROWS)) {
        // Not a list of rows: the database would look at every row of the table for it.
        let places = places("?", rows.len());
        let sql = format!("DELETE FROM state WHERE topic = ? AND partition = ? AND key IN ({places})");
        let mut query = sqlx::query(AssertSqlSafe(sql)).bind(rows[0].0).bind(rows[0].1);
        for (_, _, key) in rows {
            query = query.bind(key.as_ref());
        }
        query.execute(&mut *to).await?;
    }
    Ok(())
}

/// Places for the values of so many rows.
fn places(row: &str, rows: usize) -> String {
    vec![row; rows].join(", ")
}

pub(super) async fn write_drops(to: &mut SqliteConnection, ids: &[i64], plan: &Plan) -> sqlx::Result<()> {
    let start = "INSERT INTO starts (topic, partition, start) VALUES (?, ?, ?)
        ON CONFLICT DO UPDATE SET start = max(start, excluded.start)";
    for step in &plan.drops {
        let before = step.before as i64;
        let delete = sqlx::query("DELETE FROM chunks WHERE topic = ? AND partition = ? AND base < ?");
        delete.bind(ids[step.topic]).bind(step.partition).bind(before).execute(&mut *to).await?;
        let query = sqlx::query(start).bind(ids[step.topic]).bind(step.partition);
        query.bind(before).execute(&mut *to).await?;
    }
    Ok(())
}
