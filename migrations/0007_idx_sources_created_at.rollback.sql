-- transactional: false

DROP INDEX CONCURRENTLY IF EXISTS idx_sources_created_at;
