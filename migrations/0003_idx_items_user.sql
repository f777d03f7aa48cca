-- transactional: false
-- phase: expand
--
-- Items of one user: their count on the items page, and the cascade when a user is deleted.
-- Built without locking the table against writes, hence outside a transaction.

CREATE INDEX CONCURRENTLY idx_items_user
    ON instagram_items (user_id);
