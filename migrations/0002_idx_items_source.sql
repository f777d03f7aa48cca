-- transactional: false
-- phase: expand
--
-- Items of one source: count and page of small sources, and the cascade when a source goes.
-- Built without locking the table against writes, hence outside a transaction.

CREATE INDEX CONCURRENTLY idx_items_source
    ON instagram_items (source_id);
