export { readLastEnd } from './sqlite/last-end.ts';
export {
  createSqliteStore,
  holdSqliteStore,
  migrateSqliteStore,
  openSqliteStore,
} from './sqlite/sqlite-store.ts';
export {
  copySqliteDatabase,
  findDatabaseDamage,
  readDatabaseFacts,
  schemaVersion,
} from './sqlite/database-copy.ts';
