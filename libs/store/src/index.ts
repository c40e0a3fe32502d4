export { readLastEnd } from './sqlite/last-end.ts';
export { createSqliteStore, migrateSqliteStore, openSqliteStore } from './sqlite/sqlite-store.ts';
