-- transactional: false

DROP INDEX CONCURRENTLY IF EXISTS idx_api_keys_user_provider;
