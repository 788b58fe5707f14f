//! What a server does beside answering: looks for new policies and keys, compares captures that
//! came late, gathers evidence, makes templates again, deletes
//! what is over, looks for signs of tampering, tells the center's own systems of confirmed cases, signs the audit log's heads, counts faces.
//!
//! All of it ends with the server; what a job had in hand stays due. Not here: what the jobs do (`crate::app`).

use std::{sync::Arc, time::Duration};

use tracing::warn;

use crate::{
    app::{
        batch::Runner, cases::CaseRunner, recheck::Rechecker, retention::Retainer, supervision::Statistician, tampering::Watch,
        webhook::Teller,
    },
    audit::Sealer,
    identify::role::Searcher,
    keys::OpeningKeys,
    law,
    lookup::Lookup,
    policy::Policies,
    store::Store,
    surroundings::{Surroundings, System},
    tls::ServerTls,
    vault::Vault,
};

/// How often a server looks whether another policy came into force or a key file changed.
const LOOK: Duration = Duration::from_secs(2);
/// How often stored faces are counted, and room is made for the next months' records.
const HOUR: Duration = Duration::from_secs(3_600);

/// The jobs of one server; those that another process does are absent.
#[derive(Clone)]
pub(super) struct Jobs {
    pub(super) rechecker: Option<Rechecker>,
    pub(super) batch: Option<Runner>,
    pub(super) cases: Option<CaseRunner>,
    pub(super) retainer: Option<Retainer>,
    pub(super) searcher: Option<Searcher>,
    pub(super) watch: Option<Watch>,
    pub(super) statistician: Option<Statistician>,
    pub(super) teller: Option<Teller>,
    pub(super) sealer: Sealer,
    pub(super) policies: Arc<Policies>,
    pub(super) vault: Arc<Vault>,
    pub(super) lookup: Arc<Lookup>,
    pub(super) opening: Arc<OpeningKeys>,
    pub(super) tls: Arc<ServerTls>,
    pub(super) store: Arc<dyn Store>,
    pub(super) filing_threshold: u64,
}

impl Jobs {
    /// Works until it is dropped.
    pub(super) async fn run(self) {
        let Self {
            rechecker,
            batch,
            cases,
            retainer,
            searcher,
            watch,
            statistician,
            teller,
            sealer,
            policies,
            vault,
            lookup,
            opening,
            tls,
            store,
            filing_threshold,
        } = self;
        tokio::join!(
            async {
                if let Some(rechecker) = rechecker {
                    rechecker.run().await;
                }
            },
            async {
                if let Some(batch) = batch {
                    batch.run().await;
                }
            },
            async {
                if let Some(cases) = cases {
                    cases.run().await;
                }
            },
            async {
                if let Some(retainer) = retainer {
                    retainer.run().await;
                }
            },
            async {
                if let Some(searcher) = searcher {
                    searcher.run().await;
                }
            },
            async {
                if let Some(watch) = watch {
                    watch.run().await;
                }
            },
            async {
                if let Some(statistician) = statistician {
                    statistician.run().await;
                }
            },
            async {
                if let Some(teller) = teller {
                    teller.run().await;
                }
            },
            sealer.run(),
            look(&policies, &vault, &lookup, &opening, &tls),
            every_hour(store.as_ref(), filing_threshold),
        );
    }
}

async fn look(policies: &Policies, vault: &Vault, lookup: &Lookup, opening: &OpeningKeys, tls: &ServerTls) {
    loop {
        tokio::time::sleep(LOOK).await;
        policies.refresh().await;
        // Small files, looked at and rarely read.
        vault.refresh();
        lookup.refresh();
        opening.refresh();
        tls.refresh();
    }
}

async fn every_hour(store: &dyn Store, filing_threshold: u64) {
    loop {
        if let Err(error) = store.make_room(System.now_ms()).await {
            warn!(error = &error as &dyn std::error::Error, "no room could be made for the next months' records");
        }
        law::watch(store, filing_threshold).await;
        tokio::time::sleep(HOUR).await;
    }
}
