//! A second crate with backfills; it reaches `data_drip` by another path.
#![forbid(unsafe_code)]

/// What a crate that wraps `data_drip` would export.
pub mod reexport {
    pub use data_drip as drip;
}

mod invoices {
    use crate::reexport::drip;
    use drip::sqlite::prelude::*;

    /// Is asked for when an invoice is numbered.
    pub(crate) struct Numbers;

    /// Numbers the invoices that have none.
    #[backfill(name = "number_invoices", crate = crate::reexport::drip)]
    pub(crate) struct NumberInvoices;

    #[backfill(crate = crate::reexport::drip)]
    impl NumberInvoices {
        fn scope(&self) -> Scope {
            Scope::table("invoices")
        }

        async fn process_batch(&self, batch: &mut Batch<'_>, numbers: State<Numbers>) -> drip::Result {
            let Numbers = *numbers;
            batch.update_all().set("number", 1).execute().await?;
            Ok(())
        }
    }
}

/// Proof that the state is there, for hosts that cannot name its type.
pub fn states() -> impl Send + Sync + 'static {
    invoices::Numbers
}
