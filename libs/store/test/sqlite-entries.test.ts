// The repository contract on SQLite: entries that rows stand on.
import { describe } from 'vitest';
import { describeEntries } from './contract/describe-entries.ts';
import { createSqliteEngine } from './sqlite-engine.ts';

describe('the entry that a row on SQLite stands on', () => describeEntries(createSqliteEngine));
