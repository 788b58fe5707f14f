//! An export read by somebody who has nothing but the file and the public key.

use ed25519_dalek::SigningKey;
use matcher_core::audit::{EntryContent, Head};

use super::*;
use crate::{
    keys::from_hex,
    store::{
        Store,
        contract::{flag, verification},
        sql::SqlStore,
    },
};

fn hash(line: &Value, field: &str) -> Hash {
    from_hex(line[field].as_str().unwrap()).unwrap()
}

fn digest(line: &Value) -> Hash {
    let text = |field: &str| line[field].as_str().unwrap();
    let content = EntryContent { action: text("action"), by: text("by"), object: text("object"), detail: text("detail") };
    content.digest(&from_hex(text("salt")).unwrap())
}

#[tokio::test]
async fn an_export_proves_itself() {
    let dir = tempfile::tempdir().unwrap();
    let store = SqlStore::open(&dir.path().join("center.db")).unwrap();
    for number in 1..=5 {
        store.record_verification(verification(&format!("T{number}"), number)).await.unwrap();
    }
    let (folder, key) = (Folder::new(dir.path().join("checkpoints")), SigningKey::from_bytes(&[1; 32]));
    folder.lock().unwrap().add(&store.audit_heads().await.unwrap(), &key, None, 9_000, false).unwrap();
    let out = dir.path().join("out.jsonl");
    assert_eq!(export(&store, &folder, 1_003, &out, 9_000).await.unwrap(), 3);
    assert!(matches!(export(&store, &folder, 1_003, &out, 9_000).await, Err(ExportError::Write { .. })), "it is not overwritten");
    let lines: Vec<Value> = std::fs::read_to_string(&out).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let mut head: Option<Head> = None;
    for link in lines.iter().filter(|line| line.get("hash").is_some()) {
        let of_link = |line: &&Value| line.get("entry").is_some() && line["link"] == link["link"];
        let entries: Vec<_> = lines.iter().filter(of_link).map(|line| (line["at"].as_i64().unwrap(), digest(line))).collect();
        let before = head.unwrap_or_else(|| Head {
            epoch: from_hex(link["epoch"].as_str().unwrap()).unwrap(),
            link: link["link"].as_u64().unwrap() - 1,
            entries: link["entries"].as_u64().unwrap() - 1,
            hash: hash(link, "previous"),
        });
        let next = before.next(&entries);
        assert_eq!(next.hash, hash(link, "hash"));
        head = Some(next);
    }
    let checkpoint = lines.last().unwrap()["jws"].as_str().unwrap();
    let checkpoint = Checkpoint::verify(checkpoint, &[key.verifying_key()]).unwrap();
    assert_eq!(checkpoint.heads, [head.unwrap()]);
}

#[tokio::test]
async fn handing_the_log_out_is_an_entry() {
    let dir = tempfile::tempdir().unwrap();
    let store = SqlStore::open(&dir.path().join("center.db")).unwrap();
    store.record_flag(flag(1, 1)).await.unwrap();
    let folder = Folder::new(dir.path().join("checkpoints"));
    assert_eq!(export(&store, &folder, 0, &dir.path().join("first"), 9_000).await.unwrap(), 1);
    assert_eq!(export(&store, &folder, 0, &dir.path().join("second"), 9_000).await.unwrap(), 2);
}
