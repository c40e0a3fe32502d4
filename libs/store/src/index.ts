export { createSqliteStore, migrateSqliteStore, openSqliteStore } from './sqlite/sqlite-store.ts';
