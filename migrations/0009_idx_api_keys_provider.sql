-- transactional: false
-- phase: expand
--
-- API keys of one provider: who is affected when a provider withdraws keys.
-- Built without locking the table against writes, hence outside a transaction.

CREATE INDEX CONCURRENTLY idx_api_keys_provider
    ON api_keys (provider);
