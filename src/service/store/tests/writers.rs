//! Many writers at once, in this process and beside it.

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eight_writers_at_once_lose_nothing_and_fail_never() {
    let (store, dir, daniel) = seeded().await;
    let beside = Store::open(&dir.path().join("record.db")).await.expect("a second process");
    let before = dump(&store).await.iter().filter(|row| row.starts_with("event")).count();
    let mut tasks = Vec::new();
    for writer in 0..8_u8 {
        let store = if writer % 2 == 0 { store.clone() } else { beside.clone() };
        tasks.push(tokio::spawn(async move {
            for round in 0..5_u8 {
                let n = 10 + writer * 10 + round;
                store.apply(&answered_call(n, Some("+442079460153"), daniel)).await.expect("facts");
                store.add_note(ids(n).interaction, daniel, "note", NOW).await.expect("a note");
                store.brief_for_number(Some(&number("+442079460153")), None, NOW).await.expect("a brief");
            }
        }));
    }
    for task in tasks {
        task.await.expect("no writer failed");
    }
    let rows = dump(&store).await;
    assert_eq!(count(&rows, "job"), 40);
    let numbers: Vec<_> = store.events_since(0, 1000).await.expect("events").iter().map(|event| event.seq).collect();
    assert!(numbers.len() > before + 200 && numbers.iter().copied().eq(1..=numbers.len() as i64), "numbers without a gap, in order");
}

#[tokio::test]
async fn a_database_of_a_newer_version_is_refused_with_the_remedy() {
    let (store, dir, _) = seeded().await;
    let mut tx = store.write().await.expect("a writer");
    sqlx::query(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) VALUES (999, 'later', 1, x'00', 0)",
    )
    .execute(&mut *tx)
    .await
    .expect("a row");
    store.commit(tx).await.expect("a commit");
    store.close().await;
    let refused = Store::open(&dir.path().join("record.db")).await.expect_err("a newer version");
    assert!(refused.to_string().contains("program version"), "{refused}");
}
