-- transactional: false
-- phase: expand
--
-- The newest items of one source, read in order until the page is full.
-- Built without locking the table against writes, hence outside a transaction.

CREATE INDEX CONCURRENTLY idx_items_source_created_at
    ON instagram_items (source_id, created_at DESC);
