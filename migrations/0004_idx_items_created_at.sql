-- transactional: false
-- phase: expand
--
-- The newest items without a source filter, read in order until the page is full.
-- Built without locking the table against writes, hence outside a transaction.

CREATE INDEX CONCURRENTLY idx_items_created_at
    ON instagram_items (created_at DESC);
