-- transactional: false
-- phase: expand
--
-- Sources of one user: the list, its count, and the check of the limit of 50.
-- Built without locking the table against writes, hence outside a transaction.

CREATE INDEX CONCURRENTLY idx_sources_user
    ON instagram_sources (user_id);
