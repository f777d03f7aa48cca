-- transactional: false
-- phase: expand
--
-- Sources in the order of their creation, read backwards for the newest.
-- Built without locking the table against writes, hence outside a transaction.

CREATE INDEX CONCURRENTLY idx_sources_created_at
    ON instagram_sources (created_at);
